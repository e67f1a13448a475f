package cfworker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/popkv/popkv"
)

// turns let a number of calls run at once and the others wait, in three lanes
// with as many places each. A call that turns out to be slow changes to the slow
// lane and makes room for another one: the short calls, which are all the honest
// ones, do not queue behind the slow ones.
type turns struct {
	lanes   [lanes]chan struct{} // an element for each call in the lane
	closing context.Context      // ends when the turns are closed
	stop    context.CancelCauseFunc
	// When a call last got no processor because it gave way.
	lastStarved atomic.Pointer[time.Time]

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // grows only while not closed
}

// A lane is for one kind of calls: of programs that have shown to be quick, of
// those that never ran, and slow ones.
type lane int

const (
	quickLane lane = iota
	trialLane
	slowLane
	lanes
)

func newTurns(n int) *turns {
	t := &turns{}
	for i := range t.lanes {
		t.lanes[i] = make(chan struct{}, n)
	}
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
	lane lane
	firm bool // does not give way
}

// firmTime is how long no call gives way after one got no processor for it: this
// program is not all that the machine does.
const firmTime = 10 * time.Second

// take waits for a turn, which the caller must give back.
func (t *turns) take(ctx context.Context, l lane) (*turn, error) {
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
	case t.lanes[l] <- struct{}{}:
		return &turn{t: t, lane: l}, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-t.closing.Done():
		err = errClosed()
	}
	t.calls.Done()
	return nil, err
}

// yield changes to the slow lane. It returns false if that is full.
func (u *turn) yield() bool {
	if u.lane == slowLane {
		return true
	}
	select {
	case u.t.lanes[slowLane] <- struct{}{}:
		<-u.t.lanes[u.lane]
		u.lane = slowLane
		return true
	default:
		return false
	}
}

// givesWay reports whether the call must let others have the processor first:
// if there are any, and if it gets one at all then.
func (u *turn) givesWay() bool {
	if u.firm || u.t.running() <= 1 {
		return false
	}
	last := u.t.lastStarved.Load()
	return last == nil || time.Since(*last) > firmTime
}

// running is how many calls have a turn.
func (t *turns) running() (n int) {
	for _, l := range t.lanes {
		n += len(l)
	}
	return n
}

// starved remembers that a call got no processor.
func (u *turn) starved() {
	now := time.Now()
	u.t.lastStarved.Store(&now)
}

func (u *turn) giveBack() {
	<-u.t.lanes[u.lane]
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
