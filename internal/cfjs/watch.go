package cfjs

import (
	"context"
	"errors"
	"runtime/metrics"
	"sync"
	"time"
)

// errExceeded stops a run that used up its processor time, wall time or memory.
var errExceeded = errors.New("the function ran too long or used too much memory")

// A watch stops a run from outside. It looks at the run only when it is slow:
// the first time after min(HardLimit, watchPeriod), then every watchPeriod.
type watch struct {
	inv     *invocation
	clock   cpuClock
	start   time.Time
	used    time.Duration // on the clock when the run began
	stopCtx func() bool

	mu    sync.Mutex
	timer *time.Timer
	heap  uint64 // bytes at the first look
	done  bool
}

const watchPeriod = 10 * time.Millisecond

func startWatch(ctx context.Context, inv *invocation, clock cpuClock) *watch {
	w := &watch{inv: inv, clock: clock, start: time.Now(), used: clock.now()}
	if ctx.Done() != nil {
		w.stopCtx = context.AfterFunc(ctx, func() {
			inv.over.Store(true)
			inv.vm.Interrupt(context.Cause(ctx))
		})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(min(inv.options.HardLimit, watchPeriod), w.look)
	return w
}

// look interrupts the run if it is over a limit and comes back later if not.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return
	}
	heap := heapBytes()
	if w.heap == 0 {
		w.heap = heap
	}
	cpu, o := w.clock.now()-w.used, w.inv.options
	if cpu >= o.HardLimit || time.Since(w.start) >= o.WallLimit || heap > w.heap+uint64(o.MemoryLimit) {
		w.inv.exceeded()
		return
	}
	w.timer.Reset(max(min(o.HardLimit-cpu, watchPeriod), time.Millisecond))
}

// stop ends the watch and returns the processor time used.
func (w *watch) stop() time.Duration {
	used := w.clock.now() - w.used
	if w.stopCtx != nil {
		w.stopCtx()
	}
	w.timer.Stop()
	w.mu.Lock()
	w.done = true
	w.mu.Unlock()
	return used
}

func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
