package cfjs

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

// leaky tries every way to leave something behind for the next run, and tells
// whether it found anything that it had left.
const leaky = `
import cf from 'cloudfront';
import crypto from 'crypto';
import qs from 'querystring';
var top = 0;
const pattern = /x/g;
const list = [1];
function seen() {
	const found = [];
	if (top !== 0) { found.push('top'); }
	if (list.length !== 1) { found.push('list'); }
	if (pattern.lastIndex !== 0) { found.push('lastIndex'); }
	if (globalThis.left !== undefined) { found.push('globalThis'); }
	if (Array.prototype.left || Object.prototype.left || String.prototype.left || Function.prototype.left) { found.push('prototype'); }
	if (Buffer.left || Math.left || JSON.left || console.left) { found.push('built-in'); }
	if (cf.left || crypto.left || qs.left) { found.push('module'); }
	if (handler.calls) { found.push('handler'); }
	if (Symbol.for('left') !== Symbol.for('left')) { found.push('symbol'); }
	return found.join();
}
async function handler(event) {
	const kvs = cf.kvs();
	const own = event.request.headers['x-own'].value;
	const found = seen();
	top++;
	list.push(2);
	pattern.test('axa');
	globalThis.left = Array.prototype.left = Object.prototype.left = String.prototype.left = Function.prototype.left = own;
	Buffer.left = Math.left = JSON.left = console.left = cf.left = crypto.left = qs.left = own;
	handler.calls = 1;
	Array.prototype.push = function () { throw new Error('changed'); };
	const value = await kvs.get(own);
	if (value !== own || own !== event.request.uri.slice(1)) { throw new Error('mixed up ' + value + ' and ' + own); }
	console.log(own);
	return { statusCode: 200, body: found };
}`

// TestNoStateCrossesBetweenRuns makes 10,000 runs of one program, on all
// processors at once, each with an event and a store of its own.
func TestNoStateCrossesBetweenRuns(t *testing.T) {
	const runs = 10_000
	p := Compile([]byte(leaky), Runtime20)
	if text := p.LoadError(); text != "" {
		t.Fatal(text)
	}
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				if text := leakyRun(p, fmt.Sprint("run", i)); text != "" {
					t.Errorf("run %d: %s", i, text)
				}
			}
		})
	}
	for i := range runs {
		next <- i
	}
	close(next)
	wg.Wait()
}

func leakyRun(p *Program, own string) string {
	event := &Event{Version: "1.0", Context: Context{EventType: ViewerRequest}, Request: Request{
		Method: "GET", URI: "/" + own, Headers: Fields{{Name: "x-own", Value: Value{Text: own}}},
	}}
	r, err := p.Run(context.Background(), event, &MapStore{Items: map[string]string{own: own}}, Options{HardLimit: 10 * time.Second, WallLimit: time.Minute, MemoryLimit: 4 << 30})
	switch {
	case err != nil:
		return err.Error()
	case r.Failure != NoFailure:
		return r.ErrorMessage
	case r.Response.Body.Data != "":
		return "found " + r.Response.Body.Data
	case len(r.Logs) != 1 || r.Logs[0] != own:
		return fmt.Sprintf("log %q", r.Logs)
	case event.Request.Headers[0].Value.Text != own || len(event.Request.Headers) != 1:
		return "the event was written to"
	}
	return ""
}

// TestIsolationTestCanFail shows that what leaky leaves is found by a second
// call in the same VM.
func TestIsolationTestCanFail(t *testing.T) {
	twice := leaky + "\n;(function () { var first = handler; handler = async function (event) { var push = Array.prototype.push; await first(event); Array.prototype.push = push; return first(event); }; handler.calls = 1; })();"
	p := Compile([]byte(twice), Runtime20)
	if text := leakyRun(p, "run"); text != "found top,list,lastIndex,globalThis,prototype,built-in,module,handler" {
		t.Errorf("got %q, load error %q", text, p.LoadError())
	}
}
