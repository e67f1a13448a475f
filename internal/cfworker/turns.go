package cfworker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

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
	starved atomic.Pointer[time.Time] // when a call last got no processor because it gave way

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
	firm bool // does not give way
}

// firmTime is how long no call gives way after one got no processor for it: this
// program is not all that the machine does.
const firmTime = 10 * time.Second

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
	u := &turn{t: t, slow: slow}
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

// givesWay reports whether the call must let others have the processor first:
// if there are any, and if it gets one at all then.
func (u *turn) givesWay() bool {
	if u.firm || len(u.t.quick)+len(u.t.slow) <= 1 {
		return false
	}
	starved := u.t.starved.Load()
	return starved == nil || time.Since(*starved) > firmTime
}

// stand makes the call firm because it got no processor, and for a while all
// others, too.
func (u *turn) stand() {
	u.firm = true
	now := time.Now()
	u.t.starved.Store(&now)
}

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
