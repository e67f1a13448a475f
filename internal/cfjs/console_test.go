package cfjs

import (
	"strings"
	"testing"
)

func TestConsolePrintsInTheEnginesNotation(t *testing.T) {
	checkPrinted(t, Runtime20, nil, []printCase{
		{`'text', 1, -0, NaN, true, null, undefined`, "text 1 -0 NaN true null undefined"},
		{`{a: 1, b: 'x', 'c-d': [1, 'a', [], {}]}`, "{a:1,b:'x',c-d:[1,'a',[],{}]}"},
		{`['it\'s "so"\n\u0001']`, `['it's "so"\n\u0001']`},
		{`[undefined, , null, , ,]`, "[undefined,<empty>,null,<2 empty items>]"},
		{`new Array(3)`, "[<3 empty items>]"},
		{`(function () { var a = [1]; a.x = 2; return a })()`, "[1,x:2]"},
		{`[function () {}, function f() {}, () => 1].length, function f() {}`, "3 [Function: f]"},
		{`console.log`, "[Function: native]"},
		{`new Error('m'), [new TypeError('t')]`, "Error: m [TypeError: t]"},
		{`new Date(0), [new Date(NaN)]`, "1970-01-01T00:00:00.000Z [Invalid Date]"},
		{`/a\/b/gi, Symbol('s'), [Symbol('s')]`, "/a\\/b/gi Symbol(s) [Symbol(s)]"},
		{`Buffer.from('ab'), new Uint8Array(2), new ArrayBuffer(2)`, "Buffer [97,98] Uint8Array [0,0] ArrayBuffer {}"},
		{`new String('a'), new Number(1), new Boolean(false)`, "[String: 'a'] [Number: 1] [Boolean: false]"},
		{`Promise.resolve(1), Math, JSON`, "Promise {} Math {} JSON {}"},
		{`{get a() { throw 1 }, set b(v) {}, get c() { return 1 }, set c(v) {}}`, "{a:'[Getter]',b:'[Setter]',c:'[Getter/Setter]'}"},
		{`(function () { var o = {x: {}}; o.self = o; o.x.up = o; return o })()`, "{x:{up:[Circular]},self:[Circular]}"},
		{`'a1b'.match(/\d/)`, "['1',groups:undefined,index:1,input:'a1b']"},
		{`Object.create(null)`, "{}"},
	})
	if got := printed(t, Runtime20, `console.log(); console.log('x');`, nil, Options{}); got != "x" {
		t.Errorf("nothing prints nothing: %q", got)
	}
}

func TestConsoleHasLogOnly(t *testing.T) {
	checkPrinted(t, Runtime20, nil, []printCase{
		{`typeof console.error, typeof console.warn, typeof console.info`, "undefined undefined undefined"},
	})
}

func TestLogIsCutAtTenKilobytes(t *testing.T) {
	r := mustRun(t, `function handler(event) { console.log('first'); for (var i = 0; i < 100; i++) { console.log('é'.repeat(500)) } return event.request }`, mustEvent(t, exampleEvent), nil)
	total := 0
	for _, line := range r.Logs {
		total += len(line)
	}
	last := r.Logs[len(r.Logs)-1]
	if r.Failure != NoFailure || total > MaxLogBytes || total < MaxLogBytes-1 || len(r.Logs) != 12 || strings.Trim(last, "é") != "" {
		t.Errorf("%d bytes in %d lines, the last of %d: %s", total, len(r.Logs), len(last), r.ErrorMessage)
	}
}
