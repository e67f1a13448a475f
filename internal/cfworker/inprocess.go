package cfworker

import (
	"context"
	"time"

	"github.com/popkv/popkv/internal/cfjs"
)

// An inProcess runner runs functions in this process.
type inProcess struct {
	turns   *turns
	breaker *breaker
	options cfjs.Options
}

// InProcess returns a [Runner] that needs no other process and protects this
// one only as far as package cfjs can: for tests and for trusted code.
func InProcess(o Options) Runner {
	o = o.withDefaults()
	return &inProcess{
		turns:   newTurns(o.Calls),
		breaker: newBreaker(o.Now),
		options: cfjs.Options{
			Budget: o.Budget, HardLimit: o.HardLimit, WallLimit: o.WallLimit, MemoryLimit: o.MemoryBytes,
			Edge: o.Edge, Logger: o.Logger,
		},
	}
}

// Run implements [Runner]. It ends a run in progress when ctx ends.
func (r *inProcess) Run(ctx context.Context, c Call) (cfjs.Result, error) {
	if err := r.breaker.admit(c); err != nil {
		return cfjs.Result{}, err
	}
	turn, err := r.turns.take(ctx, quickLane)
	if err != nil {
		return cfjs.Result{}, err
	}
	defer turn.giveBack()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.turns.closing, func() { cancel(errClosed()) })()

	options := r.options
	if !c.Now.IsZero() {
		options.Now = func() time.Time { return c.Now }
	}
	result, err := c.Program.compiled().Run(ctx, c.Event, c.Store, options)
	if result.Exceeded {
		r.breaker.record(c)
	}
	return result, err
}

// Close implements [Runner].
func (r *inProcess) Close() error {
	r.turns.close()
	r.turns.wait()
	return nil
}
