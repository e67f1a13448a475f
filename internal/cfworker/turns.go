package cfworker

import (
	"context"
	"sync"

	"github.com/popkv/popkv"
)

// turns let a number of calls run at once and the others wait. A call that turns
// out to be slow makes room for another one, as long as there are not too many
// slow ones: the short calls, which are all the honest ones, do not queue
// behind them.
type turns struct {
	taken   chan struct{}   // an element for each call that is not slow
	slow    chan struct{}   // an element for each that is
	closing context.Context // ends when the turns are closed
	stop    context.CancelCauseFunc

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // grows only while not closed
}

func newTurns(n int) *turns {
	t := &turns{taken: make(chan struct{}, n), slow: make(chan struct{}, n)}
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
	slow bool
}

// take waits for a turn, which the caller must give back.
func (t *turns) take(ctx context.Context) (*turn, error) {
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
	var err error
	select {
	case t.taken <- struct{}{}:
		return &turn{t: t}, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-t.closing.Done():
		err = errClosed()
	}
	t.calls.Done()
	return nil, err
}

// yield lets another call run beside this one and returns true, unless it did
// so before or there are too many slow calls.
func (u *turn) yield() bool {
	if u.slow {
		return false
	}
	select {
	case u.t.slow <- struct{}{}:
		<-u.t.taken
		u.slow = true
		return true
	default:
		return false
	}
}

func (u *turn) giveBack() {
	if u.slow {
		<-u.t.slow
	} else {
		<-u.t.taken
	}
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
