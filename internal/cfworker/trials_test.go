package cfworker

import (
	"context"
	"errors"
	"sync"
	"testing"

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
