package cfworker

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/cfjs"
)

// The first call of a program runs in the slow lane, and no other one beside it.
func TestAProgramIsOnTrialFirst(t *testing.T) {
	pool := newPool(t, Options{Calls: 4})
	var lanes []int // calls in the slow lane, at each read
	var mu sync.Mutex
	c := typicalCall()
	c.Store = looking{c.Store, func() {
		mu.Lock()
		defer mu.Unlock()
		lanes = append(lanes, len(pool.turns.slow), len(pool.turns.quick))
	}}
	mustRun(t, pool, c)
	mustRun(t, pool, c)
	if len(lanes) != 4 || lanes[0] != 1 || lanes[1] != 0 || lanes[2] != 0 || lanes[3] != 1 {
		t.Errorf("calls in the slow and the quick lane at each read: %v, want 1 0, then 0 1", lanes)
	}
}

// A program that was stopped is in the slow lane until it was quick again.
func TestAStoppedProgramGoesToTheSlowLane(t *testing.T) {
	pool := newPool(t, Options{})
	c := code(`if (event.request.uri == '/loop') { for (;;) {} } return event.request;`)
	run := func(uri string, quick bool) {
		t.Helper()
		event := *c.Event
		event.Request.URI = uri
		now, trial, err := pool.trials.begin(t.Context(), c.Program.hash)
		if err != nil || trial || now != quick {
			t.Fatalf("before %s: quick %t, trial %t, %v", uri, now, trial, err)
		}
		call := c
		call.Event = &event
		if result := mustRun(t, pool, call); result.Exceeded != (uri == "/loop") {
			t.Errorf("%s: %+v", uri, result)
		}
	}
	mustRun(t, pool, c)
	run("/", true)
	run("/loop", true)
	run("/loop", false)
	run("/", false)
	run("/", true)
}

// Calls that waited while their function was stopped again and again are refused.
func TestCallsThatWaitAreRefusedToo(t *testing.T) {
	const calls = 30
	pool := newPool(t, Options{Calls: 2})
	c := code(`for (;;) {}`)
	c.Function = "loop"
	var stopped, refused atomic.Int32
	var group sync.WaitGroup
	for range calls {
		group.Go(func() {
			result, err := pool.Run(t.Context(), c)
			switch {
			case popkv.KindOf(err) == popkv.Throttled:
				refused.Add(1)
			case err == nil && result.Exceeded:
				stopped.Add(1)
			default:
				t.Errorf("%v %+v", err, result)
			}
		})
	}
	group.Wait()
	// One is stopped at a time on trial, then two are.
	if n := stopped.Load(); n < breakerStrikes || n > breakerStrikes+1 || n+refused.Load() != calls {
		t.Errorf("%d calls were stopped and %d refused", n, refused.Load())
	}
}

func TestTrials(t *testing.T) {
	trials := newTrials()
	one, other := programHash{1}, programHash{2}
	begin := func(h programHash, wantQuick, wantTrial bool) {
		t.Helper()
		if quick, trial, err := trials.begin(t.Context(), h); err != nil || quick != wantQuick || trial != wantTrial {
			t.Errorf("quick %t, trial %t, %v, want %t and %t", quick, trial, err, wantQuick, wantTrial)
		}
	}
	begin(one, false, true)
	begin(other, false, true) // waits for nobody
	tired := errors.New("tired")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(tired)
	if _, _, err := trials.begin(ctx, one); err != tired {
		t.Errorf("%v, want the context's cause", err)
	}
	// The next call is on trial if the first one had no outcome.
	second := make(chan bool)
	go func() {
		_, trial, _ := trials.begin(context.Background(), one)
		second <- trial
	}()
	trials.end(one)
	if !<-second {
		t.Error("after a trial without outcome the next call is none")
	}
	trials.judge(one, true)
	trials.end(one)
	begin(one, true, false)
	trials.judge(other, false)
	trials.end(other)
	begin(other, false, false)
	for i := range maxVerdicts + 10 {
		trials.judge(programHash{3, byte(i), byte(i >> 8)}, true)
	}
	if n := len(trials.verdicts); n != maxVerdicts || len(trials.running) != 0 {
		t.Errorf("%d verdicts, %d running trials", n, len(trials.running))
	}
}

// aTurn is a turn of nobody else's.
func aTurn(t *testing.T) *turn {
	turn, err := newTurns(1).take(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	return turn
}

// A looking store calls a function when it is read.
type looking struct {
	cfjs.Store
	look func()
}

// Get implements [cfjs.Store].
func (l looking) Get(key string) (string, bool) {
	l.look()
	return l.Store.Get(key)
}
