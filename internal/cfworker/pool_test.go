package cfworker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/cfjs"
)

func long() bool { return os.Getenv("POPKV_TEST_LONG") != "" }

// newPool makes a pool that the test's end closes. Nothing of it may be left.
func newPool(t testing.TB, o Options) *Pool {
	t.Helper()
	p := NewPool(o)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if s := p.Stats(); s.Workers != 0 {
			t.Errorf("%d workers are left after Close", s.Workers)
		}
	})
	return p
}

// startProcess starts a worker outside a pool.
func startProcess(t *testing.T, o Options) *process {
	t.Helper()
	o = o.withDefaults()
	p, err := newProcess(&o)
	if err != nil {
		t.Fatal(err)
	}
	s := newStarter()
	s.do(func() { err = p.start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.end()
		s.close()
	})
	if err := p.setUp(); err != nil {
		t.Fatal(err)
	}
	return p
}

// code is a call of a function with this handler body.
func code(body string) Call {
	c := typicalCall()
	c.Program = NewProgram([]byte("async function handler(event) { "+body+" }"), cfjs.Runtime20)
	return c
}

func mustRun(t testing.TB, r Runner, c Call) cfjs.Result {
	t.Helper()
	result, err := r.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// until waits for something that another process or goroutine brings about.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("still not: " + what)
		}
		time.Sleep(time.Millisecond)
	}
}

// Both runners give the same result for the same call.
func TestAWorkerDoesWhatTheRuntimeDoes(t *testing.T) {
	created := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	response := typicalCall().Event
	answered := *response
	answered.Context.EventType = cfjs.ViewerResponse
	answered.Response = &cfjs.Response{
		StatusCode: 200, StatusDescription: "OK",
		Headers: cfjs.Fields{{Name: "content-type", Value: cfjs.Value{Text: "text/html"}}},
		Cookies: cfjs.Fields{{Name: "a", Value: cfjs.Value{Text: "1", Attributes: "Path=/"}}},
	}
	with := func(c Call, change func(*Call)) Call { change(&c); return c }
	source := func(text string) func(*Call) {
		return func(c *Call) { c.Program = NewProgram([]byte(text), cfjs.Runtime20) }
	}
	calls := map[string]Call{
		"the typical function": typicalCall(),
		"a response with a body": code(`return {statusCode: 200, headers: {'x-a': {value: 'b', multiValue: [{value: 'b'}, {value: 'c'}]}},
			cookies: {c: {value: '1', attributes: 'Secure'}}, body: {encoding: 'text', data: 'é\u0000'}};`),
		"a viewer response": with(code(`event.response.headers.x = {value: 'y'}; return event.response;`), func(c *Call) { c.Event = &answered }),
		"logs":              code(`console.log('a'); console.log({b: [1, 'c']}); return event.request;`),
		"an exception":      code(`console.log('before'); event.nothing.value;`),
		"a syntax error":    with(typicalCall(), source("function handler(event) { return event => }")),
		"no handler":        with(typicalCall(), source("var x = 1;")),
		"an invalid result": code(`return {statusCode: 'x'};`),
		"runtime 1.0": with(typicalCall(), func(c *Call) {
			c.Program = NewProgram([]byte("function handler(e) { return e.request; }"), cfjs.Runtime10)
		}),
		"let in runtime 1.0": with(typicalCall(), func(c *Call) {
			c.Program = NewProgram([]byte("let x; function handler(e) { return e.request; }"), cfjs.Runtime10)
		}),
		"no store":           with(typicalCall(), func(c *Call) { c.Store = nil }),
		"the time":           with(code(`console.log(Date.now()); return event.request;`), func(c *Call) { c.Now = created }),
		"the raw query":      code(`console.log(event.request.rawQueryString()); event.request.querystring = 'x=y'; return event.request;`),
		"an execution error": code(`for (;;) {}`),
		"the origin": with(typicalCall(), source(`import cf from 'cloudfront';
			function handler(event) { cf.updateRequestOrigin({domainName: 'example.org', customHeaders: {}}); return event.request; }`)),
		"everything of a store": with(typicalCall(), func(c *Call) {
			source(`import cf from 'cloudfront';
			async function handler(event) {
				const kvs = cf.kvs('id');
				const seen = [await kvs.get('key'), await kvs.get('json', {format: 'json'}), await kvs.exists('key'), await kvs.exists('nope'),
					await kvs.count(), await kvs.meta()];
				const bytes = await kvs.get('json', {format: 'bytes'}), long = await kvs.exists('x'.repeat(2000000));
				seen.push(bytes.length, long);
				try { await kvs.get('nope'); } catch (e) { seen.push(e.message); }
				console.log(seen);
				return event.request;
			}`)(c)
			c.Store = &cfjs.MapStore{Items: map[string]string{"key": "é\x00", "json": `{"a":[1]}`, "empty": ""},
				About: cfjs.StoreMeta{ID: "id", Created: created, LastUpdated: created.Add(time.Hour)}}
		}),
	}
	edge := &cfjs.EdgeLocation{Name: "FRA", ServerIP: "192.0.2.9", Region: "eu"}
	calls["the edge"] = with(typicalCall(), source(`import cf from 'cloudfront'; function handler(event) { console.log(cf.edgeLocation.name); return event.request; }`))
	inProcess := InProcess(Options{Edge: edge})
	defer inProcess.Close()
	pool := newPool(t, Options{Edge: edge})
	for name, c := range calls {
		t.Run(name, func(t *testing.T) {
			want := mustRun(t, inProcess, c)
			got := mustRun(t, pool, c)
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(cfjs.Result{}, "CPU", "ComputeUtilization")); diff != "" {
				t.Error(diff)
			}
			t.Logf("%s %q %s", got.Output(), got.Logs, got.ErrorMessage)
		})
	}
}

