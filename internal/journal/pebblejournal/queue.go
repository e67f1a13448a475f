package pebblejournal

import (
	"fmt"
	"sync"

	"github.com/popkv/popkv/internal/journal"
)

// Bounds of the queue and of one batch.
const (
	queueCommits = 4096
	queueBytes   = 32 << 20
	batchCommits = 512
	batchBytes   = 1 << 20
)

// A request is one commit on its way. It is answered once, and only the
// answer that comes first counts.
type request struct {
	txn       journal.Txn
	sizeBytes int
	forced    bool          // put a root record and sync even if nothing changes
	exclusive bool          // has a batch of its own, built when all before it are applied
	done      chan struct{} // closed with the answer

	once sync.Once
	rev  journal.Rev
	err  error
}

func newRequest(t journal.Txn) *request {
	r := &request{txn: t, sizeBytes: t.SizeBytes(), done: make(chan struct{})}
	for _, op := range t.Ops {
		r.exclusive = r.exclusive || op.Kind == journal.DeleteRange
	}
	return r
}

// newForced returns a request that is carried out even when the disk is nearly
// full.
func newForced(t journal.Txn) *request {
	r := newRequest(t)
	r.forced, r.exclusive = true, true
	return r
}

func (r *request) answer(rev journal.Rev, err error) {
	r.once.Do(func() {
		r.rev, r.err = rev, err
		close(r.done)
	})
}

// A queue holds the requests that the committer has not begun on.
type queue struct {
	ready chan struct{} // has a token when there may be something to take

	mu      sync.Mutex
	waiting []*request
	bytes   int
	closed  error
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1)} }

// put adds a request or says why it is refused.
func (q *queue) put(r *request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		return q.closed
	}
	if len(q.waiting) >= queueCommits || q.bytes+r.sizeBytes > queueBytes {
		return fmt.Errorf("%w: %d commits wait", journal.ErrRefused, len(q.waiting))
	}
	q.waiting = append(q.waiting, r)
	q.bytes += r.sizeBytes
	q.wake()
	return nil
}

func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// withdraw reports whether the request was still waiting; it never applies
// then.
func (q *queue) withdraw(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, w := range q.waiting {
		if w == r {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			q.bytes -= r.sizeBytes
			return true
		}
	}
	return false
}

// take returns the requests of the next batch, and calls taken with them
// before anyone can miss them.
func (q *queue) take(taken func([]*request)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, bytes := 0, 0
	for n < len(q.waiting) && n < batchCommits {
		r := q.waiting[n]
		if n > 0 && (r.exclusive || bytes+r.sizeBytes > batchBytes) {
			break
		}
		n++
		bytes += r.sizeBytes
		if r.exclusive {
			break
		}
	}
	if n == 0 {
		return
	}
	taken(append([]*request(nil), q.waiting[:n]...))
	rest := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[rest:])
	q.waiting = q.waiting[:rest]
	q.bytes -= bytes
	if rest > 0 {
		q.wake()
	}
}

// refuse answers everything that waits.
func (q *queue) refuse(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.waiting {
		r.answer(0, err)
	}
	clear(q.waiting)
	q.waiting, q.bytes = q.waiting[:0], 0
}

// close refuses what waits and all that comes.
func (q *queue) close(err error) {
	q.mu.Lock()
	if q.closed == nil {
		q.closed = err
	}
	q.mu.Unlock()
	q.refuse(err)
}
