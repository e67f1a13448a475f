package cfworker

import (
	"sync"
	"time"
)

// A watch kills a process whose call takes half as long again as the limits
// allow. The worker stops a run at the limit itself, where it can; what is
// killed is a run that it cannot stop. Long before that the call is called slow
// and yields turn and processor to others. If it gets next to no processor then,
// it is not the others of this program that it gave way to, and is killed to be
// made again.
type watch struct {
	p     *process
	clock processClock
	cpu   time.Duration // limits
	wall  time.Duration

	mu      sync.Mutex
	timer   *time.Timer
	turn    *turn         // of the call that runs, nil between calls
	began   time.Time     // the call
	used    time.Duration // on the clock when the call began
	yielded bool          // the call has given way, at thenAt, when it had used cpuThen
	cpuThen time.Duration
	thenAt  time.Duration
	stopped bool // killed
	starved bool // killed, or ended by the wall limit, for want of a processor
}

// slowAfter is when a call with a limit is called slow.
func slowAfter(limit time.Duration) time.Duration { return killAfter(limit) / slowShare }

// killAfter is when a process is killed that ought to have stopped at a limit.
func killAfter(limit time.Duration) time.Duration { return limit * 3 / 2 }

const (
	minLook   = time.Millisecond     // the shortest time between two looks at the clock
	slowLook  = 5 * time.Millisecond // the same for a slow call: the kernel looks, too
	slowShare = 10                   // a call is slow after this part of the time after which it is killed

	// What gives way to the calls of this program alone still gets a tenth of a
	// processor, rarely less than a thirtieth; what gives way to programs that
	// compute all the time gets a few thousandths (measured, beside 100 callers and
	// beside four programs on two processors).
	starvedShare = 128
	starvedTime  = 250 * time.Millisecond // after which this is looked at
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
	w.turn, w.yielded, w.stopped, w.starved = t, false, false, false
	w.began = time.Now()
	w.used, _ = w.clock.now()
	if t.lane != quickLane {
		w.giveWay(0, 0)
	}
	w.timer.Reset(w.until(w.cpu/slowShare, 0, 0))
	return w.used
}

// end returns whether the watch killed the process, and whether the call, which
// exceeded a limit or was killed, might have ended well if it had not given way.
func (w *watch) end() (stopped, starved bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.turn = nil
	if cpu, wall, alive := w.spent(); !w.stopped && alive {
		w.starved = w.yielded && wall >= w.p.o.WallLimit && cpu < w.p.o.HardLimit
	}
	return w.stopped, w.starved
}

// spent is what the call has used so far. It is false if the process is gone.
func (w *watch) spent() (cpu, wall time.Duration, alive bool) {
	wall = time.Since(w.began)
	if !w.clock.works() {
		return wall, wall, true
	}
	cpu, alive = w.clock.now()
	return cpu - w.used, wall, alive
}

// giveWay lets whatever else wants to run do so before the worker's function, if
// the call must.
func (w *watch) giveWay(cpu, wall time.Duration) {
	if w.yielded || !w.turn.givesWay() {
		return
	}
	w.yielded, w.cpuThen, w.thenAt = true, cpu, wall
	w.p.worn = true
	yieldProcessor(w.p.thread)
}

// starves reports whether a call that gave way a while ago got next to no
// processor since.
func (w *watch) starves(cpu, wall time.Duration) bool {
	cpu, wall = cpu-w.cpuThen, wall-w.thenAt
	return w.yielded && wall >= w.p.o.starvedTime && cpu*starvedShare < wall
}

// until is the shortest time until a call can reach a limit or be seen to starve.
func (w *watch) until(cpuLimit, cpu, wall time.Duration) time.Duration {
	return max(minLook, min((cpuLimit-cpu)/workerProcessors, w.wall-wall, w.p.o.starvedTime))
}

// look kills the process if the call is over a limit, or starves, and comes back
// later if not.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turn == nil {
		return
	}
	cpu, wall, alive := w.spent()
	if !alive {
		return // the end of its pipe tells
	}
	switch {
	case cpu >= w.cpu:
		w.kill(false)
	case wall >= w.wall:
		w.kill(w.yielded)
	case w.starves(cpu, wall):
		w.turn.starved()
		w.kill(true)
	case cpu >= w.cpu/slowShare:
		if w.turn.yield() {
			w.giveWay(cpu, wall)
		}
		w.timer.Reset(max(slowLook, w.until(w.cpu, cpu, wall)))
	default:
		w.timer.Reset(w.until(w.cpu/slowShare, cpu, wall))
	}
}

func (w *watch) kill(starved bool) {
	w.stopped, w.starved, w.turn = true, starved, nil
	w.p.kill()
}