func TestARunThatIsKilledReadsLikeOneThatWasStopped(t *testing.T) {
	inProcess := InProcess(Options{})
	defer inProcess.Close()
	stopped := mustRun(t, inProcess, code(`for (;;) {}`))
	killed := mustRun(t, newPool(t, Options{unguarded: true}), code(`for (;;) {}`))
	if diff := cmp.Diff(stopped, killed, cmpopts.IgnoreFields(cfjs.Result{}, "CPU")); diff != "" {
		t.Error(diff)
	}
	if killed.CPU < cfjs.DefaultHardLimit {
		t.Errorf("killed after %v of processor time", killed.CPU)
	}
}

func TestMeasureReportsTheLeastOfSeveralRuns(t *testing.T) {
	r := &scripted{}
	for _, ms := range []time.Duration{4, 2, 1, 3, 5} {
		r.results = append(r.results, cfjs.Result{CPU: ms * time.Millisecond, ComputeUtilization: int(ms), Logs: []string{fmt.Sprint(len(r.results))}})
	}
	got, err := Measure(t.Context(), r, typicalCall())
	want := cfjs.Result{CPU: time.Millisecond, ComputeUtilization: 1, Logs: []string{"0"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" || len(r.results) != 0 {
		t.Errorf("%v %s, %d runs are left", err, diff, len(r.results))
	}
	for name, first := range map[string]cfjs.Result{"slow": {CPU: time.Second}, "stopped": {CPU: time.Second, Exceeded: true}} {
		r.results = []cfjs.Result{first, {}}
		if got, err := Measure(t.Context(), r, typicalCall()); err != nil || !cmp.Equal(first, got) || len(r.results) != 1 {
			t.Errorf("%s: %v %+v, %d runs are left, want 1", name, err, got, len(r.results))
		}
	}
	if _, err := Measure(t.Context(), &scripted{}, typicalCall()); err == nil {
		t.Error("the error of the first run is lost")
	}
}

// scripted is a runner that knows its results.
type scripted struct{ results []cfjs.Result }

func (s *scripted) Run(context.Context, Call) (cfjs.Result, error) {
	if len(s.results) == 0 {
		return cfjs.Result{}, errClosed()
	}
	r := s.results[0]
	s.results = s.results[1:]
	return r, nil
}

func (s *scripted) Close() error { return nil }

// A run that waits instead of computing ends by the wall limit.
func TestWallLimit(t *testing.T) {
	pool := newPool(t, Options{unguarded: true, HardLimit: time.Hour, WallLimit: 50 * time.Millisecond})
	if result := mustRun(t, pool, code(`for (;;) {}`)); !result.Exceeded {
		t.Errorf("%+v", result)
	}
}

func TestMemoryLimit(t *testing.T) {
	// Time enough to fill much more than the limit.
	pool := newPool(t, Options{unguarded: true, HardLimit: 5 * time.Second, WallLimit: 20 * time.Second, MemoryBytes: 48 << 20})
	result := mustRun(t, pool, code(`const a = []; for (;;) { a.push(new Uint8Array(1 << 19).fill(1)); }`))
	if !result.Exceeded || result.CPU > 5*time.Second {
		t.Errorf("%+v", result)
	}
	if s := pool.Stats(); s.Killed != 1 {
		t.Errorf("%+v, want one worker lost", s)
	}
	mustRun(t, pool, typicalCall())
}

func TestAKilledWorkerTakesNobodyElseAlong(t *testing.T) {
	pool := newPool(t, Options{Calls: 4, unguarded: true})
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			for range 50 {
				result, err := pool.Run(t.Context(), typicalCall())
				if err != nil || result.Failure != cfjs.NoFailure {
					t.Errorf("a neighbour: %v %+v", err, result)
				}
			}
		})
	}
	group.Go(func() {
		for range 3 {
			if result, err := pool.Run(t.Context(), code(`for (;;) {}`)); err != nil || !result.Exceeded {
				t.Errorf("the endless loop: %v %+v", err, result)
			}
		}
	})
	group.Wait()
	s := pool.Stats()
	// On a busy machine more are lost to calls that are made again.
	if s.Killed < 3 || s.Killed > 3 && pool.turns.lastStarved.Load() == nil {
		t.Errorf("%+v, want three workers lost", s)
	}
	if s.Workers > 5 {
		t.Errorf("%+v, more workers than calls and a spare", s)
	}
}

