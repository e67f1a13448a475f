package cfjs

import (
	"context"
	"testing"
)

const exampleEvent = `{"version":"1.0","context":{"eventType":"viewer-request"},"viewer":{"ip":"1.2.3.4"},
"request":{"method":"GET","uri":"/index.html","headers":{"host":{"value":"example.com"},"accept":{"value":"text/html"}},
"querystring":{"a":{"value":"1"}},"cookies":{"id":{"value":"x"}}}}`

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

func TestPlay(t *testing.T) {
	e := mustEvent(t, exampleEvent)
	s := &MapStore{Items: map[string]string{"key": "value", "j": `{"a":[1,2,{"b":null}]}`}}
	for _, code := range []string{
		`function handler(event) { event.request.headers['x-a'] = {value: 'b'}; console.log(event); return event.request; }`,
		`import cf from 'cloudfront'; const kvs = cf.kvs();
async function handler(event) { const v = await kvs.get('key'); const j = await kvs.get('j', {format: 'json'}); const b = await kvs.get('key', {format:'bytes'});
 const q = await kvs.exists('nope'), w = await kvs.count(), m = await kvs.meta(); console.log(v, j, b, b.toString('hex'), q, w, m);
 try { await kvs.get('nope') } catch (e) { console.log(String(e)) }
 return {statusCode: 302, statusDescription: 'Found', headers: {location: {value: '/x'}}, cookies: {a: {value: 'b', attributes: 'Secure'}}, body: 'hi'} }`,
		`function handler(event) { return event.request.nothing.value; }`,
		`function handler(event) { return event.request.uri.match(/x(y)/)[1]; }`,
		`function handler(event) { try { null.x } catch (e) { return {statusCode: 200, body: e.message} } }`,
		`function handler(event) { throw new Error('boo'); }`,
		`async function handler(event) { throw new TypeError('boo'); }`,
		`function handler(event) { return new Promise(() => {}) }`,
		`function handler(event) { for (;;) {} }`,
		`function handler(event) { event.request.headers.host.value = 'x'; return event.request }`,
		`function handler(event) { event.request.headers['X-A'] = {value: 'x'}; return event.request }`,
		`function handler(event) { event.request.headers['x-cache'] = {value: 'x'}; return event.request }`,
		`function handler(event) { var f = 'rep' + 'eat'; return {statusCode: 200, body: 'x'[f](1e9)} }`,
		`function handler(event) { return {statusCode: 200, body: [1,[2]].flat()} }`,
		`function handler(event) { var k = 'fl' + 'at'; return {statusCode: 200, body: [1,[2]][k]()} }`,
		`function handler(event) { function f() { return f() } return f() }`,
		`const crypto = require('crypto'); function handler(event) { return {statusCode: 200, body: crypto.createHmac('sha256', 'k').update('a').digest('hex') + crypto.createHash('md5').update('x').digest().toString('base64url')} }`,
		`function handler(event) { return f(1, ...a) }`,
		`var x = 1`,
		`function handler(event) { return Function('return 1')() }`,
		`function handler(event) { return eval('1') }`,
		`function handler(event) { return (async function(){}).constructor('return 1')() }`,
	} {
		r := mustRun(t, code, e, s)
		t.Logf("%s\n=> %s%s\nlogs %q cpu %v util %d", code, r.Output(), r.ErrorMessage, r.Logs, r.CPU, r.ComputeUtilization)
	}
}
