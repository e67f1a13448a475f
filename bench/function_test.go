package bench

import (
	"testing"
	"time"

	"github.com/grafana/sobek"
	"github.com/popkv/popkv/internal/cfjs"
	"github.com/popkv/popkv/internal/cfworker"
)

// headerRewrite is the handler that the targets are stated for: it sets three
// headers, one of them to the value of a key.
const headerRewrite = `
async function handler(event) {
    const request = event.request;
    const headers = request.headers;
    headers['x-first'] = {value: 'one'};
    headers['x-second'] = {value: request.uri};
    headers['x-third'] = {value: await kvs.get('key')};
    return request;
}`

// kvsImport is what stands before it in a function.
const kvsImport = "import cf from 'cloudfront';\nconst kvs = cf.kvs();\n"

const headerRewriteEvent = `{"version":"1.0","context":{"distributionDomainName":"d111111abcdef8.cloudfront.net",
"distributionId":"EDFDVBD6EXAMPLE","eventType":"viewer-request","requestId":"4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ=="},
"viewer":{"ip":"198.51.100.11"},"request":{"method":"GET","uri":"/index.html","querystring":{"a":{"value":"1"},"b":{"value":"2"}},
"headers":{"host":{"value":"example.com"},"user-agent":{"value":"Mozilla/5.0 (X11; Linux x86_64)"},"accept":{"value":"text/html,*/*"},
"accept-language":{"value":"en,de;q=0.7"},"accept-encoding":{"value":"gzip, br"},"referer":{"value":"https://example.com/"},
"x-one":{"value":"1"},"x-two":{"value":"2"}},"cookies":{"id":{"value":"CookieIdValue"},"lang":{"value":"en"}}}}`

var functionStore = map[string]string{"key": "value"}

// functionCalls is how many calls make one measurement.
const functionCalls = 1000

func functionEvent(b *testing.B) *cfjs.Event {
	b.Helper()
	event, err := cfjs.ParseEvent([]byte(headerRewriteEvent))
	if err != nil {
		b.Fatal(err)
	}
	return &event
}

// caller returns a function that runs a program once and fails if that does.
func caller(b *testing.B, r cfworker.Runner, code string) func() {
	call := cfworker.Call{
		Program: cfworker.NewProgram([]byte(code), cfjs.Runtime20),
		Event:   functionEvent(b),
		Store:   &cfjs.MapStore{Items: functionStore},
	}
	return func() {
		if result, err := r.Run(b.Context(), call); err != nil || result.Failure != cfjs.NoFailure {
			b.Fatal(result.ErrorMessage, err)
		}
	}
}

// ownProcessor measures what a call costs this process of processor time,
// garbage collection included.
func ownProcessor(b *testing.B, calls int, once func()) func() float64 {
	return func() float64 {
		before, err := ownUsage()
		if err != nil {
			b.Fatal(err)
		}
		for range calls {
			once()
		}
		after, err := ownUsage()
		if err != nil {
			b.Fatal(err)
		}
		return micros(after.CPU-before.CPU) / float64(calls)
	}
}

// BenchmarkFunction is the processor time of one call in this process: a fresh
// VM that sets headers and reads one key. The floor does the same with nothing
// but the engine. A program pays for what its text names: "all-modules" names
// everything that the host provides.
func BenchmarkFunction(b *testing.B) {
	runner := cfworker.InProcess(cfworker.Options{})
	defer runner.Close()
	comparison{
		unit:  "µs",
		floor: ownProcessor(b, functionCalls, bareCaller(b)),
		subjects: []subject{
			{"popkv", "≤1.2", ownProcessor(b, functionCalls, caller(b, runner, kvsImport+headerRewrite))},
			{"all-modules", "", ownProcessor(b, functionCalls, caller(b, runner, allModules+kvsImport+headerRewrite))},
		},
	}.run(b)
}

// allModules names everything that the host provides.
const allModules = `
import crypto from 'crypto';
import querystring from 'querystring';
import buffer from 'buffer';
function unused() {
    return [crypto.createHash, crypto.createHmac, querystring.parse, querystring.stringify, buffer.Buffer.from,
        Buffer, TextEncoder, TextDecoder, atob, btoa, console.log, cf.edgeLocation, cf.updateRequestOrigin];
}
`