// After a kill the next call finds a worker that waits.
func TestASpareWaits(t *testing.T) {
	pool := newPool(t, Options{Calls: 1, unguarded: true})
	waiting := func(n int) func() bool {
		return func() bool { pool.mu.Lock(); defer pool.mu.Unlock(); return len(pool.idle) == n && pool.starting == 0 }
	}
	mustRun(t, pool, typicalCall())
	until(t, "a worker and its spare wait", waiting(2))
	for range 3 {
		mustRun(t, pool, code(`for (;;) {}`))
		until(t, "the spare waits", waiting(1))
		w := pool.idle[0]
		mustRun(t, pool, typicalCall())
		until(t, "two wait again", waiting(2))
		if pool.idle[0] != w && pool.idle[1] != w {
			t.Error("the call after a kill did not use the spare")
		}
	}
	if s := pool.Stats(); s.Started != 5 || s.Killed != 3 || s.Workers != 2 {
		t.Errorf("%+v", s)
	}
}

// A worker that yielded to others goes on as if nothing had been.
func TestAWornWorkerIsRenewed(t *testing.T) {
	pool := newPool(t, Options{Calls: 2, WallLimit: time.Minute, starvedTime: time.Minute})
	mustRun(t, pool, typicalCall())
	running, release := make(chan struct{}), make(chan struct{})
	c := typicalCall()
	var once sync.Once // in case that the call is made again
	c.Store = looking{c.Store, func() { once.Do(func() { close(running) }); <-release }}
	var group sync.WaitGroup
	group.Go(func() { mustRun(t, pool, c) })
	<-running
	threads := map[*process]int{}
	for range 3 {
		if result := mustRun(t, pool, code(`for (;;) {}`)); !result.Exceeded {
			t.Errorf("%+v", result)
		}
		until(t, "the worker waits", func() bool {
			pool.mu.Lock()
			defer pool.mu.Unlock()
			return len(pool.idle) == 2 && pool.starting == 0
		})
		w := pool.idle[1]
		if w.worn || threads[w] == w.thread && runtime.GOOS == "linux" {
			t.Errorf("worn %t, thread %d again", w.worn, w.thread)
		}
		threads[w] = w.thread
	}
	close(release)
	group.Wait()
	if s := pool.Stats(); s.Killed != 0 || s.Started > 3 {
		t.Errorf("%+v", s)
	}
}

