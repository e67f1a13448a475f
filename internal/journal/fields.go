package journal

import (
	"encoding/binary"
	"time"
)

// The journal's own records are a sequence of fields: integers as unsigned
// varints, texts with their length before them, times as Unix milliseconds,
// ids and hashes as they are. A record begins with the number of its layout.

// A fieldWriter appends fields.
type fieldWriter struct{ b []byte }

func (w *fieldWriter) uint(v uint64)    { w.b = binary.AppendUvarint(w.b, v) }
func (w *fieldWriter) raw(v []byte)     { w.b = append(w.b, v...) }
func (w *fieldWriter) time(t time.Time) { w.uint(uint64(t.UnixMilli())) }

func (w *fieldWriter) text(s string) {
	w.uint(uint64(len(s)))
	w.b = append(w.b, s...)
}

// A fieldReader reads them back. After the first field that is not there, or
// is written longer than it need be, every read gives zero and done is false.
type fieldReader struct {
	b   []byte
	bad bool
}

func (r *fieldReader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 1 && r.b[n-1] == 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads a number of things or bytes. Sums and small multiples of it
// cannot overflow.
func (r *fieldReader) count() int {
	const most = 1 << 48
	v := r.uint()
	if v > most {
		r.bad, r.b = true, nil
		return 0
	}
	return int(v)
}

func (r *fieldReader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *fieldReader) raw(into []byte) { copy(into, r.take(uint64(len(into)))) }
func (r *fieldReader) text() string    { return string(r.take(r.uint())) }
func (r *fieldReader) time() time.Time { return time.UnixMilli(int64(r.uint())).UTC() }

// done reports whether every field was there and nothing is left.
func (r *fieldReader) done() bool { return !r.bad && len(r.b) == 0 }
