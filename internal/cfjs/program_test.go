package cfjs

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// FuzzCompile: no text makes the parsers, the lint or the compiler panic, and
// what loads runs without a defect.
func FuzzCompile(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.code)
	}
	for _, s := range []string{"function handler(){`${`", "var a = /(?<x>/", "import a from 'crypto'", "({get x(){}})", "for(a in b);", "\xff"} {
		f.Add(s)
	}
	event := mustEvent(f, exampleEvent)
	f.Fuzz(func(t *testing.T, code string) {
		for _, runtime := range []Runtime{Runtime10, Runtime20} {
			p := Compile([]byte(code), runtime)
			Lint([]byte(code), runtime)
			o := Options{HardLimit: 5 * time.Millisecond}
			if r, err := p.Run(t.Context(), event, kvsStore, o); err != nil {
				t.Fatal(err)
			} else if p.LoadError() != "" && r.Failure != ExecutionError {
				t.Fatalf("%q does not load and ran: %+v", p.LoadError(), r)
			}
		}
	})
}

func TestCodeThatDoesNotLoadCompiles(t *testing.T) {
	p := Compile([]byte("function handler( {"), Runtime20)
	if p.LoadError() != `SyntaxError: Token "{" not supported in this version in 1` {
		t.Errorf("load error %q", p.LoadError())
	}
	if p := Compile([]byte(strings.Repeat("(", maxSourceBytes+1)), Runtime20); p.LoadError() != "SyntaxError: the code is too long" {
		t.Errorf("load error %q", p.LoadError())
	}
	if p := Compile([]byte(strings.Repeat("[", MaxCodeBytes)), Runtime20); p.LoadError() != "SyntaxError: Unexpected end of input in 1" {
		t.Errorf("load error %q", p.LoadError())
	}
}

func TestAProgramIsUsedByManyGoroutines(t *testing.T) {
	p := Compile([]byte(`function handler(event) { return {statusCode: 200, body: event.request.uri.replace(/(?<n>x)(?=\/)/g, '$<n>y')} }`), Runtime20)
	event := mustEvent(t, exampleEvent)
	event.Request.URI = "/x/x/"
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if r := mustRunProgram(t, p, event); r.ErrorMessage != "" || r.Response.Body.Data != "/xy/xy/" {
					t.Errorf("%+v", r)
					return
				}
			}
		})
	}
	wg.Wait()
}

func mustRunProgram(t testing.TB, p *Program, event *Event) Result {
	r, err := p.Run(t.Context(), event, nil, Options{})
	if err != nil {
		t.Error(err)
	}
	return r
}

// TestRepairs: what our engine gets wrong and the rewritten tree mends.
func TestRepairs(t *testing.T) {
	checkPrinted(t, Runtime20, nil, []printCase{
		{`1 < 2 < 3, 3 > 2 > 1, 1 < (2 < 3), 5 > 4 > 3 > 2`, "true false false false"},
		{`(function () { return (() => arguments.length)() })(1, 2)`, "2"},
		{`(function () { return (() => () => arguments[1])()() })(1, 2)`, "2"},
		{`'2024-05'.replace(/(?<y>\d+)-(?<m>\d+)/, '$<m>/$<y>$<none>')`, "05/2024"},
		{`'a1'.replace(/(?<l>[a-z])(\d)/, '$2$<l>$$<l>')`, "1a$<l>"},
		{`/(?<q>['"]).*?\k<q>/.exec('a "b\' c" d')[0]`, `"b' c"`},
		{`/(\d)(?<l>[a-z])/.exec('1a').groups.l`, "a"},
		{`/a/.exec('a').groups`, "undefined"},
		{`new RegExp('(?<' + 'x>b)').exec('ab').groups.x`, "b"},
		{`/(?<=a)b/.test('ab'), /(?<!a)b/.test('ab')`, "true false"},
	})
}

func TestATopLevelOfItsOwn(t *testing.T) {
	for _, c := range []struct{ name, code, want string }{
		{"names of the host may be taken", `let console = {log: function () {}}; const Buffer = 1, require = 2; var atob = 3; function handler() { return {statusCode: 200, body: '' + Buffer + require + atob} }`, "123"},
		{"functions may be declared twice", `function f() { return 1 } var f; function f() { return 2 } function handler() { return {statusCode: 200, body: '' + f()} }`, "2"},
		{"imports come first", `const n = typeof c.createHash; import c from 'crypto'; function handler() { return {statusCode: 200, body: n} }`, "function"},
		{"handler may be a constant", `const handler = async () => ({statusCode: 200, body: 'ok'})`, "ok"},
		{"this is the global object", `const g = this; function handler() { return {statusCode: 200, body: '' + (g === globalThis)} }`, "true"},
		{"comments without a line end", `function handler() { return {statusCode: 200, body: 'ok'} } // end`, "ok"},
		{"the host's own names stay hidden", "function handler() { return {statusCode: 200, body: typeof key + typeof caught + arguments.length} }", "undefinedundefined1"},
	} {
		r := mustRun(t, c.code, mustEvent(t, exampleEvent), nil)
		if r.Failure != NoFailure || r.Response.Body.Data != c.want {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}
