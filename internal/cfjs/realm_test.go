package cfjs

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/sobek"
)

const typicalEvent = `{"version":"1.0","context":{"distributionDomainName":"d111111abcdef8.cloudfront.net","distributionId":"EDFDVBD6EXAMPLE",
"eventType":"viewer-request","requestId":"4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ=="},"viewer":{"ip":"1.2.3.4"},
"request":{"method":"GET","uri":"/index.html","querystring":{"a":{"value":"1"},"b":{"value":"2"}},"headers":{
"host":{"value":"example.com"},"user-agent":{"value":"Mozilla/5.0 (X11; Linux x86_64)"},"accept":{"value":"text/html,*/*"},
"accept-language":{"value":"en,de;q=0.7"},"accept-encoding":{"value":"gzip, br"},"referer":{"value":"https://example.com/"},
"x-one":{"value":"1"},"x-two":{"value":"2"}},"cookies":{"id":{"value":"CookeIdValue"},"lang":{"value":"en"}}}}`

const typicalHandler = `
async function handler(event) {
    const request = event.request;
    const headers = request.headers;
    headers['x-first'] = {value: 'one'};
    headers['x-second'] = {value: request.uri};
    headers['x-third'] = {value: await kvs.get('key')};
    return request;
}
`

var typicalStore = map[string]string{"key": "value"}

// TestAProgramPaysOnlyForWhatItNames looks at what was made for a run of a
// function that rewrites headers and reads the store.
func TestAProgramPaysOnlyForWhatItNames(t *testing.T) {
	p := Compile([]byte("import cf from 'cloudfront';\nconst kvs = cf.kvs();"+typicalHandler), Runtime20)
	if len(p.tables.amends) != 0 || len(p.env) != 0 {
		t.Errorf("amendments %v, globals %v", p.tables.amends, p.env)
	}
	if diff := cmp.Diff([][]string{{"kvs"}, {"get"}, nil, nil, nil},
		[][]string{p.tables.cloudfront.used, p.tables.kvs.used, p.tables.console.used, p.tables.crypto.used, p.tables.bufferStatics.used}); diff != "" {
		t.Errorf("members: %s", diff)
	}
	o := Options{}.withDefaults()
	inv := &invocation{vm: sobek.New(), program: p, event: mustEvent(t, typicalEvent), store: &MapStore{Items: typicalStore}, options: &o}
	if r, err := inv.run(); err != nil || r.Failure != NoFailure {
		t.Fatal(err, r.ErrorMessage)
	}
	if inv.amended != nil || inv.buffer != nil || inv.hashes != nil || inv.objects != nil || len(inv.modules) != 1 {
		t.Errorf("made for nothing: %+v", inv)
	}
}

// TestAbsentMembersAreGone asks for every member that the real runtime lacks,
// by its name and by a computed one.
func TestAbsentMembersAreGone(t *testing.T) {
	objects := map[string]string{
		"global": "globalThis", "TypedArray.prototype": "Object.getPrototypeOf(Uint8Array.prototype)",
	}
	for _, runtime := range []Runtime{Runtime10, Runtime20} {
		tables := []map[string]string{absent}
		if runtime == Runtime10 {
			tables = append(tables, absentIn10)
		}
		for _, table := range tables {
			for object, names := range table {
				path := objects[object]
				if path == "" {
					path = object
				}
				var code strings.Builder
				for _, name := range strings.Fields(names) {
					code.WriteString("if (" + path + "." + name + " !== undefined) { console.log('" + object + "." + name + "'); }\n")
					code.WriteString("k = '" + name[:1] + "' + '" + name[1:] + "'; if (" + path + "[k] !== undefined) { console.log('computed " + object + "." + name + "'); }\n")
				}
				if got := printed(t, runtime, "var k;\n"+code.String(), nil, Options{}); got != "" {
					t.Errorf("%s: still there: %s", runtime, got)
				}
			}
		}
	}
}

