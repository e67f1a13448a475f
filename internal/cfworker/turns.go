package cfworker

import (
	"context"
	"sync"

	"github.com/popkv/popkv"
)

// turns let a number of calls run at once and the others wait, in two lanes. A
// call that turns out to be slow changes to the slow lane, where there are as
// many places, and makes room for another one: the short calls, which are all
// the honest ones, do not queue behind the slow ones.
type turns struct {
	quick   chan struct{}   // an element for each call in this lane
	slow    chan struct{}   // the same
	closing context.Context // ends when the turns are closed
	stop    context.CancelCauseFunc

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // grows only while not closed
}

func newTurns(n int) *turns {
	t := &turns{quick: make(chan struct{}, n), slow: make(chan struct{}, n)}
	t.closing, t.stop = context.WithCancelCause(context.Background())
	return t
}

// errClosed is what Run says after Close.
func errClosed() error {
	return popkv.Errorf(popkv.Unavailable, "functions do not run any more: the server is stopping")
}

// A turn is one call's right to run. One goroutine at a time uses it.
type turn struct {
	t    *turns
	slow bool // which lane
}

// take waits for a turn, which the caller must give back.
func (t *turns) take(ctx context.Context, slow bool) (*turn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil, errClosed()
	}
	t.calls.Add(1)
	t.mu.Unlock()
	u := &turn{t, slow}
	var err error
	select {
	case u.lane() <- struct{}{}:
		return u, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-t.closing.Done():
		err = errClosed()
	}
	t.calls.Done()
	return nil, err
}

func (u *turn) lane() chan struct{} {
	if u.slow {
		return u.t.slow
	}
	return u.t.quick
}

// yield changes to the slow lane. It returns false if that is full.
func (u *turn) yield() bool {
	if u.slow {
		return true
	}
	select {
	case u.t.slow <- struct{}{}:
		<-u.t.quick
		u.slow = true
		return true
	default:
		return false
	}
}

// alone reports whether no other call runs.
func (u *turn) alone() bool { return len(u.t.quick)+len(u.t.slow) <= 1 }

func (u *turn) giveBack() {
	<-u.lane()
	u.t.calls.Done()
}

// close refuses further turns and ends the context closing. wait returns when
// every turn was given back.
func (t *turns) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.stop(errClosed())
}

func (t *turns) wait() { t.calls.Wait() }