// What will be ready by and by is no reason for a call to wait, but one for a spare
// not to be started; and not everything can be on the way.
func TestWorkersThatAreRenewed(t *testing.T) {
	pool := newPool(t, Options{Calls: 1})
	mustRun(t, pool, typicalCall())
	until(t, "a worker and its spare wait", func() bool {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		return len(pool.idle) == 2
	})
	pool.mu.Lock()
	idle := pool.idle
	pool.idle, pool.renewing = nil, 1
	pool.startMissing()
	if pool.starting != 0 {
		t.Error("a spare is started beside a worker that gets ready")
	}
	pool.mu.Unlock()
	mustRun(t, pool, typicalCall()) // by a worker that was started for it
	if s := pool.Stats(); s.Started < 3 {
		t.Errorf("%+v, want a third worker", s)
	}
	idle[0].worn = true
	pool.giveBack(idle[0])
	if s := pool.Stats(); s.Killed != 1 {
		t.Errorf("%+v, want a worn worker lost while another gets ready", s)
	}
	pool.mu.Lock()
	pool.renewing = 0
	pool.mu.Unlock()
}

// A kill that comes just after the result is no fault of the next call.
func TestAKillThatComesLate(t *testing.T) {
	p := startProcess(t, Options{}.withDefaults())
	late := func() {
		p.watch.mu.Lock()
		defer p.watch.mu.Unlock()
		p.watch.stopped = true
	}
	p.watch.stopped, p.watch.starved = true, true // as after such a kill
	if result, err := p.run(typicalCall(), aTurn(t)); err != nil || result.Failure != cfjs.NoFailure || !p.alive() {
		t.Errorf("%v, alive %t, %+v", err, p.alive(), result)
	}
	c := typicalCall()
	c.Store = looking{c.Store, late}
	if result, err := p.run(c, aTurn(t)); err != nil || result.Failure != cfjs.NoFailure {
		t.Errorf("%v %+v", err, result)
	}
	if p.alive() {
		t.Error("a worker that was killed counts as alive")
	}
}

func TestNothingIsStartedBeforeTheFirstCall(t *testing.T) {
	pool := newPool(t, Options{})
	if s := pool.Stats(); s != (Stats{}) {
		t.Errorf("%+v", s)
	}
}

func TestIdleWorkersAreEnded(t *testing.T) {
	// With a limit so far off no call is slow, and no worker given up for it.
	pool := newPool(t, Options{Calls: 4, IdleTime: time.Hour, HardLimit: time.Minute})
	mustRun(t, pool, typicalCall()) // known as quick from now on
	var hold sync.WaitGroup
	hold.Add(4)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			c := typicalCall()
			c.Store = meeting{c.Store, &hold}
			mustRun(t, pool, c)
		})
	}
	group.Wait()
	idle := func() int { pool.mu.Lock(); defer pool.mu.Unlock(); return len(pool.idle) }
	until(t, "four workers and a spare wait", func() bool { return idle() == 5 })
	now := time.Now()
	pool.reap(now)
	if n := idle(); n != 5 {
		t.Errorf("%d workers wait, want all 5", n)
	}
	pool.mu.Lock()
	pool.idle[4].idleSince = now.Add(time.Hour) // there are calls
	pool.mu.Unlock()
	pool.reap(now.Add(time.Hour + time.Minute))
	if n := idle(); n != 2 {
		t.Errorf("%d workers wait while there are calls, want 2", n)
	}
	pool.reap(now.Add(3 * time.Hour))
	until(t, "one worker lives", func() bool { return pool.Stats().Workers == 1 })
	mustRun(t, pool, typicalCall())
}

// A meeting is a store whose readers wait for each other.
type meeting struct {
	cfjs.Store
	all *sync.WaitGroup
}

func (m meeting) Get(key string) (string, bool) {
	m.all.Done()
	m.all.Wait()
	return m.Store.Get(key)
}

