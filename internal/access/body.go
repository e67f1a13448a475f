package access

import (
	"crypto/sha256"
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

// read reads the body, whose length the client has announced, and returns its
// hash. It keeps what it reserved even when it fails; the caller releases it.
func (a *Admission) read(r *http.Request, longest int64) (hash [sha256.Size]byte, err error) {
	length := r.ContentLength
	if length > longest {
		return hash, tooLong(longest)
	}
	for have := int64(0); have < length; have = int64(len(a.Body)) {
		room := nextRead(have, length)
		if !a.bodies.take(room - a.reserved) {
			return hash, noRoom()
		}
		a.reserved = room
		grown := make([]byte, room)
		copy(grown, a.Body)
		if _, err := io.ReadFull(r.Body, grown[have:]); err != nil {
			return hash, endedEarly(err)
		}
		a.Body = grown
	}
	return sha256.Sum256(a.Body), nil
}

// readPast is read for a request whose key is not known: with the same
// refusals and the same work, but it reserves and keeps nothing, so that who
// has no key cannot use up the budget of those who have one.
func (b *budget) readPast(r *http.Request, longest int64) (hash [sha256.Size]byte, err error) {
	length := r.ContentLength
	if length > longest {
		return hash, tooLong(longest)
	}
	h := sha256.New()
	for have := int64(0); have < length; {
		room := nextRead(have, length)
		if b.free.Load() < room-have {
			return hash, noRoom()
		}
		if _, err := io.CopyN(h, r.Body, room-have); err != nil {
			return hash, endedEarly(err)
		}
		have = room
	}
	h.Sum(hash[:0])
	return hash, nil
}

// nextRead is how much of a body there is after the next step.
func nextRead(have, length int64) int64 { return min(length, max(firstRead, 2*have)) }

func tooLong(longest int64) error {
	return popkv.Errorf(popkv.TooLarge, "the body is longer than %d bytes", longest)
}

func noRoom() error {
	return popkv.Errorf(popkv.Unavailable, "too many large requests at once: try again")
}

func endedEarly(err error) error {
	return popkv.Wrap(popkv.Malformed, err, "the body ended early")
}
