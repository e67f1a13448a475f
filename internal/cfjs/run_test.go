package cfjs

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/sobek"
)

const exampleEvent = `{"version":"1.0","context":{"eventType":"viewer-request"},"viewer":{"ip":"1.2.3.4"},
"request":{"method":"GET","uri":"/index.html","headers":{"host":{"value":"example.com"},"accept":{"value":"text/html"}},
"querystring":{"a":{"value":"1"}},"cookies":{"id":{"value":"x"}}}}`

const exampleResponseEvent = `{"version":"1.0","context":{"eventType":"viewer-response"},"viewer":{"ip":"1.2.3.4"},
"request":{"method":"GET","uri":"/","headers":{"host":{"value":"example.com"}},"querystring":{},"cookies":{}},
"response":{"statusCode":200,"statusDescription":"OK","headers":{"server":{"value":"s"},"via":{"value":"1.1 x"}},"cookies":{}}}`

func mustEvent(t testing.TB, text string) *Event {
	t.Helper()
	e, err := ParseEvent([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &e
}

func mustRun(t testing.TB, code string, event *Event, store Store) Result {
	t.Helper()
	r, err := Compile([]byte(code), Runtime20).Run(context.Background(), event, store, Options{})
	if err != nil {
		t.Errorf("%s\n%v", code, err)
	}
	return r
}

// printed runs statements in an async handler and returns what they logged,
// or the error.
func printed(t testing.TB, runtime Runtime, code string, store Store, o Options) string {
	t.Helper()
	source := "async function handler(event) {\n" + code + "\nreturn event.request; }"
	if runtime == Runtime10 {
		source = strings.TrimPrefix(source, "async ")
	} else {
		source = "import cf from 'cloudfront'; import crypto from 'crypto'; import qs from 'querystring'; import buffer from 'buffer';\n" + source
	}
	r, err := Compile([]byte(source), runtime).Run(context.Background(), mustEvent(t, exampleEvent), store, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Failure != NoFailure {
		return strings.TrimPrefix(r.ErrorMessage, errCouldNotRun)
	}
	return strings.Join(r.Logs, "\n")
}

// A printCase is an expression and what console.log prints of it.
type printCase struct{ expression, want string }

func checkPrinted(t *testing.T, runtime Runtime, store Store, cases []printCase) {
	t.Helper()
	for _, c := range cases {
		if got := printed(t, runtime, "console.log("+c.expression+");", store, Options{}); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.expression, got, c.want)
		}
	}
}

func TestErrorsUseTheEnginesWords(t *testing.T) {
	for _, c := range []struct{ name, code, want string }{
		{"thrown error", `function handler() { throw new Error('boo') }`, "Error: boo"},
		{"thrown text", `function handler() { throw 'boo' }`, "boo"},
		{"thrown object", `function handler() { throw {a: 1} }`, "[object Object]"},
		{"rejected", `async function handler() { throw new TypeError('boo') }`, "TypeError: boo"},
		{"property of undefined", `function handler(event) { return event.nothing.value }`, `TypeError: cannot get property "value" of undefined`},
		{"property of null", `function handler() { return 'a'.match(/b/)[0] }`, `TypeError: cannot get property "0" of null`},
		{"property of a variable that is null", `function handler() { var m = /b/.exec('a'); return m.index }`, `TypeError: cannot get property "index" of null`},
		{"undefined name", `function handler() { return new URL('x') }`, `ReferenceError: "URL" is not defined`},
		{"missing method", `function handler() { return [].flat() }`, `TypeError: (intermediate value)["flat"] is not a function`},
		{"missing method by a computed name", `function handler() { var n = 'fl' + 'at'; return [][n]() }`, `TypeError: (intermediate value)["flat"] is not a function`},
		{"recursion", `function handler() { return handler() }`, "RangeError: Maximum call stack size exceeded"},
		{"never settled", `function handler() { return new Promise(function () {}) }`, "Error: the promise that handler returned was never settled"},
		{"no handler", `var x = 1`, `ReferenceError: "handler" is not defined`},
		{"handler is no function", `var handler = 1`, `ReferenceError: "handler" is not defined`},
		{"syntax", "function handler() {\n  return f(...a)\n}", `SyntaxError: Unexpected token "..." in 2`},
		{"await in arguments", "async function handler(e) {\n  return f(await 1)\n}", "SyntaxError: await in arguments not supported in 2"},
		{"await behind another call", "async function handler(e) {\n  return f(g(1), await 1)\n}", "SyntaxError: await in arguments not supported in 2"},
		{"top level throws", "null.x; function handler() {}", `TypeError: cannot get property "x" of null`},
		{"eval", `function handler() { return eval('1') }`, "InternalError: Not implemented"},
		{"Function", `function handler() { return new Function('return 1')() }`, `TypeError: function constructor is disabled in "safe" mode`},
		{"Function by constructor", `function handler() { return (function () {}).constructor('return 1')() }`, `TypeError: function constructor is disabled in "safe" mode`},
		{"Function by a computed name", `function handler() { var c = 'constr' + 'uctor'; return (() => 1)[c]('return 1')() }`, `TypeError: function constructor is disabled in "safe" mode`},
		{"AsyncFunction", `function handler() { return (async () => 1).constructor('return 1')() }`, `TypeError: function constructor is disabled in "safe" mode`},
	} {
		r := mustRun(t, c.code, mustEvent(t, exampleEvent), nil)
		if r.Failure != ExecutionError || r.ErrorMessage != errCouldNotRun+c.want || r.Output() != "" {
			t.Errorf("%s: %d %q %q", c.name, r.Failure, r.ErrorMessage, r.Output())
		}
	}
}

func TestErrorsThatAreCaughtHaveTheEnginesWordsToo(t *testing.T) {
	checkPrinted(t, Runtime20, nil, []printCase{
		{`(function () { try { undefined.x } catch (e) { return e.message } })()`, `cannot get property "x" of undefined`},
		{`(function () { try { nothing() } catch (e) { return String(e) } })()`, `ReferenceError: "nothing" is not defined`},
		{`(function () { try { null.f() } catch (e) { return e.stack } })()`, "undefined"},
		{`(function () { try { throw new Error('x is not defined') } catch (e) { return e.message } })()`, "x is not defined"},
	})
}

func TestDateStandsStill(t *testing.T) {
	now := time.Date(2024, 5, 6, 7, 8, 9, 123e6, time.UTC)
	clock := func() time.Time { now = now.Add(time.Second); return now }
	got := printed(t, Runtime20, `var a = Date.now(); for (var i = 0; i < 100; i++) {} var b = new Date();
		console.log(a === b.getTime(), b.toISOString(), new Date(0).toISOString());`, nil, Options{Now: clock})
	if want := "true 2024-05-06T07:08:10.123Z 1970-01-01T00:00:00.000Z"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestMathRandomIsTheCallers(t *testing.T) {
	if got := printed(t, Runtime20, `console.log(Math.random());`, nil, Options{Random: func() float64 { return 0.25 }}); got != "0.25" {
		t.Errorf("got %s", got)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	p := Compile([]byte(`function handler() { for (;;) {} }`), Runtime20)
	event := mustEvent(t, exampleEvent)
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(stop)
	if _, err := p.Run(ctx, event, nil, Options{}); !errors.Is(err, stop) {
		t.Errorf("cancelled before: %v", err)
	}
	ctx, cancel = context.WithCancelCause(context.Background())
	started := make(chan struct{})
	store := hookStore{func() { close(started) }}
	go func() { <-started; cancel(stop) }()
	p = Compile([]byte(`import cf from 'cloudfront'; function handler() { cf.kvs().get('k'); for (;;) {} }`), Runtime20)
	if _, err := p.Run(ctx, event, store, Options{HardLimit: time.Hour, WallLimit: time.Hour}); !errors.Is(err, stop) {
		t.Errorf("cancelled while it runs: %v", err)
	}
}

// hookStore calls a function when it is read.
type hookStore struct{ read func() }

func (s hookStore) Get(string) (string, bool) { s.read(); return "", true }
func (s hookStore) Count() int                { return 0 }
func (s hookStore) Meta() StoreMeta           { return StoreMeta{} }

func TestLimits(t *testing.T) {
	event := mustEvent(t, exampleEvent)
	endless := Compile([]byte(`function handler() { console.log('before'); for (;;) {} }`), Runtime20)
	for name, o := range map[string]Options{
		"processor time": {HardLimit: 5 * time.Millisecond},
		"wall time":      {HardLimit: time.Hour, WallLimit: 20 * time.Millisecond},
	} {
		r, err := endless.Run(context.Background(), event, nil, o)
		if err != nil || !r.Exceeded || r.Failure != ExecutionError || r.ComputeUtilization != 100 ||
			r.ErrorMessage != errCouldNotRun+"Error: execution exceeded the time or memory limit" {
			t.Errorf("%s: %v %+v", name, err, r)
		}
		if diff := cmp.Diff([]string{"before"}, r.Logs); diff != "" {
			t.Errorf("%s: the log is kept: %s", name, diff)
		}
	}
	memory := Compile([]byte(`function handler() { var a = []; for (;;) { a.push('x'.repeat(1000) + a.length) } }`), Runtime20)
	r, err := memory.Run(context.Background(), event, nil, Options{HardLimit: time.Hour, WallLimit: time.Hour, MemoryLimit: 16 << 20})
	if err != nil || !r.Exceeded {
		t.Errorf("memory: %v %+v", err, r)
	}
}

func TestUtilizationIsTheShareOfTheBudget(t *testing.T) {
	p := Compile([]byte(`function handler(event) { for (var i = 0; i < 20000; i++) {} return event.request }`), Runtime20)
	event := mustEvent(t, exampleEvent)
	run := func(budget time.Duration) Result {
		r, err := p.Run(context.Background(), event, nil, Options{Budget: budget, Repeat: 3})
		if err != nil || r.Failure != NoFailure {
			t.Fatal(err, r.ErrorMessage)
		}
		return r
	}
	if r := run(time.Nanosecond); r.ComputeUtilization != 100 {
		t.Errorf("over the budget: %d", r.ComputeUtilization)
	}
	if r := run(time.Hour); r.ComputeUtilization != 0 || r.CPU <= 0 {
		t.Errorf("far below the budget: %d in %v", r.ComputeUtilization, r.CPU)
	}
	r := run(10 * time.Millisecond)
	if want := int(r.CPU * 100 / (10 * time.Millisecond)); r.ComputeUtilization < want || r.ComputeUtilization > want+1 {
		t.Errorf("%v of 10 ms shown as %d %%", r.CPU, r.ComputeUtilization)
	}
}

func TestADefectIsAnErrorAndLogged(t *testing.T) {
	var log strings.Builder
	p := Compile([]byte(`import cf from 'cloudfront'; function handler(event) { cf.kvs().get('k'); return event.request }`), Runtime20)
	o := Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	_, err := p.Run(context.Background(), mustEvent(t, exampleEvent), hookStore{func() { panic("defect of the store") }}, o)
	if err == nil || !strings.Contains(log.String(), "defect of the store") {
		t.Errorf("error %v, log %q", err, log.String())
	}
}

// A waitingStore makes a run wait for another goroutine that uses the processor.
type waitingStore struct {
	MapStore
	waits int // how many reads wait
	asked int
}

func (s *waitingStore) Get(key string) (string, bool) {
	s.asked++
	if s.asked > s.waits {
		return s.MapStore.Get(key)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for began := time.Now(); time.Since(began) < 30*time.Millisecond; {
		}
	}()
	<-done
	return s.MapStore.Get(key)
}

// A run that only waits must not be taken for one that uses the processor: it
// is made again, as if for the first time, to find out.
func TestWaitingIsNotCharged(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread := CurrentThread()
	p := Compile([]byte(`import cf from 'cloudfront'; let n = 0;
		async function handler(event) { console.log(++n); event.request.uri += await cf.kvs().get('key'); return event.request }`), Runtime20)
	for name, test := range map[string]struct {
		options Options
		asked   int
	}{"own thread": {Options{Thread: &thread}, 1}, "any thread": {Options{}, 2}} {
		store := &waitingStore{MapStore: MapStore{Items: typicalStore}, waits: 1}
		r, err := p.Run(t.Context(), mustEvent(t, exampleEvent), store, test.options)
		if err != nil || r.Failure != NoFailure {
			t.Fatal(err, r.ErrorMessage)
		}
		if r.CPU >= 20*time.Millisecond || store.asked != test.asked {
			t.Errorf("%s: charged %v, asked the store %d times", name, r.CPU, store.asked)
		}
		if diff := cmp.Diff([]string{"1"}, r.Logs); diff != "" || r.Request.URI != "/index.htmlvalue" {
			t.Errorf("%s: %s %s", name, r.Request.URI, diff)
		}
	}
}

// A pattern that waited too long for the processor may have said "no match"
// wrongly: the run is made again, for as long as the wall limit allows.
func TestAPatternThatWaitedIsTriedAgain(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread := CurrentThread()
	p := Compile([]byte(`import cf from 'cloudfront';
		async function handler(event) { const v = await cf.kvs().get('key'); console.log(/^v/.test(v)); return event.request }`), Runtime20)
	for name, test := range map[string]struct {
		waits    int
		wall     time.Duration
		exceeded bool
		asked    int // at most
	}{
		"not at all": {0, time.Minute, false, 1},
		"once":       {1, time.Minute, false, 2},
		"twice":      {2, time.Minute, false, 3},
		"for ever":   {1 << 30, 50 * time.Millisecond, true, 2},
	} {
		store := &waitingStore{MapStore: MapStore{Items: typicalStore}, waits: test.waits}
		r, err := p.Run(t.Context(), mustEvent(t, exampleEvent), store, Options{Thread: &thread, WallLimit: test.wall, patience: 29 * time.Millisecond})
		if err != nil || r.Exceeded != test.exceeded || store.asked > test.asked || !test.exceeded && store.asked < test.asked {
			t.Errorf("%s: %v, %+v, asked the store %d times", name, err, r, store.asked)
		}
		if diff := cmp.Diff([]string{"true"}, r.Logs); !r.Exceeded && diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// What a store uses of the processor is charged or not, as the caller says.
func TestFreeReads(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread := CurrentThread()
	const each = 10 * time.Millisecond
	p := Compile([]byte(`import cf from 'cloudfront';
		async function handler(event) { const kvs = cf.kvs(); await kvs.get('key'); await kvs.exists('key'); return event.request }`), Runtime20)
	for _, free := range []bool{false, true} {
		store := hookStore{func() {
			for before := thread.Used(); thread.Used()-before < each; {
			}
		}}
		r, err := p.Run(t.Context(), mustEvent(t, exampleEvent), store, Options{Thread: &thread, FreeReads: free, HardLimit: time.Minute})
		if err != nil || r.Failure != NoFailure {
			t.Fatal(err, r.ErrorMessage)
		}
		if charged := r.CPU >= 2*each; charged == free || r.CPU <= 0 {
			t.Errorf("free %t: charged %v", free, r.CPU)
		}
	}
}

// The limit of a process that runs nothing else counts its other threads, too.
func TestTheLimitCountsTheWholeProcess(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread := CurrentThread()
	var end atomic.Bool
	defer end.Store(true)
	for range 2 { // what else is there uses half of the processor time or more
		go func() {
			for !end.Load() {
			}
		}()
	}
	p := Compile([]byte(`function handler(event) { for (;;) {} }`), Runtime20)
	const limit = time.Second
	r, err := p.Run(t.Context(), mustEvent(t, exampleEvent), nil, Options{Thread: &thread, HardLimit: limit, WallLimit: time.Minute, WholeProcess: true})
	if err != nil || !r.Exceeded || r.CPU > limit*9/10 {
		t.Errorf("%v, stopped with %v of the thread's processor time: %+v", err, r.CPU, r)
	}
}

// A run may be stopped while its realm is made ready, which once was taken for a
// defect of the runtime.
func TestARunIsStoppedAtAnyMoment(t *testing.T) {
	p := Compile([]byte(`import crypto from 'crypto'; import qs from 'querystring';
		function handler(event) { [Function, eval, Buffer, TextDecoder, InternalError, RegExp, crypto, qs, Array.prototype.flat]; return event.request }`), Runtime20)
	event := mustEvent(t, exampleEvent)
	thread := CurrentThread()
	for n := range 400 {
		inv := &invocation{vm: sobek.New(), program: p, event: event}
		o := Options{Thread: &thread}.withDefaults()
		inv.options = &o
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for range n * 50 {
				runtime.Gosched()
			}
			inv.stop(errExceeded)
		}()
		if _, err := inv.run(); err != nil && !errors.Is(err, errExceeded) {
			t.Fatal(err)
		}
		<-stopped
	}
}
