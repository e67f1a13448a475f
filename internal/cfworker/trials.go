package cfworker

import (
	"context"
	"sync"
)

// trials know which programs are quick. One that never ran is on trial: its first
// call runs in the slow lane and the others wait for the outcome, so that no
// program can take time from others before it showed that it needs little. One
// that was stopped goes back to the slow lane until a run of it is quick.
type trials struct {
	mu       sync.Mutex
	verdicts map[programHash]bool          // whether the program is quick
	running  map[programHash]chan struct{} // closed when the trial is over
}

// maxVerdicts bounds what is remembered.
const maxVerdicts = 8192

func newTrials() *trials {
	return &trials{verdicts: map[programHash]bool{}, running: map[programHash]chan struct{}{}}
}

// begin says how a call runs. If it is a trial, the caller must end it. The error
// is ctx's cause.
func (t *trials) begin(ctx context.Context, h programHash) (quick, trial bool, err error) {
	for {
		t.mu.Lock()
		quick, known := t.verdicts[h]
		over, running := t.running[h]
		if !known && !running {
			trial = true
			t.running[h] = make(chan struct{})
		}
		t.mu.Unlock()
		if known || trial {
			return quick, trial, nil
		}
		select {
		case <-over:
		case <-ctx.Done():
			return false, false, context.Cause(ctx)
		}
	}
}

// end ends a trial. Without a verdict the next call is one.
func (t *trials) end(h programHash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.running[h])
	delete(t.running, h)
}

// judge remembers how a run went.
func (t *trials) judge(h programHash, quick bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.verdicts[h]; !known && len(t.verdicts) >= maxVerdicts {
		for other := range t.verdicts { // any
			delete(t.verdicts, other)
			break
		}
	}
	t.verdicts[h] = quick
}
