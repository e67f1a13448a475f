package cfjs

import "testing"

// TestMendedBuiltIns: what the real engine prints (observed on njs 0.7.9; what
// belongs to runtime 1.0 is documented).
func TestMendedBuiltIns(t *testing.T) {
	for _, c := range []struct {
		name    string
		runtime Runtime
		code    string
		want    string
	}{
		{"text of a date", Runtime20, "console.log(String(new Date(0)), 'at ' + new Date(NaN));", "Thu Jan 01 1970 00:00:00 GMT+0000 at Invalid Date"},
		{"Promise.any that fails", Runtime20, "try { await Promise.any([Promise.reject(1)]); } catch (e) { console.log(String(e), e instanceof AggregateError); }",
			"AggregateError: All promises were rejected true"},
		{"no AggregateError in 1.0", Runtime10, "console.log(typeof AggregateError);", "undefined"},
		{"an error in a then-chain", Runtime20, "var p = Promise.resolve(); await p.then(() => event.nothing.x).catch(e => { console.log(e.message); });",
			`cannot get property "x" of undefined`},
		{"the second argument of then", Runtime20, "var p = Promise.resolve().then(() => event.nothing.x); await p.then(null, e => { console.log(e.message); });",
			`cannot get property "x" of undefined`},
		{"reasons of allSettled", Runtime20, "var p = Promise.resolve().then(() => event.nothing.x); p = await Promise.allSettled([p]); console.log(p[0].reason.message);",
			`cannot get property "x" of undefined`},
		{"finally passes an error on", Runtime20, "var p = Promise.reject(new Error('a')); try { await p.finally(() => { console.log(1); }); } catch (e) { console.log(e.message); }", "1\na"},
		{"a handler's own error", Runtime20, "var p = Promise.reject(1); try { await p.catch(n => { throw new TypeError('a' + n); }); } catch (e) { console.log(String(e)); }", "TypeError: a1"},
		{"a handler that is not a function", Runtime20, "var p = Promise.reject(1); try { await p.then(1, 2); } catch (e) { console.log(e); }", "1"},
		{"then keeps its name", Runtime20, "console.log(Promise.prototype.then.name);", "then"},
		{"then of something else", Runtime20, "try { Promise.prototype.then.call({}, 1); } catch (e) { console.log(e.name); }", "TypeError"},
		{"toString of something else", Runtime20, "try { Date.prototype.toString.call({}); } catch (e) { console.log(e.name); }", "TypeError"},
		{"a computed global", Runtime20, "var n = 'con' + 'sole'; globalThis[n].log(typeof globalThis.Buffer);", "function"},
		{"numeric separators in 1.0", Runtime10, "console.log(1_000);", `SyntaxError: Unexpected token "_000" in 2`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := printed(t, c.runtime, c.code, nil, Options{}); got != c.want {
				t.Errorf("%s\n got %q\nwant %q", c.code, got, c.want)
			}
		})
	}
}

func TestDisallowedHeadersOfATestEventAreHidden(t *testing.T) {
	event := mustEvent(t, `{"context":{"eventType":"viewer-response"},"viewer":{"ip":"192.0.2.1"},
		"request":{"method":"GET","uri":"/","headers":{"x-cache":{"value":"1"},"accept":{"value":"2"}}},
		"response":{"statusCode":200,"headers":{"x-edge-location":{"value":"1"},"age":{"value":"2"}}}}`)
	r := mustRun(t, "function handler(event) { console.log(event.request.headers, event.response.headers); event.response.headers['x-cache'] = {value: 'a'}; return event.response }", event, nil)
	if want := "{accept:{value:'2'}} {age:{value:'2'}}"; len(r.Logs) != 1 || r.Logs[0] != want {
		t.Errorf("%q, want %q", r.Logs, want)
	}
	if want := errDisallowed + ": x-cache."; r.ErrorMessage != want {
		t.Errorf("%q, want %q", r.ErrorMessage, want)
	}
}