// TestAComputedNameIsEnough: with no name in the text, members appear and
// disappear when a computed name asks for them.
func TestAComputedNameIsEnough(t *testing.T) {
	checkPrinted(t, Runtime20, kvsStore, []printCase{
		{`typeof [1]['fl' + 'at'], typeof globalThis['M' + 'ap'], typeof 'a'['a' + 't']`, "undefined undefined undefined"},
		{`(function (k) { return typeof cf[k] + typeof Buffer['al' + 'loc'] + typeof crypto['create' + 'Hash'] })('kv' + 's')`, "functionfunctionfunction"},
		{`(function () { cf['k' + 'vs'] = 5; return cf['k' + 'vs'] })()`, "5"},
		{`Object.getOwnPropertyNames(Array.prototype).includes('flat')`, "false"},
		{`'a' in {a: 1}, [5][0], 'abc'[1], ({1: 2})[1]`, "true 5 b 2"},
	})
}

func TestRuntime10(t *testing.T) {
	checkPrinted(t, Runtime10, nil, []printCase{
		{`typeof Buffer + typeof atob + typeof TextEncoder + typeof Promise.all`, "undefinedundefinedundefinedundefined"},
		{`String.bytesFrom('YWJj', 'base64') + String.bytesFrom([100, 101])`, "abcde"},
		{`'é'.toUTF8().length, 'é'.toUTF8().fromUTF8()`, "2 é"},
		{`'é'.toBytes().length, '€'.toBytes()`, "1 null"},
		{`String.bytesFrom('abc').toString('hex'), (255).toString(16), 'x'.toString()`, "616263 ff x"},
		{`String.bytesFrom([255]).fromUTF8()`, "null"},
		{`(function () { try { String.bytesFrom(5) } catch (e) { return String(e) } })()`, "TypeError: value must be a string or array"},
		{`typeof MemoryError, typeof InternalError`, "function function"},
	})
	for _, c := range []struct{ code, want string }{
		{"let e = 1; " + emptyHandler, `SyntaxError: Unexpected token "let" in 1`},
		{"async function handler() {}", `SyntaxError: Unexpected token "function" in 1`},
		{"import c from 'crypto'; " + emptyHandler, `SyntaxError: Unexpected token "import" in 1`},
		{"import c from 'cloudfront'; " + emptyHandler, `SyntaxError: Cannot find module "cloudfront" in 1`},
	} {
		if got := Compile([]byte(c.code), Runtime10).LoadError(); got != c.want {
			t.Errorf("%s: %s", c.code, got)
		}
	}
	r, err := Compile([]byte("var f = v => `${v}`; function handler(event) { event.request.uri = f('/x'); return event.request }"), Runtime10).
		Run(context.Background(), mustEvent(t, exampleEvent), nil, Options{})
	if err != nil || r.Failure != NoFailure || r.Request.URI != "/x" {
		t.Errorf("%v %+v", err, r)
	}
}

func TestInternalError(t *testing.T) {
	checkPrinted(t, Runtime20, nil, []printCase{
		{`String(new InternalError('m')), new InternalError('m') instanceof Error, InternalError.name`, "InternalError: m true InternalError"},
		{`(function () { try { eval('1') } catch (e) { return e.name } })()`, "InternalError"},
	})
}

func TestFeatures(t *testing.T) {
	for _, c := range []struct {
		code  string
		reads int
	}{
		{`a.b; a['c']; a[0]; a[-1]; a[i]; var i = 1; i++; i += 2;`, 0},
		{`for (var i = 0; i < a.length; i++) { a[i]; a[i + 1]; a[a.length - 1]; }`, 0},
		{`a[b] = 1; delete a[b];`, 0},
		{`a[b];`, 1},
		{`a[b] += 1; a[b]++; a[b]();`, 3},
		{`function f(i) { return a[i]; } var i = 1;`, 1},
		{`var i = 1; i = 'x'; a[i];`, 1},
		{`for (var k in a) { a[k]; }`, 1},
		{"var k = `x`; a[k]; a[`y`];", 2},
	} {
		p := Compile([]byte("var a, b; "+c.code), Runtime20)
		if p.LoadError() != "" {
			p = Compile([]byte("var a; "+c.code), Runtime20)
		}
		if p.features == nil || len(p.features.reads) != c.reads {
			t.Errorf("%s: %v %s", c.code, p.features, p.LoadError())
		}
	}
	f := Compile([]byte(`var {`+"\n"), Runtime20).features
	if f != nil {
		t.Error("features of what does not load")
	}
	p := Compile([]byte(`Object.getOwnPropertyNames(x)`), Runtime20)
	if !p.features.reflects || !slices.Contains(p.tables.crypto.used, "createHash") {
		t.Error("reflection reaches every member")
	}
}
