package cfworker

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/cfjs"
)

// A Pool runs functions in worker processes. None is started before the first
// call; from then on one always waits. There are at most four times as many as
// quick calls may run at once, and one: calls that are slow or new have as many
// places again each, and what gets ready for its next call counts, too.
type Pool struct {
	o       Options
	turns   *turns
	trials  *trials
	breaker *breaker
	starter *starter

	work sync.WaitGroup // goroutines that start and bury processes

	mu       sync.Mutex
	idle     []*process      // the one used last is last
	waiting  []chan handover // calls that found no process, the first come first; there are no idle ones then
	starting int             // processes that will be idle, or handed over, when they are ready
	renewing int             // the same, but their worn threads must run once more before: that may take long
	live     map[*process]struct{}
	closed   bool
	reaper   *time.Timer
	reaping  bool // the reaper is set
	stats    Stats
}

// A handover is what a waiting call gets.
type handover struct {
	w   *process
	err error
}

// Stats say what a [Pool] has and what it has done.
type Stats struct {
	Workers int    // processes that live
	Started uint64 // processes ever started
	Killed  uint64 // processes that a call cost
}

// NewPool makes a pool.
func NewPool(o Options) *Pool {
	o = o.withDefaults()
	p := &Pool{
		o: o, turns: newTurns(o.Calls), trials: newTrials(), breaker: newBreaker(o.Now), starter: newStarter(),
		live: map[*process]struct{}{},
	}
	p.reaper = time.AfterFunc(time.Hour, func() { p.reap(p.o.Now()) })
	p.reaper.Stop()
	return p
}

// Run implements [Runner]. ctx bounds the wait for a turn. A run that has begun
// ends by its own limits: to stop it earlier would cost a process.
func (p *Pool) Run(ctx context.Context, c Call) (cfjs.Result, error) {
	if err := p.breaker.admit(c); err != nil {
		return cfjs.Result{}, err
	}
	lane, err := p.trials.begin(ctx, c.Program.hash)
	if err != nil {
		return cfjs.Result{}, err
	}
	if lane == trialLane {
		defer p.trials.end(c.Program.hash)
	}
	turn, err := p.turns.take(ctx, lane)
	if err != nil {
		return cfjs.Result{}, err
	}
	defer turn.giveBack()
	if err := p.breaker.admit(c); err != nil { // may have changed meanwhile
		return cfjs.Result{}, err
	}
	result, err := p.run(ctx, c, turn)
	if err == errStarved {
		turn.firm = true
		result, err = p.run(ctx, c, turn) // nobody can tell that it is the second time
	}
	if result.Exceeded {
		p.breaker.record(c)
	}
	quick := !result.Exceeded && result.CPU < slowAfter(p.o.HardLimit)
	if err == nil && (lane == trialLane || quick != (lane == quickLane)) {
		p.trials.judge(c.Program.hash, quick)
	}
	if popkv.KindOf(err) == popkv.Internal && err != nil {
		p.o.Logger.Error("a function run failed", "function", c.Function, "error", err)
	}
	return result, err
}

// run runs a call, which has a turn, in the next process that is free.
func (p *Pool) run(ctx context.Context, c Call, turn *turn) (cfjs.Result, error) {
	w, err := p.take(ctx)
	if err != nil {
		return cfjs.Result{}, err
	}
	defer p.giveBack(w)
	return w.run(c, turn)
}

// Stats returns the counts.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Workers = len(p.live)
	return s
}

// take returns a process for one call: the first that is free or ready.
func (p *Pool) take(ctx context.Context) (*process, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed()
	}
	for len(p.idle) > 0 {
		w := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if w.alive() {
			p.startMissing()
			p.mu.Unlock()
			return w, nil
		}
	}
	mine := make(chan handover, 1)
	p.waiting = append(p.waiting, mine)
	p.startMissing()
	p.mu.Unlock()
	select {
	case h := <-mine:
		return h.w, h.err
	case <-ctx.Done():
		p.stopWaiting(mine)
		return nil, context.Cause(ctx)
	}
}

// stopWaiting gives back what a call that has ceased to wait may have got.
func (p *Pool) stopWaiting(mine chan handover) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.waiting, mine)
	if i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	} else if h := <-mine; h.w != nil {
		p.putBack(h.w)
	}
}