// A store that changes between two reads of a run would be seen: the worker
// keeps nothing, so what the parent pins is what the run reads.
func TestACallReadsTheStoreOfTheCall(t *testing.T) {
	pool := newPool(t, Options{Calls: 2})
	program := NewProgram([]byte(`import cf from 'cloudfront'; const kvs = cf.kvs();
		async function handler(event) {
			const values = [];
			for (let i = 0; i < 20; i++) { values[i] = await kvs.get('version'); }
			const count = await kvs.count();
			console.log(values.join(' ')); console.log(String(count));
			return event.request;
		}`), cfjs.Runtime20)
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for i := range 25 {
				version := fmt.Sprintf("%d-%d", g, i)
				c := typicalCall()
				c.Program, c.Store = program, &cfjs.MapStore{Items: map[string]string{"version": version}}
				want := []string{strings.TrimSpace(strings.Repeat(version+" ", 20)), "1"}
				result, err := pool.Run(t.Context(), c)
				if diff := cmp.Diff(want, result.Logs); err != nil || diff != "" {
					t.Errorf("%v %s", err, diff)
				}
			}
		})
	}
	group.Wait()
}

// Each run finds the world as the first one did.
func TestNoStateCrossesRuns(t *testing.T) {
	runs := 1000
	if long() {
		runs = 10_000
	}
	pool := newPool(t, Options{Calls: 2, HardLimit: 10 * time.Second, WallLimit: time.Minute}) // about state, not limits
	program := NewProgram([]byte(`
		var count = 0;
		async function handler(event) {
			count++;
			const seen = [count, globalThis.left, Array.prototype.left, Object.prototype.left, event.left, String.prototype.trim.left, console.left, Math.left];
			globalThis.left = Array.prototype.left = Object.prototype.left = event.left = String.prototype.trim.left = console.left = Math.left = event.request.uri;
			console.log(seen.map(String).join(' '));
			return event.request;
		}`), cfjs.Runtime20)
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			event := *typicalCall().Event
			for i := range runs / 4 {
				event.Request.URI = fmt.Sprintf("/%d/%d", g, i)
				result, err := pool.Run(t.Context(), Call{Program: program, Event: &event})
				want := []string{"1 undefined undefined undefined undefined undefined undefined undefined"}
				if diff := cmp.Diff(want, result.Logs); err != nil || diff != "" || result.Request == nil || result.Request.URI != event.Request.URI {
					t.Errorf("run %d: %v %+v %s", i, err, result, diff)
					return
				}
			}
		})
	}
	group.Wait()
	if s := pool.Stats(); s.Killed != 0 {
		t.Errorf("%+v", s)
	}
}

// More programs than a worker keeps are asked for again.
func TestManyPrograms(t *testing.T) {
	pool := newPool(t, Options{Calls: 1})
	for range 2 {
		for i := range maxPrograms + 3 {
			result := mustRun(t, pool, code(fmt.Sprintf(`console.log(%d); return event.request;`, i)))
			if diff := cmp.Diff([]string{fmt.Sprint(i)}, result.Logs); diff != "" {
				t.Error(diff)
			}
		}
	}
}

