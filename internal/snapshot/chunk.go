package snapshot

import (
	"encoding/binary"
	"fmt"
	"iter"
)

// The bytes of a chunk. A generation is a snapshot's pairs in ascending order
// of key, as one stream that is cut into chunks wherever one is full, so that
// no chunk is longer than its writer allows whatever the size of a pair.
//
//	offset  bytes
//	     0      1  format, 1
//	     1      1  flags: 1 = the last chunk
//	     2      4  index of the chunk from 0, big-endian
//	     6         a part of the stream; of each pair:
//	               uvarint length, key, uvarint length, value
//	   end      4  CRC-32C of all bytes before it
//
// An empty snapshot is one chunk with no stream.
const (
	chunkFormat      = 1
	chunkHeaderBytes = 6
	chunkLast        = 1
)

// MinChunkBytes is the smallest maxBytes that [Chunks] accepts.
const MinChunkBytes = 64

// Chunks writes s as chunks of at most maxBytes each. The consumer owns each
// chunk. It panics when maxBytes is below [MinChunkBytes].
func Chunks(s *Snapshot, maxBytes int) iter.Seq[[]byte] {
	if maxBytes < MinChunkBytes {
		panic("snapshot: chunks too small to hold anything")
	}
	return func(yield func([]byte) bool) {
		w := chunkWriter{limit: maxBytes - checksumBytes, yield: yield}
		w.coming = int(s.sizeBytes) + 8*s.items
		w.start()
		var lengths [2 * binary.MaxVarintLen64]byte
		for p := range s.pairs("") {
			key, value := p.split()
			w.write(binary.AppendUvarint(lengths[:0], uint64(len(key))))
			w.write(key)
			w.write(binary.AppendUvarint(lengths[:0], uint64(len(value))))
			w.write(value)
			if w.stopped {
				return
			}
		}
		w.end(chunkLast)
	}
}

// A chunkWriter cuts a stream into chunks.
type chunkWriter struct {
	limit   int // of a chunk without its checksum
	coming  int // about how much of the stream is still to be written
	yield   func([]byte) bool
	chunk   []byte
	index   uint32
	stopped bool // the consumer wants no more
}

func (w *chunkWriter) start() {
	size := min(w.limit, chunkHeaderBytes+max(w.coming, 0)) + checksumBytes
	w.chunk = append(make([]byte, 0, size), chunkFormat, 0)
	w.chunk = binary.BigEndian.AppendUint32(w.chunk, w.index)
}

func (w *chunkWriter) end(flags byte) {
	w.chunk[1] = flags
	w.stopped = !w.yield(appendChecksum(w.chunk))
	w.index++
}

func (w *chunkWriter) write(b []byte) {
	for len(b) > 0 && !w.stopped {
		if len(w.chunk) == w.limit {
			w.end(0)
			w.start()
			continue
		}
		n := min(len(b), w.limit-len(w.chunk))
		w.chunk = append(w.chunk, b[:n]...)
		b = b[n:]
		w.coming -= n
	}
}

// FromChunks reads a snapshot back. It fails with [ErrDamaged] when a chunk
// is not what was written, out of turn or missing at the end, and with
// [ErrFormat] for another format. That the chunks are those of the generation
// wanted, only their [GenerationHash] and the digest tell: compare both. It
// keeps no reference to a chunk, and memory stays in proportion to the chunks
// read.
func FromChunks(key DigestKey, chunks iter.Seq[[]byte]) (*Snapshot, error) {
	r := chunkReader{builder: NewBuilder(key)}
	for chunk := range chunks {
		if err := r.read(chunk); err != nil {
			return nil, fmt.Errorf("chunk %d: %w", r.index, err)
		}
		r.index++
	}
	if !r.last || len(r.partial) > 0 {
		return nil, fmt.Errorf("the chunks end after %d: %w", r.index, ErrDamaged)
	}
	return r.builder.Finish()
}

// A chunkReader puts the stream together again.
type chunkReader struct {
	builder *Builder
	index   uint32
	last    bool
	partial []byte // the beginning of a pair that the next chunk goes on with
}

func (r *chunkReader) read(chunk []byte) error {
	body, err := checked(chunk, "chunk")
	switch {
	case err != nil:
		return err
	case len(body) < chunkHeaderBytes:
		return fmt.Errorf("too short: %w", ErrDamaged)
	case body[0] != chunkFormat || body[1] > chunkLast:
		return fmt.Errorf("chunk format %d, flags %d: %w", body[0], body[1], ErrFormat)
	case r.last || binary.BigEndian.Uint32(body[2:]) != r.index:
		return fmt.Errorf("out of turn: %w", ErrDamaged)
	}
	r.last = body[1] == chunkLast
	return r.stream(body[chunkHeaderBytes:])
}

// stream adds the pairs that are complete and keeps the rest for later.
func (r *chunkReader) stream(b []byte) error {
	if len(r.partial) > 0 {
		r.partial = append(r.partial, b...)
		b = r.partial
	}
	added := false
	for {
		key, rest, err := cutString(b)
		if err != nil {
			return err
		}
		value, rest, err := cutString(rest)
		if err != nil {
			return err
		}
		if key == nil || value == nil {
			break
		}
		if err := r.builder.Add(key, value); err != nil || r.builder.unordered() {
			return fmt.Errorf("keys are empty or out of order: %w", ErrDamaged)
		}
		b, added = rest, true
	}
	if added || len(r.partial) == 0 {
		r.partial = append(r.partial[:0], b...)
	}
	return nil
}

// cutString takes a length and as many bytes off the front of b. The string
// is nil when b ends too early, and an error means that no longer b will do.
func cutString(b []byte) (s, rest []byte, err error) {
	n, width := binary.Uvarint(b)
	switch {
	case width < 0 || width > 0 && width != uvarintBytes(n):
		return nil, nil, fmt.Errorf("a length is not canonical: %w", ErrDamaged)
	case width == 0 || n > uint64(len(b)-width):
		return nil, nil, nil
	}
	end := width + int(n)
	return b[width:end:end], b[end:], nil
}