// startMissing starts a process for every call that waits, or the spare if
// none is idle. p.mu is held.
func (p *Pool) startMissing() {
	wanted := len(p.waiting)
	if len(p.idle) == 0 && p.renewing == 0 {
		wanted = max(wanted, 1)
	}
	quiet := len(p.waiting) == 0
	for p.starting < wanted && !p.closed {
		p.prepare(&p.starting, func() (*process, error) { return p.start(quiet) }, func(err error) {
			if !p.closed {
				p.o.Logger.Error("a function worker cannot be started", "error", err)
			}
			p.handOver(handover{nil, popkv.Wrap(popkv.Unavailable, err, "no function worker can be started")})
		})
	}
}

// prepare lets f make a process ready, which is counted, and puts it back then.
// failed is told why that failed. p.mu is held, now and when failed runs.
func (p *Pool) prepare(count *int, f func() (*process, error), failed func(error)) {
	*count++
	p.work.Go(func() {
		w, err := f()
		p.mu.Lock()
		defer p.mu.Unlock()
		*count--
		if err != nil {
			failed(err)
			return
		}
		p.putBack(w)
	})
}

// handOver gives the call that has waited longest what it waits for.
func (p *Pool) handOver(h handover) (taken bool) {
	if len(p.waiting) == 0 {
		return false
	}
	p.waiting[0] <- h
	p.waiting = p.waiting[1:]
	return true
}

// start starts a process and waits until it is ready. A quiet one lets others have
// the processor first.
func (p *Pool) start(quiet bool) (*process, error) {
	w, err := newProcess(&p.o)
	if err != nil {
		return nil, err
	}
	w.quiet = quiet
	p.starter.do(func() { err = w.start() })
	if err != nil {
		return nil, err
	}
	p.enter(w)
	return w, w.setUp()
}

// enter keeps account of a process until it has ended.
func (p *Pool) enter(w *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Started++
	p.live[w] = struct{}{}
	p.work.Go(func() {
		<-w.exited
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.live, w)
	})
	if p.closed {
		w.kill()
	}
	if !p.reaping {
		p.reaping = true
		p.reaper.Reset(p.o.IdleTime)
	}
}

// giveBack takes a process back after a call. One that the call has ended is
// replaced, and one whose thread it has worn gets another.
func (p *Pool) giveBack(w *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lost := func(err error) {
		if err != nil && !p.closed {
			p.o.Logger.Error("a function worker is lost", "error", err)
		}
		p.stats.Killed++
		p.startMissing()
	}
	switch {
	case !w.alive():
		lost(nil)
	case w.worn && p.renewing >= p.o.Calls: // they do not seem to get a processor
		w.kill()
		lost(nil)
	case w.worn:
		p.prepare(&p.renewing, func() (*process, error) { return w, w.renew() }, lost)
	default:
		p.putBack(w)
	}
}

// putBack gives a process to a call that waits, or lets it wait itself. p.mu is
// held.
func (p *Pool) putBack(w *process) {
	w.idleSince = p.o.Now()
	if !p.handOver(handover{w, nil}) {
		p.idle = append(p.idle, w)
	}
	p.startMissing()
}

// reap ends processes that have waited for too long. One is kept, and a second
// one as its spare while there are calls.
func (p *Pool) reap(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	expired := func(w *process) bool { return now.Sub(w.idleSince) >= p.o.IdleTime }
	keep := 2
	if n := len(p.idle); n > 0 && expired(p.idle[n-1]) {
		keep = 1
	}
	for len(p.idle) > keep && expired(p.idle[0]) {
		p.idle[0].kill()
		p.idle = p.idle[1:]
	}
	if p.reaping = len(p.live) > 1 && !p.closed; p.reaping {
		p.reaper.Reset(p.o.IdleTime)
	}
}

// Close implements [Runner]. Runs in progress fail with [popkv.Unavailable].
func (p *Pool) Close() error {
	p.turns.close()
	p.mu.Lock()
	closed := p.closed
	p.closed = true
	p.reaper.Stop()
	p.idle = nil
	for w := range p.live {
		w.kill()
	}
	for p.handOver(handover{nil, errClosed()}) {
	}
	p.mu.Unlock()
	p.turns.wait()
	p.work.Wait()
	if !closed {
		p.starter.close()
	}
	return nil
}
