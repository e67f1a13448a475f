package cfjs

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// hostile are functions that try to use up time or memory. Each runs as the
// body of an async handler.
var hostile = []struct{ name, body string }{
	{"endless loop", `for (;;) {}`},
	{"endless loop in a catch", `for (;;) { try { for (;;) {} } catch (e) {} }`},
	{"endless loop in a finally", `try { for (;;) {} } finally { for (;;) {} }`},
	{"endless await", `for (;;) { await 1; }`},
	{"endless await of the store", `const k = CF.kvs(); for (;;) { await k.get('key'); }`},
	{"endless then-chain", `function f() { return Promise.resolve().then(f) } await f();`},
	{"endless jobs that nobody awaits", `function f() { Promise.resolve().then(f) } f();`},
	{"promise rejected again and again", `function f() { return Promise.reject(1).catch(f) } await f();`},
	{"thenable that resolves to itself", `var t = {then: function (r) { r(t) }}; await t;`},
	{"deep recursion", `function f() { return f() + 1 } f();`},
	{"mutual recursion", `function f() { g() } function g() { f() } f();`},
	{"recursion through map", `function f() { return [1].map(f) } f();`},
	{"recursion through toString", `var o = {toString: function () { return '' + o }}; '' + o;`},
	{"recursion through a getter", `var o = {get x() { return this.x }}; o.x;`},
	{"recursion through sort", `function f() { return [2, 1].sort(f) } f();`},
	{"recursion through replace", `function f() { return 'a'.replace('a', f) } f();`},
	{"recursion through JSON", `var o = {toJSON: function () { return JSON.stringify(o) }}; JSON.stringify(o);`},
	{"nested arrays to JSON", `var a = []; for (var i = 0; i < 1e6; i++) a = [a]; JSON.stringify(a);`},
	{"nested arrays to text", `var a = []; for (var i = 0; i < 1e5; i++) a = [a]; String(a);`},
	{"a million binds", `var f = function () {}; for (var i = 0; i < 1e6; i++) f = f.bind(null); f();`},
	{"repeat", `'x'.repeat(1 << 29);`},
	{"repeat by a computed name", `'x'['rep' + 'eat'](1 << 29);`},
	{"repeat by a descriptor", `var n = 'rep' + 'eat'; Object.getOwnPropertyDescriptor(String.prototype, n).value.call('x', 1 << 29);`},
	{"padEnd", `'x'.padEnd(1 << 29);`},
	{"padStart", `'x'.padStart(1 << 29, 'ab');`},
	{"big ArrayBuffer", `new ArrayBuffer(1 << 30);`},
	{"big typed array", `new Float64Array(1 << 28);`},
	{"big Buffer", `Buffer.alloc(1 << 30);`},
	{"big Buffer from an object", `Buffer.from({length: 1e9});`},
	{"fill of a long array", `new Array(1e8).fill(0);`},
	{"join of a long array", `new Array(1e8).join('xx');`},
	{"text of a long array", `'' + new Array(1e8);`},
	{"sort of a long array", `new Array(1e8).sort();`},
	{"reverse of a long array", `new Array(1e8).reverse();`},
	{"indexOf in a long array", `new Array(1e8).indexOf(1);`},
	{"forEach of a long array", `new Array(4e9).forEach(function () {});`},
	{"length set by hand", `var a = []; a.length = 4e9; a.includes(1);`},
	{"array-like with a length", `Array.prototype.map.call({length: 4e9}, function () {});`},
	{"long array to JSON", `var a = []; a.length = 1e9; JSON.stringify(a);`},
	{"apply with many arguments", `Math.max.apply(null, {length: 1e9});`},
	{"Promise.all of a long array", `await Promise.all(new Array(1e8));`},
	{"shared arrays to JSON", `var a = ['xxxxxxxxxx']; for (var i = 0; i < 25; i++) a = [a, a, a, a]; JSON.stringify(a);`},
	{"shared arrays to text", `var a = ['xxxxxxxxxx']; for (var i = 0; i < 25; i++) a = [a, a, a, a]; '' + a;`},
	{"shared arrays to the log", `var a = ['xxxxxxxxxx']; for (var i = 0; i < 25; i++) a = [a, a, a, a]; console.log(a);`},
	{"replaceAll", `var s = 'a'.repeat(1e5); s.replaceAll('a', s);`},
	{"replace with dollars", `var s = 'a'.repeat(1e5); s.replace(/a/g, "$'$'");`},
	{"regexp with look-ahead", `/^(?=(a+)+$)b/.test('a'.repeat(40) + '!');`},
	{"regexp with a back-reference", `/^(a+)+\1$/.test('a'.repeat(40) + '!');`},
	{"regexp plain", `/^(a+)+$/.test('a'.repeat(40) + '!');`},
	{"regexp with an index", `var r = /(a+)+b/g; r.lastIndex = 1; r.exec('a'.repeat(40) + '!');`},
	{"regexp made at run time", `new RegExp('^(a+)+' + '\\1$').test('a'.repeat(40) + '!');`},
	{"JSON.parse of brackets", `JSON.parse('['.repeat(1e6));`},
	{"string doubling", `var s = 'x'; for (;;) s += s;`},
	{"array push", `var a = []; for (;;) a.push(a);`},
	{"object keys", `var o = {}; for (var i = 0;; i++) o['k' + i] = i;`},
	{"log lines", `for (;;) console.log('x'.repeat(1000));`},
	{"search in long text", `var s = '\u00e9'.repeat(1e6); s.indexOf(s.slice(1) + 'x');`},
	{"sort without an order", `var a = []; for (var i = 0; i < 1e5; i++) a.push(i); a.sort(function () { return Math.random() - 0.5 });`},
}

func hostileFunction(body string) string {
	return "import CF from 'cloudfront';\nasync function handler(event) {\n" + body + "\nreturn event.request }"
}

// TestHostileFunctionsAreStopped runs each of them: none takes much more than
// the hard limit, none brings the process down, and a good function runs right
// behind it.
func TestHostileFunctionsAreStopped(t *testing.T) {
	event := mustEvent(t, exampleEvent)
	store := &MapStore{Items: map[string]string{"key": "v"}}
	good := Compile([]byte(`function handler(event) { return event.request }`), Runtime20)
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			p := Compile([]byte(hostileFunction(h.body)), Runtime20)
			if text := p.LoadError(); text != "" {
				t.Fatal(text)
			}
			r, err := p.Run(context.Background(), event, store, Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Log(r.CPU.Round(time.Millisecond), fmt.Sprintf("%.120s", r.ErrorMessage))
			if limit := DefaultHardLimit + regexpTimeout + 200*time.Millisecond; r.CPU > limit {
				t.Errorf("took %v, more than %v", r.CPU, limit)
			}
			if r, err := good.Run(context.Background(), event, store, Options{}); err != nil || r.Failure != NoFailure {
				t.Errorf("a good function fails afterwards: %v %s", err, r.ErrorMessage)
			}
		})
	}
}
