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

// errSlow stops a run that took too long to go on unmetered.
var errSlow = errors.New("the function is slow")

// errWaited is for a run that waited so long for the processor that its regular
// expressions may have been wrong.
var errWaited = errors.New("the function waited for the processor")

// A watch stops a run from outside.
//
// To ask for the processor time of a thread, or just for its name, costs a tenth
// of a short run. So a run is unmetered first: nobody looks at it unless it takes
// longer than shortRun on the wall clock, which may be its own doing or that of
// the machine. Then it is stopped, forgotten, and made again, metered: looked at
// for the first time after min(HardLimit, watchPeriod), then every watchPeriod.
// Nobody can tell: a function changes nothing, and reads one version of its store.
type watch struct {
	inv     *invocation
	start   time.Time
	began   time.Time     // earlier if the run is not the first one: see [Program.Run]
	used    time.Duration // on the thread's clock when the run began, if it is metered
	spent   time.Duration // on the clock of the hard limit when the run began
	stopCtx func() bool

	mu    sync.Mutex
	timer *time.Timer
	heap  uint64 // bytes at the first look
	done  bool
}

const (
	shortRun    = 10 * time.Millisecond
	watchPeriod = 10 * time.Millisecond
)

func startWatch(ctx context.Context, inv *invocation, began time.Time) *watch {
	w := &watch{inv: inv, start: time.Now(), began: began}
	if ctx.Done() != nil {
		w.stopCtx = context.AfterFunc(ctx, func() { inv.stop(context.Cause(ctx)) })
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	o := inv.options
	if o.Thread == nil {
		w.timer = time.AfterFunc(min(o.HardLimit, shortRun), func() { inv.stop(errSlow) })
		return w
	}
	w.used = o.Thread.Used()
	w.spent = w.limited()
	w.timer = time.AfterFunc(min(o.HardLimit, watchPeriod), w.look)
	return w
}

// limited is the clock that the hard limit is about.
func (w *watch) limited() time.Duration {
	if w.inv.options.WholeProcess {
		return processUsed()
	}
	return w.inv.options.Thread.Used()
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
	o := w.inv.options
	cpu := w.limited() - w.spent
	if cpu >= o.HardLimit || time.Since(w.began) >= o.WallLimit || heap > w.heap+uint64(o.MemoryLimit) {
		w.inv.stop(errExceeded)
		return
	}
	w.timer.Reset(max(min(o.HardLimit-cpu, watchPeriod), time.Millisecond))
}

// stop ends the watch and returns the time used: of the processor if the run is
// metered, else on the wall clock.
func (w *watch) stop() time.Duration {
	used := time.Since(w.start)
	if t := w.inv.options.Thread; t != nil {
		used = t.Used() - w.used
	}
	if w.stopCtx != nil {
		w.stopCtx()
	}
	w.timer.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = true
	return used
}

func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
