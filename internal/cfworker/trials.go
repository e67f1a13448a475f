package cfworker

import (
	"context"
	"sync"
)

// trials know which programs are quick. One that never ran is on trial: its first
// call gives way to those of quick programs, and the others wait for the outcome,
// so that no program takes a turn from others before it has shown that it needs
// it for a short time only.
type trials struct {
	mu       sync.Mutex
	verdicts map[programHash]bool          // whether the last run was quick
	running  map[programHash]chan struct{} // closed when the trial is over
}

// maxVerdicts bounds what is remembered.
const maxVerdicts = 8192

func newTrials() *trials {
	return &trials{verdicts: map[programHash]bool{}, running: map[programHash]chan struct{}{}}
}

// begin says in which lane a call runs. One in the trial lane must end the trial.
// The error is ctx's cause.
func (t *trials) begin(ctx context.Context, h programHash) (lane, error) {
	for {
		t.mu.Lock()
		quick, known := t.verdicts[h]
		over, running := t.running[h]
		if !known && !running {
			t.running[h] = make(chan struct{})
		}
		t.mu.Unlock()
		switch {
		case known && quick:
			return quickLane, nil
		case known:
			return slowLane, nil
		case !running:
			return trialLane, nil
		}
		select {
		case <-over:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
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
