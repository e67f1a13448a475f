package access

import (
	"io"
	"net/http"
	"sync/atomic"

	"github.com/popkv/popkv"
)

// A budget bounds the bytes of all bodies that are held at once.
type budget struct {
	free atomic.Int64
}

// take reserves n bytes if there are as many.
func (b *budget) take(n int64) bool {
	for {
		free := b.free.Load()
		if free < n {
			return false
		}
		if b.free.CompareAndSwap(free, free-n) {
			return true
		}
	}
}

func (b *budget) give(n int64) { b.free.Add(n) }

// firstRead is how much of a body is reserved before any of it has arrived.
// What is reserved then doubles as the body comes in, so that clients who
// announce much and send little hold little.
const firstRead = 16 << 10

// read reads the body, whose length the client has announced. It keeps what it
// reserved even when it fails; the caller releases it.
func (a *Admission) read(r *http.Request, longest int64) error {
	length := r.ContentLength
	if length > longest {
		return popkv.Errorf(popkv.TooLarge, "the body is longer than %d bytes", longest)
	}
	for int64(len(a.Body)) < length {
		room := min(length, max(firstRead, 2*int64(len(a.Body))))
		if !a.bodies.take(room - a.reserved) {
			return popkv.Errorf(popkv.Unavailable, "too many large requests at once: try again")
		}
		a.reserved = room
		grown := make([]byte, room)
		have := copy(grown, a.Body)
		if _, err := io.ReadFull(r.Body, grown[have:]); err != nil {
			return popkv.Wrap(popkv.Malformed, err, "the body ended early")
		}
		a.Body = grown
	}
	return nil
}
