package snapshot

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/popkv/popkv"
)

// A RecordKind says what a record does to its store.
type RecordKind uint8

// The kinds of [Record]. A stored kind never changes its number.
const (
	Plain RecordKind = 1 // applies Change to the contents before it
	Reset RecordKind = 2 // replaces the contents by Generation
)

// A Record is one effective write of a store. Its bytes are made once, by
// Encode; the same bytes are stored, streamed, applied and kept as history.
type Record struct {
	Kind      RecordKind
	Store     popkv.StoreID
	Lineage   [16]byte
	Version   uint64    // the version this record makes
	Time      time.Time // in whole milliseconds, UTC
	Principal string    // ARN of the caller
	CommitID  [16]byte  // random; tells our write from another's

	Change     Change   // of a Plain record
	Generation [16]byte // of a Reset record

	Items     int    // of the store after this record
	SizeBytes int64  // of the store after this record
	Prev      Hash   // hash of the record before, or Genesis
	Digest    Digest // of the store after this record
}

// The bytes of a record. Integers are big-endian, varints are the shortest
// form of encoding/binary's Uvarint, keys ascend strictly within puts and
// within deletes, and no key is in both.
//
//	offset  bytes
//	     0      1  format, 1
//	     1      1  kind
//	     2     16  store
//	    18     16  lineage
//	    34      8  version
//	    42      8  time, signed milliseconds since 1970 UTC
//	    50     16  commit id
//	    66      8  items after
//	    74      8  size in bytes after
//	    82     32  hash of the record before
//	   114     16  digest after
//	   130         principal: uvarint length, bytes
//	               plain:  uvarint count of deletes, each: uvarint length, key
//	                       uvarint count of puts, each: uvarint length, key,
//	                       uvarint length, value
//	               reset:  16 bytes of generation id
//	   end      4  CRC-32C of all bytes before it
//
// Every format ends in this checksum. CRC-32C finds every single flipped bit
// and every burst of up to 32 bits, for certain; what it may miss beyond that,
// the chain hash and the content digest find.
const (
	recordFormat     = 1
	recordFixedBytes = 130
	checksumBytes    = 4
)

// Encode returns the record's bytes. It panics on a record that breaks the
// rules of [Record] or [Change], before such bytes can become durable. The
// time is cut to whole milliseconds.
func (r *Record) Encode() []byte {
	if r.Kind != Plain && r.Kind != Reset || r.Items < 0 || r.SizeBytes < 0 || r.Kind == Reset && !r.Change.Empty() || r.Kind == Plain && r.Generation != [16]byte{} {
		panic("snapshot: encode of a record that breaks its own rules")
	}
	c := r.Change.sorted()
	if !c.valid() {
		panic("snapshot: a change names an empty key or a key twice")
	}
	b := make([]byte, 0, r.sizeHint())
	b = append(b, recordFormat, byte(r.Kind))
	b = append(b, r.Store[:]...)
	b = append(b, r.Lineage[:]...)
	b = binary.BigEndian.AppendUint64(b, r.Version)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Time.UnixMilli()))
	b = append(b, r.CommitID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Items))
	b = binary.BigEndian.AppendUint64(b, uint64(r.SizeBytes))
	b = append(b, r.Prev[:]...)
	b = append(b, r.Digest[:]...)
	b = appendString(b, r.Principal)
	if r.Kind == Reset {
		b = append(b, r.Generation[:]...)
		return appendChecksum(b)
	}
	b = binary.AppendUvarint(b, uint64(len(c.Deletes)))
	for _, key := range c.Deletes {
		b = appendString(b, key)
	}
	b = binary.AppendUvarint(b, uint64(len(c.Puts)))
	for _, item := range c.Puts {
		b = appendString(b, item.Key)
		b = appendString(b, item.Value)
	}
	return appendChecksum(b)
}

// sizeHint is the length of the record's bytes, or a little more.
func (r *Record) sizeHint() int {
	const varint = 5
	n := recordFixedBytes + varint + len(r.Principal) + len(r.Generation) + 2*varint + checksumBytes
	for _, key := range r.Change.Deletes {
		n += varint + len(key)
	}
	for _, item := range r.Change.Puts {
		n += 2*varint + len(item.Key) + len(item.Value)
	}
	return n
}

// DecodeRecord reads what Encode wrote and nothing else: whatever it accepts,
// Encode turns into the same bytes again. It fails with [ErrDamaged], or with
// [ErrFormat] for whole bytes of another format or kind. It keeps no reference
// to b and allocates no more than a small multiple of len(b).
func DecodeRecord(b []byte) (*Record, error) {
	body, err := checked(b, "record")
	if err != nil {
		return nil, err
	}
	if len(body) < 2 {
		return nil, fmt.Errorf("record of %d bytes: %w", len(b), ErrDamaged)
	}
	if body[0] != recordFormat {
		return nil, fmt.Errorf("record format %d: %w", body[0], ErrFormat)
	}
	kind := RecordKind(body[1])
	if kind != Plain && kind != Reset {
		return nil, fmt.Errorf("record kind %d: %w", kind, ErrFormat)
	}
	// One copy of the body; every string of the record is a part of it.
	d := decoder{rest: string(body[2:])}
	r := &Record{Kind: kind}
	copy(r.Store[:], d.take(16))
	copy(r.Lineage[:], d.take(16))
	r.Version = d.uint64()
	r.Time = time.UnixMilli(int64(d.uint64())).UTC()
	copy(r.CommitID[:], d.take(16))
	items, size := d.uint64(), d.uint64()
	r.Items, r.SizeBytes = int(items), int64(size)
	d.require(r.Items >= 0 && uint64(r.Items) == items && r.SizeBytes >= 0)
	copy(r.Prev[:], d.take(len(r.Prev)))
	copy(r.Digest[:], d.take(len(r.Digest)))
	r.Principal = d.string()
	if kind == Reset {
		copy(r.Generation[:], d.take(16))
	} else {
		r.Change = d.change()
	}
	d.require(d.rest == "")
	if d.bad {
		return nil, fmt.Errorf("record breaks its format: %w", ErrDamaged)
	}
	return r, nil
}

// change reads deletes and puts, holding them to the canonical order.
func (d *decoder) change() Change {
	var c Change
	if n := d.count(2); n > 0 { // a length and at least one byte of key
		c.Deletes = make([]string, n)
	}
	for i := range c.Deletes {
		c.Deletes[i] = d.string()
	}
	if n := d.count(3); n > 0 { // as above, and the length of the value
		c.Puts = make([]popkv.Item, n)
	}
	for i := range c.Puts {
		c.Puts[i] = popkv.Item{Key: d.string(), Value: d.string()}
	}
	d.require(c.valid())
	return c
}

// castagnoli returns the table of CRC-32C; crc32 makes it once and uses the
// processor's instruction where there is one.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func appendChecksum(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
}

// checked verifies the trailing checksum and returns the bytes before it.
func checked(b []byte, what string) ([]byte, error) {
	n := len(b) - checksumBytes
	if n < 0 || binary.BigEndian.Uint32(b[n:]) != crc32.Checksum(b[:n], castagnoli()) {
		return nil, fmt.Errorf("%s of %d bytes: checksum: %w", what, len(b), ErrDamaged)
	}
	return b[:n], nil
}
