package cfjs

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/grafana/sobek"
)

// The benchmarks compare with our JavaScript engine used bare. What counts are
// the ratios: BenchmarkInvocationRatio is to stay below 1.2, BenchmarkAwaitRatio
// below 1.25. Both take turns on one thread and count its processor time, so
// that other load does not decide.

const benchEvent = `{"version":"1.0","context":{"distributionDomainName":"d111111abcdef8.cloudfront.net","distributionId":"EDFDVBD6EXAMPLE",
"eventType":"viewer-request","requestId":"4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ=="},"viewer":{"ip":"1.2.3.4"},
"request":{"method":"GET","uri":"/index.html","querystring":{"a":{"value":"1"},"b":{"value":"2"}},"headers":{
"host":{"value":"example.com"},"user-agent":{"value":"Mozilla/5.0 (X11; Linux x86_64)"},"accept":{"value":"text/html,*/*"},
"accept-language":{"value":"en,de;q=0.7"},"accept-encoding":{"value":"gzip, br"},"referer":{"value":"https://example.com/"},
"x-one":{"value":"1"},"x-two":{"value":"2"}},"cookies":{"id":{"value":"CookeIdValue"},"lang":{"value":"en"}}}}`

const benchHandler = `
async function handler(event) {
    const request = event.request;
    const headers = request.headers;
    headers['x-first'] = {value: 'one'};
    headers['x-second'] = {value: request.uri};
    headers['x-third'] = {value: await kvs.get('key')};
    return request;
}
`

var benchStore = map[string]string{"key": "value"}

func BenchmarkInvocation(b *testing.B) {
	run := invocationBench(b)
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}

func invocationBench(b *testing.B) func() {
	p := Compile([]byte("import cf from 'cloudfront';\nconst kvs = cf.kvs();"+benchHandler), Runtime20)
	event := mustEvent(b, benchEvent)
	store := &MapStore{Items: benchStore}
	return func() {
		r, err := p.Run(context.Background(), event, store, Options{})
		if err != nil || r.Failure != NoFailure {
			b.Fatal(err, r.ErrorMessage)
		}
		if len(r.Request.Headers) != 11 {
			b.Fatal(len(r.Request.Headers))
		}
	}
}

// BenchmarkBareVM does the same with nothing but the engine: a fresh VM, the
// event built and the result read through its API, the store behind one
// function. No limits, no checks, no modules.
func BenchmarkBareVM(b *testing.B) {
	run := bareBench(b)
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}

func bareBench(b *testing.B) func() {
	program := sobek.MustCompile("f.js", "(function (kvs) { 'use strict';"+benchHandler+"return handler; })", true)
	event := mustEvent(b, benchEvent)
	return func() {
		vm := sobek.New()
		v, err := vm.RunProgram(program)
		if err != nil {
			b.Fatal(err)
		}
		wrapper, _ := sobek.AssertFunction(v)
		kvs := vm.NewObject()
		set(kvs, "get", func(c sobek.FunctionCall) sobek.Value { return bareGet(vm, c) })
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

// bareRequest reads the result through the engine's API, unchecked.
func bareRequest(o *sobek.Object) Request {
	fields := func(name string) (fs Fields) {
		list := o.Get(name).(*sobek.Object)
		for _, name := range list.Keys() {
			fs = append(fs, Field{Name: name, Value: Value{Text: list.Get(name).(*sobek.Object).Get("value").String()}})
		}
		return fs
	}
	return Request{Method: o.Get("method").String(), URI: o.Get("uri").String(), Query: fields("querystring"),
		Headers: fields("headers"), Cookies: fields("cookies")}
}

func bareGet(vm *sobek.Runtime, c sobek.FunctionCall) sobek.Value {
	promise, resolve, _ := vm.NewPromise()
	if err := resolve(benchStore[c.Argument(0).String()]); err != nil {
		panic(err)
	}
	return vm.ToValue(promise)
}

func bareEvent(vm *sobek.Runtime, e *Event) *sobek.Object {
	fields := func(fs Fields) *sobek.Object {
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

const awaitRounds = 100

// awaitBench returns a function that awaits in a loop, in a VM that is made
// beforehand.
func awaitBench(b *testing.B, expression string) func() {
	p := Compile([]byte("import cf from 'cloudfront'; const kvs = cf.kvs(); const P = Promise;\n"+
		"async function handler(n) { for (let i = 0; i < n; i++) { await "+expression+"; } }"), Runtime20)
	inv := &invocation{vm: sobek.New(), program: p, event: mustEvent(b, benchEvent), store: &MapStore{Items: benchStore}}
	o := Options{}.withDefaults()
	inv.options = &o
	wrapper, err := inv.vm.RunProgram(p.compiled)
	if err != nil {
		b.Fatal(err)
	}
	inv.wrapper = wrapper.(*sobek.Object)
	inv.prepare()
	top, _ := sobek.AssertFunction(wrapper)
	v, err := top(sobek.Undefined(), inv.arguments()...)
	if err != nil {
		b.Fatal(err)
	}
	handler, _ := sobek.AssertFunction(v)
	return func() {
		if _, err := handler(sobek.Undefined(), inv.vm.ToValue(awaitRounds)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInvocationRatio(b *testing.B) { benchRatio(b, invocationBench(b), bareBench(b)) }

func BenchmarkAwaitRatio(b *testing.B) {
	benchRatio(b, awaitBench(b, "kvs.get('key')"), awaitBench(b, "P.resolve('value')"))
}

// benchRatio reports the processor time of one against that of the other, each
// the least of rounds that alternate.
func benchRatio(b *testing.B, one, other func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const calls = 50
	clock := currentThread()
	spent := func(f func()) time.Duration {
		before := clock.now()
		for range calls {
			f()
		}
		return clock.now() - before
	}
	least, leastOther := time.Hour, time.Hour
	for b.Loop() {
		least, leastOther = min(least, spent(one)), min(leastOther, spent(other))
	}
	b.ReportMetric(float64(least)/float64(leastOther), "ratio")
	b.ReportMetric(float64(least)/calls, "cpu-ns/call")
	b.ReportMetric(float64(leastOther)/calls, "cpu-ns/other")
}