// BenchmarkFunctionAwait is a call that awaits a thousand reads of a key against
// one that awaits as many resolved promises.
func BenchmarkFunctionAwait(b *testing.B) {
	runner := cfworker.InProcess(cfworker.Options{HardLimit: time.Minute, WallLimit: time.Minute})
	defer runner.Close()
	loop := func(expression string) string {
		return kvsImport + "const P = Promise; async function handler(event) { for (let i = 0; i < 1000; i++) { await " +
			expression + "; } return event.request; }"
	}
	comparison{
		unit:  "µs",
		floor: ownProcessor(b, 50, caller(b, runner, loop("P.resolve('value')"))),
		subjects: []subject{
			{"get", "≤1.25", ownProcessor(b, 50, caller(b, runner, loop("kvs.get('key')")))},
		},
	}.run(b)
}

// BenchmarkFunctionWorker is the time on the clock of one call after the other
// through a worker process. The floor is the same in this process.
func BenchmarkFunctionWorker(b *testing.B) {
	inProcess, pool := cfworker.InProcess(cfworker.Options{}), cfworker.NewPool(cfworker.Options{})
	defer inProcess.Close()
	defer pool.Close()
	clock := func(once func()) func() float64 {
		return func() float64 {
			began := time.Now()
			for range functionCalls {
				once()
			}
			return micros(time.Since(began)) / functionCalls
		}
	}
	comparison{
		unit:     "µs",
		floor:    clock(caller(b, inProcess, kvsImport+headerRewrite)),
		subjects: []subject{{"worker", "≤2.5", clock(caller(b, pool, kvsImport+headerRewrite))}},
	}.run(b)
}

// bareCaller does what the function does with the engine alone: a fresh VM, the
// event built and the result read through its API, the store behind one
// function. No limits, no checks, no modules.
func bareCaller(b *testing.B) func() {
	program := sobek.MustCompile("f.js", "(function (kvs) { 'use strict';"+headerRewrite+"return handler; })", true)
	event := functionEvent(b)
	return func() {
		vm := sobek.New()
		v, err := vm.RunProgram(program)
		if err != nil {
			b.Fatal(err)
		}
		wrapper, _ := sobek.AssertFunction(v)
		kvs := vm.NewObject()
		set(kvs, "get", func(c sobek.FunctionCall) sobek.Value {
			promise, resolve, _ := vm.NewPromise()
			if err := resolve(functionStore[c.Argument(0).String()]); err != nil {
				panic(err)
			}
			return vm.ToValue(promise)
		})
		v, err = wrapper(sobek.Undefined(), kvs)
		if err != nil {
			b.Fatal(err)
		}
		handler, _ := sobek.AssertFunction(v)
		v, err = handler(sobek.Undefined(), bareEvent(vm, event))
		if err != nil {
			b.Fatal(err)
		}
		promise := v.Export().(*sobek.Promise)
		if promise.State() != sobek.PromiseStateFulfilled {
			b.Fatal(promise.State())
		}
		if q := bareRequest(promise.Result().(*sobek.Object)); len(q.Headers) != 11 {
			b.Fatal(len(q.Headers))
		}
	}
}

func set(o *sobek.Object, name string, value any) { _ = o.Set(name, value) }

func bareEvent(vm *sobek.Runtime, e *cfjs.Event) *sobek.Object {
	fields := func(fs cfjs.Fields) *sobek.Object {
		o := vm.NewObject()
		for _, f := range fs {
			entry := vm.NewObject()
			set(entry, "value", f.Value.Text)
			set(o, f.Name, entry)
		}
		return o
	}
	o, context, viewer, request := vm.NewObject(), vm.NewObject(), vm.NewObject(), vm.NewObject()
	set(o, "version", e.Version)
	set(context, "distributionDomainName", e.Context.DistributionDomainName)
	set(context, "distributionId", e.Context.DistributionID)
	set(context, "eventType", string(e.Context.EventType))
	set(context, "requestId", e.Context.RequestID)
	set(o, "context", context)
	set(viewer, "ip", e.ViewerIP)
	set(o, "viewer", viewer)
	set(request, "method", e.Request.Method)
	set(request, "uri", e.Request.URI)
	set(request, "querystring", fields(e.Request.Query))
	set(request, "headers", fields(e.Request.Headers))
	set(request, "cookies", fields(e.Request.Cookies))
	set(o, "request", request)
	return o
}

// bareRequest reads the result through the engine's API, unchecked.
func bareRequest(o *sobek.Object) cfjs.Request {
	fields := func(name string) (fs cfjs.Fields) {
		list := o.Get(name).(*sobek.Object)
		for _, name := range list.Keys() {
			fs = append(fs, cfjs.Field{Name: name, Value: cfjs.Value{Text: list.Get(name).(*sobek.Object).Get("value").String()}})
		}
		return fs
	}
	return cfjs.Request{Method: o.Get("method").String(), URI: o.Get("uri").String(), Query: fields("querystring"),
		Headers: fields("headers"), Cookies: fields("cookies")}
}
