package cfworker

import (
	"sync"
	"time"
)

// A watch kills a process whose call takes half as long again as the limits
// allow. The worker stops a run at the limit itself, where it can; what is
// killed is a run that it cannot stop. Long before that the call is called slow
// and yields turn and processor to others.
type watch struct {
	p     *process
	clock processClock
	cpu   time.Duration // limits
	wall  time.Duration

	mu      sync.Mutex
	timer   *time.Timer
	turn    *turn         // of the call that runs, nil between calls
	stopped bool          // killed
	began   time.Time     // the call
	used    time.Duration // on the clock when the call began
}

// slowAfter is when a call with a limit is called slow.
func slowAfter(limit time.Duration) time.Duration { return killAfter(limit) / slowShare }

// killAfter is when a process is killed that ought to have stopped at a limit.
func killAfter(limit time.Duration) time.Duration { return limit * 3 / 2 }

const (
	minLook   = time.Millisecond     // the shortest time between two looks at the clock
	slowLook  = 5 * time.Millisecond // the same for a slow call: the kernel looks, too
	slowShare = 10                   // a call is slow after this part of its limit
)

func (w *watch) init(p *process) {
	w.p = p
	w.clock = clockOf(p.cmd.Process.Pid)
	w.cpu = killAfter(p.o.HardLimit)
	w.wall = killAfter(p.o.WallLimit)
	w.timer = time.AfterFunc(time.Hour, w.look)
	w.timer.Stop()
}

// begin starts the watch of a call and returns what the process has used.
func (w *watch) begin(t *turn) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turn = t
	w.began = time.Now()
	w.used = w.clock.now()
	w.timer.Reset(w.until(w.cpu/slowShare, w.wall, 0, 0))
	return w.used
}

// end returns whether the watch killed the process.
func (w *watch) end() (stopped bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.turn = nil
	return w.stopped
}

// until is the shortest time in which a limit can be reached.
func (w *watch) until(cpuLimit, wallLimit, cpu, wall time.Duration) time.Duration {
	return max(minLook, min((cpuLimit-cpu)/workerProcessors, wallLimit-wall))
}

// look kills the process if the call is over a limit and comes back later if
// not.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turn == nil {
		return
	}
	wall := time.Since(w.began)
	cpu := wall
	if w.clock.works() {
		cpu = w.clock.now() - w.used
	}
	switch {
	case cpu >= w.cpu || wall >= w.wall:
		w.stopped, w.turn = true, nil
		w.p.kill()
	case cpu >= w.cpu/slowShare:
		if w.turn.yield() && !w.turn.alone() {
			w.p.yieldProcessor()
		}
		w.timer.Reset(max(slowLook, w.until(w.cpu, w.wall, cpu, wall)))
	default:
		w.timer.Reset(w.until(w.cpu/slowShare, w.wall, cpu, wall))
	}
}
