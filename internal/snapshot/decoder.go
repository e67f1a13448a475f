package snapshot

import (
	"encoding/binary"
)

// A decoder takes fields off the front of rest. The first field that is not
// there or not canonical makes it bad; a bad decoder yields zero values.
type decoder struct {
	rest string
	bad  bool
}

// require makes the decoder bad unless ok.
func (d *decoder) require(ok bool) {
	if !ok {
		d.bad, d.rest = true, ""
	}
}

// take returns the next n bytes, or "" when there are fewer.
func (d *decoder) take(n int) string {
	if n > len(d.rest) {
		d.require(false)
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) uint64() uint64 {
	var b [8]byte
	copy(b[:], d.take(8))
	return binary.BigEndian.Uint64(b[:])
}

// uvarint reads a number in its shortest form.
func (d *decoder) uvarint() uint64 {
	var b [binary.MaxVarintLen64]byte
	n, width := binary.Uvarint(b[:copy(b[:], d.rest)])
	if width <= 0 || width != uvarintBytes(n) {
		d.require(false)
		return 0
	}
	d.rest = d.rest[width:]
	return n
}

// string reads a length and that many bytes.
func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.require(false)
		return ""
	}
	return d.take(int(n))
}

// count reads how many elements follow, each of at least minBytes, and refuses
// more than can be there: the caller may allocate for them.
func (d *decoder) count(minBytes int) int {
	n := d.uvarint()
	if n > uint64(len(d.rest)/minBytes) {
		d.require(false)
		return 0
	}
	return int(n)
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
