package cfworker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/cfjs"
)

// The first call of a program is on trial.
func TestAProgramIsOnTrialFirst(t *testing.T) {
	pool := newPool(t, Options{Calls: 4, HardLimit: 10 * time.Second, WallLimit: time.Minute})
	var taken [][lanes]int // the calls in each lane, at each read
	c := typicalCall()
	c.Store = looking{c.Store, func() {
		var n [lanes]int
		for i, l := range pool.turns.lanes {
			n[i] = len(l)
		}
		taken = append(taken, n)
	}}
	mustRun(t, pool, c)
	mustRun(t, pool, c)
	want := [][lanes]int{{trialLane: 1}, {quickLane: 1}}
	if diff := cmp.Diff(want, taken); diff != "" {
		t.Error(diff)
	}
}

// A program that was stopped, or slow, is in the slow lane until it was quick
// again.
func TestASlowProgramGoesToTheSlowLane(t *testing.T) {
	o := Options{HardLimit: 500 * time.Millisecond, WallLimit: time.Minute}
	const probe = 500_000
	loop := func(n int) string { return fmt.Sprintf("for (let i = 0; i < %d; i++) {}", n) }
	took := mustRun(t, newPool(t, o), code(loop(probe)+" return event.request;")).CPU
	slow := loop(int(probe * (o.HardLimit / 3) / took)) // between slow and stopped, on any machine
	pool := newPool(t, o)
	c := code(`
		if (event.request.uri == '/loop') { for (;;) {} }
		if (event.request.uri == '/slow') { ` + slow + ` }
		return event.request;`)
	run := func(uri string, want lane) {
		t.Helper()
		event := *c.Event
		event.Request.URI = uri
		got, err := pool.trials.begin(t.Context(), c.Program.hash)
		if err != nil || got != want {
			t.Fatalf("before %s: lane %d, %v, want %d", uri, got, err, want)
		}
		if got == trialLane {
			pool.trials.end(c.Program.hash)
		}
		call := c
		call.Event = &event
		result := mustRun(t, pool, call)
		if result.Exceeded != (uri == "/loop") {
			t.Errorf("%s: %+v", uri, result)
		}
	}
	run("/", trialLane)
	run("/", quickLane)
	run("/loop", quickLane)
	run("/loop", slowLane)
	run("/", slowLane)
	run("/slow", quickLane)
	run("/", slowLane)
	run("/", quickLane)

	c.Program = NewProgram([]byte(`function handler(event) { `+slow+` return event.request; }`), cfjs.Runtime20)
	run("/", trialLane)
	run("/", slowLane)
}

// Calls of one kind do not wait for those of another.
func TestLanes(t *testing.T) {
	turns := newTurns(1)
	take := func(l lane) *turn {
		t.Helper()
		turn, err := turns.take(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		return turn
	}
	slow := take(quickLane)
	if !slow.yield() || !slow.yield() || slow.lane != slowLane {
		t.Error("a quick call does not change to the slow lane")
	}
	quick, trial := take(quickLane), take(trialLane)
	if trial.yield() || trial.lane != trialLane {
		t.Error("a call changes to a lane that is full")
	}
	slow.giveBack()
	if !trial.yield() || trial.lane != slowLane {
		t.Error("a trial does not change to the slow lane")
	}
	again := take(trialLane)
	for _, turn := range []*turn{quick, trial, again} {
		turn.giveBack()
	}
	if n := turns.running(); n != 0 {
		t.Errorf("%d calls still have a turn", n)
	}
}

// What goes wrong in a store costs the call its worker, and nothing else.
func TestAPanicOfTheStore(t *testing.T) {
	pool := newPool(t, Options{Calls: 1})
	mustRun(t, pool, typicalCall())
	c := typicalCall()
	c.Store = looking{c.Store, func() { panic("defect of the store") }}
	for range 3 {
		func() {
			defer func() {
				if v := recover(); v != "defect of the store" {
					t.Errorf("recovered %v", v)
				}
			}()
			pool.Run(t.Context(), c)
		}()
		if n := pool.turns.running(); n != 0 {
			t.Fatalf("%d calls still have a turn", n)
		}
		if result := mustRun(t, pool, typicalCall()); result.Failure != cfjs.NoFailure {
			t.Errorf("%+v", result)
		}
	}
	if s := pool.Stats(); s.Killed != 3 {
		t.Errorf("%+v, want three workers lost", s)
	}
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
	begin := func(h programHash, want lane) {
		t.Helper()
		if got, err := trials.begin(t.Context(), h); err != nil || got != want {
			t.Errorf("lane %d, %v, want %d", got, err, want)
		}
	}
	begin(one, trialLane)
	begin(other, trialLane) // waits for nobody
	tired := errors.New("tired")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(tired)
	if _, err := trials.begin(ctx, one); err != tired {
		t.Errorf("%v, want the context's cause", err)
	}
	// The next call is on trial if the first one had no outcome.
	second := make(chan lane)
	go func() {
		l, _ := trials.begin(context.Background(), one)
		second <- l
	}()
	trials.end(one)
	if <-second != trialLane {
		t.Error("after a trial without outcome the next call is none")
	}
	trials.judge(one, true)
	trials.end(one)
	begin(one, quickLane)
	trials.judge(other, false)
	trials.end(other)
	begin(other, slowLane)
	for i := range maxVerdicts + 10 {
		trials.judge(programHash{3, byte(i), byte(i >> 8)}, true)
	}
	if n := len(trials.verdicts); n != maxVerdicts || len(trials.running) != 0 {
		t.Errorf("%d verdicts, %d running trials", n, len(trials.running))
	}
}

// aTurn is a turn of nobody else's.
func aTurn(t *testing.T) *turn {
	turn, err := newTurns(1).take(t.Context(), quickLane)
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