func TestCallsWaitForATurn(t *testing.T) {
	for name, r := range map[string]Runner{"pool": newPool(t, Options{Calls: 1}), "in-process": InProcess(Options{Calls: 1})} {
		t.Run(name, func(t *testing.T) {
			c := typicalCall()
			mustRun(t, r, c) // known as quick from now on
			var release sync.WaitGroup
			release.Add(2)
			c.Store = meeting{c.Store, &release}
			first := make(chan error, 1)
			go func() {
				_, err := r.Run(context.Background(), c)
				first <- err
			}()
			until(t, "the first call runs", func() bool {
				switch r := r.(type) {
				case *Pool:
					return len(r.turns.lanes[quickLane]) == 1
				case *inProcess:
					return len(r.turns.lanes[quickLane]) == 1
				}
				return false
			})
			tired := errors.New("tired of waiting")
			ctx, cancel := context.WithCancelCause(t.Context())
			second := make(chan error, 1)
			go func() {
				_, err := r.Run(ctx, typicalCall())
				second <- err
			}()
			cancel(tired)
			if err := <-second; !errors.Is(err, tired) {
				t.Errorf("%v, want the context's cause", err)
			}
			release.Done()
			if err := <-first; err != nil {
				t.Error(err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if _, err := r.Run(t.Context(), typicalCall()); popkv.KindOf(err) != popkv.Unavailable {
				t.Errorf("after Close: %v, want unavailable", err)
			}
		})
	}
}

func TestCloseEndsRunsInProgress(t *testing.T) {
	limits := Options{Calls: 2, HardLimit: time.Hour, WallLimit: time.Hour}
	for name, r := range map[string]Runner{"pool": NewPool(limits), "in-process": InProcess(limits)} {
		t.Run(name, func(t *testing.T) {
			running := make(chan struct{})
			c := typicalCall()
			c.Program = NewProgram([]byte(`import cf from 'cloudfront'; async function handler() { await cf.kvs().get('key'); for (;;) {} }`), cfjs.Runtime20)
			c.Store = announcing{c.Store, running}
			ended := make(chan error, 1)
			go func() {
				_, err := r.Run(context.Background(), c)
				ended <- err
			}()
			<-running
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if err := <-ended; popkv.KindOf(err) != popkv.Unavailable {
				t.Errorf("%v, want unavailable", err)
			}
			if err := r.Close(); err != nil {
				t.Error("closed twice:", err)
			}
		})
	}
}

// announcing is a store that tells when it is read.
type announcing struct {
	cfjs.Store
	read chan struct{}
}

func (a announcing) Get(key string) (string, bool) {
	close(a.read)
	return a.Store.Get(key)
}

func TestThrottling(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	for name, r := range map[string]Runner{"pool": newPool(t, Options{Now: clock}), "in-process": InProcess(Options{Now: clock})} {
		t.Run(name, func(t *testing.T) {
			bomb := code(`for (;;) {}`)
			bomb.Function = "hostile"
			for range breakerStrikes {
				if result := mustRun(t, r, bomb); !result.Exceeded {
					t.Fatalf("%+v", result)
				}
			}
			if _, err := r.Run(t.Context(), bomb); popkv.KindOf(err) != popkv.Throttled {
				t.Errorf("%v, want it throttled", err)
			}
			bomb.Function = ""
			mustRun(t, r, bomb)
			good := typicalCall()
			good.Function = "good"
			mustRun(t, r, good)
		})
	}
}

func TestAWorkerThatDiesWhileItWaitsIsReplaced(t *testing.T) {
	pool := newPool(t, Options{Calls: 1})
	mustRun(t, pool, typicalCall())
	until(t, "two wait", func() bool { pool.mu.Lock(); defer pool.mu.Unlock(); return len(pool.idle) == 2 })
	for _, w := range pool.idle {
		w.kill()
		<-w.exited
	}
	if result := mustRun(t, pool, typicalCall()); result.Failure != cfjs.NoFailure {
		t.Errorf("%+v", result)
	}
}

// What a run did to its worker cannot be told from what it used.
func TestAWorkerThatDiesInARunIsAnOverrun(t *testing.T) {
	var log bytes.Buffer
	pool := newPool(t, Options{Calls: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	mustRun(t, pool, typicalCall())
	if log.Len() > 0 {
		t.Errorf("a healthy pool logs %s", log.String())
	}
	c := typicalCall()
	c.Store, c.Function = deadly{c.Store, pool}, "unlucky"
	for range breakerStrikes {
		if result := mustRun(t, pool, c); !result.Exceeded || result.ErrorMessage != exceededMessage {
			t.Errorf("%+v", result)
		}
	}
	if _, err := pool.Run(t.Context(), c); popkv.KindOf(err) != popkv.Throttled {
		t.Errorf("%v, want a function that costs workers throttled", err)
	}
	if lines := strings.Count(log.String(), `function=unlucky worker="signal: killed"`); lines != breakerStrikes {
		t.Errorf("%d lines in the log: %s", lines, log.String())
	}
	mustRun(t, pool, typicalCall())
}

// deadly is a store whose readers do not live to see the answer.
type deadly struct {
	cfjs.Store
	pool *Pool
}

func (d deadly) Get(string) (string, bool) {
	d.pool.mu.Lock()
	defer d.pool.mu.Unlock()
	for w := range d.pool.live {
		w.watch.mu.Lock()
		if w.watch.turn != nil {
			w.cmd.Process.Kill()
		}
		w.watch.mu.Unlock()
	}
	return "", false
}

// A worker whose parent is gone must not stay, whatever it does.
func TestAWorkerEndsWithItsParent(t *testing.T) {
	p := startProcess(t, Options{})
	p.to.Close()
	<-p.exited
	if !p.cmd.ProcessState.Success() {
		t.Errorf("the worker ended with %s", p.howItEnded())
	}
}

// A worker does nothing that the program does otherwise.
func TestAWorkerIsNothingElse(t *testing.T) {
	path, err := executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-test.run", "TestTrials", "-test.v")
	cmd.Env = []string{workerEnv + "=1"}
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v, it says %q", err, out)
	}
	cmd = exec.Command(path, "-test.run", "TestTrials", "-test.v")
	cmd.Env = []string{workerEnv + "=1"}
	cmd.Stdin = strings.NewReader("no frame")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.HasPrefix(string(out), "function worker: malformed frame") {
		t.Errorf("after nonsense: %v, it says %q", err, out)
	}
}

func TestAProgramThatIsNoWorkerIsRefused(t *testing.T) {
	for _, answer := range []string{"", "hello, I am another program\n"} {
		o := Options{}.withDefaults()
		p, err := newProcess(&o)
		if err != nil {
			t.Fatal(err)
		}
		path, err := exec.LookPath("printf")
		if err != nil {
			t.Skip(err)
		}
		p.cmd.Path, p.cmd.Args = path, []string{"printf", "%s", answer}
		s := newStarter()
		s.do(func() { err = p.start() })
		if err != nil {
			t.Fatal(err)
		}
		if err := p.setUp(); err == nil || !strings.Contains(err.Error(), "did not start") {
			t.Errorf("%q: %v", answer, err)
		}
		s.close()
	}
}

// A worker has nothing of its parent's environment.
func TestTheEnvironmentStaysWithTheParent(t *testing.T) {
	o := Options{}.withDefaults()
	p, err := newProcess(&o)
	if err != nil {
		t.Fatal(err)
	}
	p.closePipes()
	p.cmd.Stdin.(*os.File).Close()
	p.cmd.Stdout.(*os.File).Close()
	for _, pair := range p.cmd.Env {
		name, _, _ := strings.Cut(pair, "=")
		if name != workerEnv && !strings.HasPrefix(name, "GO") {
			t.Errorf("the worker has %s", name)
		}
	}
}

// What it costs to ask the parent for a key is popkv's doing, not the function's.
func TestReadsAreNotCharged(t *testing.T) {
	pool := newPool(t, Options{Calls: 1, Budget: time.Second, HardLimit: time.Minute, WallLimit: time.Minute})
	const reads = "import cf from 'cloudfront';\nasync function handler(event) { const kvs = cf.kvs(); for (let i = 0; i < 2000; i++) { await kvs.get('key'); } return event.request; }"
	c := typicalCall()
	c.Program = NewProgram([]byte(reads), cfjs.Runtime20)
	mustRun(t, pool, c)
	until(t, "a spare waits", func() bool { pool.mu.Lock(); defer pool.mu.Unlock(); return len(pool.idle) == 2 })
	workers := func() (used time.Duration) {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		for w := range pool.live {
			n, _ := w.watch.clock.now()
			used += n
		}
		return used
	}
	before := workers()
	result := mustRun(t, pool, c)
	if used := workers() - before; result.CPU <= 0 || result.CPU > used*2/3 {
		t.Errorf("charged %v, the worker used %v, most of it for 2000 reads", result.CPU, used)
	}
	if want := int(result.CPU * 100 / time.Second); result.ComputeUtilization < want || result.ComputeUtilization > want+1 {
		t.Errorf("%d %% of a second for %v", result.ComputeUtilization, result.CPU)
	}
}
