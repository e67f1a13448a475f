package cfjs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOutputHasAWSsShape(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"the request as it came", `return event.request`,
			`{"request":{"headers":{"host":{"value":"example.com"},"accept":{"value":"text/html"}},"method":"GET","querystring":{"a":{"value":"1"}},"uri":"/index.html","cookies":{"id":{"value":"x"}}}}`},
		{"unknown properties vanish, collections appear", `return {statusCode: 302, statusDescription: 'Found', extra: 1, headers: {location: {value: '/', extra: 1}}}`,
			`{"response":{"headers":{"location":{"value":"/"}},"statusDescription":"Found","cookies":{},"statusCode":302}}`},
		{"a body as text", `return {statusCode: 200, body: 'hé"'}`,
			`{"response":{"headers":{},"cookies":{},"statusCode":200,"body":{"encoding":"text","data":"hé\""}}}`},
		{"a body as an object", `return {statusCode: 200, body: {encoding: 'base64', data: 'YQ=='}}`,
			`{"response":{"headers":{},"cookies":{},"statusCode":200,"body":{"encoding":"base64","data":"YQ=="}}}`},
		{"an empty body", `return {statusCode: 200, body: {encoding: 'text', data: ''}}`,
			`{"response":{"headers":{},"cookies":{},"statusCode":200,"body":{"encoding":"text","data":""}}}`},
		{"multiValue wins when it changed", `event.request.headers.x = {value: 'v', multiValue: [{value: 'a'}, {value: 'b'}]}; return event.request.headers.x && {statusCode: 200, headers: {x: event.request.headers.x}}`,
			`{"response":{"headers":{"x":{"value":"a","multiValue":[{"value":"a"},{"value":"b"}]}},"cookies":{},"statusCode":200}}`},
		{"cookies with attributes", `return {statusCode: 200, cookies: {a: {value: '1', attributes: 'Secure', multiValue: [{value: '1', attributes: 'Secure'}, {value: '2'}]}}}`,
			`{"response":{"headers":{},"cookies":{"a":{"value":"1","attributes":"Secure","multiValue":[{"value":"1","attributes":"Secure"},{"value":"2"}]}},"statusCode":200}}`},
		{"a query string as text", `event.request.querystring = 'b=2&a=1&b=3'; return event.request`,
			`{"request":{"headers":{"host":{"value":"example.com"},"accept":{"value":"text/html"}},"method":"GET","querystring":{"b":{"value":"2","multiValue":[{"value":"2"},{"value":"3"}]},"a":{"value":"1"}},"uri":"/index.html","cookies":{"id":{"value":"x"}}}}`},
		{"a request of its own making", `return {method: 'GET', uri: '/x', headers: event.request.headers}`,
			`{"request":{"headers":{"host":{"value":"example.com"},"accept":{"value":"text/html"}},"method":"GET","querystring":{},"uri":"/x","cookies":{}}}`},
	} {
		r := mustRun(t, "function handler(event) { "+c.body+" }", mustEvent(t, exampleEvent), nil)
		if got := r.Output() + r.ErrorMessage; got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestMultiValueFollowsValue(t *testing.T) {
	e := mustEvent(t, exampleEvent)
	e.Request.Headers = append(e.Request.Headers, Field{"x", Value{"1", ""}, []Value{{"1", ""}, {"2", ""}}})
	r := mustRun(t, `function handler(event) { event.request.headers.x.value = 'new'; return event.request }`, e, nil)
	got, _ := r.Request.Headers.Get("x")
	if diff := cmp.Diff(Field{"x", Value{"new", ""}, []Value{{"new", ""}, {"2", ""}}}, got); diff != "" {
		t.Errorf("a change to value replaces the first element only: %s", diff)
	}
}

func TestQueryText(t *testing.T) {
	e := mustEvent(t, exampleEvent)
	raw := "a=1&&"
	e.Request.RawQuery = &raw
	for _, c := range []struct{ body, want string }{
		{`return event.request`, "a=1&&"},
		{`event.request.querystring.b = {value: '2'}; return event.request`, "a=1&b=2"},
		{`event.request.querystring = {}; return event.request`, ""},
		{`event.request.querystring = 'z'; return event.request`, "z"},
	} {
		r := mustRun(t, "function handler(event) { "+c.body+" }", e, nil)
		if got, _ := r.Request.QueryText(); got != c.want {
			t.Errorf("%s: %q", c.body, got)
		}
	}
}

func TestRulesOfReturnedObjects(t *testing.T) {
	const invalid = "The CloudFront function returned an invalid value: "
	long := strings.Repeat("x", 8192)
	for _, c := range []struct{ name, body, want string }{
		{"nothing", `return`, invalid + "the function must return a request or a response object."},
		{"null", `return null`, invalid + "the function must return a request or a response object."},
		{"text", `return 'x'`, invalid + "the function must return a request or a response object."},
		{"a list", `return []`, invalid + "the function must return a request or a response object."},
		{"a function", `return handler`, invalid + "the function must return a request or a response object."},
		{"a relative uri", `event.request.uri = 'x'; return event.request`, invalid + "request.uri must start with /."},
		{"no uri", `delete event.request.uri; return event.request`, invalid + "request.uri must be a string."},
		{"another method", `event.request.method = 'POST'; return event.request`, invalid + "request.method is read-only."},
		{"a long uri", `event.request.uri = '/` + long + `'; return event.request`, invalid + "request.uri and the query string must be shorter than 8192 characters together."},
		{"a space in the query", `event.request.querystring = 'a b'; return event.request`, invalid + "request.querystring must not have spaces, control characters, or #."},
		{"# in the query", `event.request.querystring.a.value = '#'; return event.request`, invalid + "request.querystring must not have spaces, control characters, or #."},
		{"/ in a name of the query", `event.request.querystring['a/b'] = {value: '1'}; return event.request`, invalid + "request.querystring must not have a / in a name."},
		{"headers that are no object", `event.request.headers = 1; return event.request`, invalid + "request.headers must be an object."},
		{"a header that is text", `event.request.headers.x = 'y'; return event.request`, invalid + "request.headers.x must be an object with a value."},
		{"a header without a value", `event.request.headers.x = {}; return event.request`, invalid + "request.headers.x.value must be a string."},
		{"a header that is a number", `event.request.headers.x = {value: 1}; return event.request`, invalid + "request.headers.x.value must be a string."},
		{"a header with a line break", `event.request.headers.x = {value: 'a\r\nb: c'}; return event.request`, invalid + "request.headers.x.value must not have line breaks."},
		{"multiValue that is no list", `event.request.headers.x = {value: 'a', multiValue: {}}; return event.request`, invalid + "request.headers.x.multiValue must be an array."},
		{"upper case", `return {statusCode: 200, headers: {Location: {value: '/'}}}`, invalid + "response.headers must have header names in lower case."},
		{"a disallowed header", `event.request.headers['x-edge-location'] = {value: 'a'}; return event.request`, errDisallowed + ": x-edge-location."},
		{"a disallowed header in a response", `return {statusCode: 200, headers: {connection: {value: 'close'}}}`, errDisallowed + ": connection."},
		{"host changed", `event.request.headers.host.value = 'x'; return event.request`, errReadOnly},
		{"host deleted", `delete event.request.headers.host; return event.request`, errReadOnly},
		{"host deleted with all headers", `return {uri: '/'}`, errReadOnly},
		{"via added", `event.request.headers.via = {value: 'x'}; return event.request`, errReadOnly},
		{"via added to a response", `return {statusCode: 200, headers: {via: {value: 'x'}}}`, errReadOnly},
		{"content-length of a response", `return {statusCode: 200, headers: {'content-length': {value: '0'}}}`, ""},
		{"a status that is text", `return {statusCode: '200'}`, invalid + "response.statusCode must be an integer."},
		{"a fraction of a status", `return {statusCode: 200.5}`, invalid + "response.statusCode must be an integer."},
		{"a status out of range", `return {statusCode: 1000}`, invalid + "response.statusCode must be an integer."},
		{"a description that is a number", `return {statusCode: 200, statusDescription: 5}`, invalid + "response.statusDescription must be a string."},
		{"a body that is a number", `return {statusCode: 200, body: 5}`, invalid + "response.body must be an object with encoding and data, or a string."},
		{"an unknown encoding", `return {statusCode: 200, body: {encoding: 'hex', data: ''}}`, invalid + "response.body.encoding must be text or base64."},
		{"a body that is no base64", `return {statusCode: 200, body: {encoding: 'base64', data: '!'}}`, invalid + "response.body.data must be valid base64."},
		{"a body over 40 KB", `return {statusCode: 200, body: 'x'.repeat(40961)}`, invalid + "response must not have more than 40 KB of headers and body."},
		{"a body of 40 KB", `return {statusCode: 200, body: 'x'.repeat(40960)}`, ""},
		{"a getter that throws", `return {get statusCode() { throw new Error('boo') }}`, errCouldNotRun + "Error: boo"},
	} {
		r := mustRun(t, "function handler(event) { "+c.body+" }", mustEvent(t, exampleEvent), nil)
		failure := ValidationError
		if c.want == "" {
			failure = NoFailure
		} else if strings.HasPrefix(c.want, errCouldNotRun) {
			failure = ExecutionError
		}
		if r.ErrorMessage != c.want || r.Failure != failure {
			t.Errorf("%s\n got %q\nwant %q", c.name, r.ErrorMessage, c.want)
		}
	}
}

func TestRulesOfViewerResponses(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"the response", `return event.response`, ""},
		{"another status", `event.response.statusCode = 404; return event.response`, ""},
		{"the request", `return event.request`, errInvalid("response.statusCode", "must be an integer")},
		{"via changed", `event.response.headers.via.value = 'x'; return event.response`, errReadOnly},
		{"via deleted", `delete event.response.headers.via; return event.response`, errReadOnly},
		{"warning added", `event.response.headers.warning = {value: 'x'}; return event.response`, errReadOnly},
	} {
		r := mustRun(t, "function handler(event) { "+c.body+" }", mustEvent(t, exampleResponseEvent), nil)
		if r.ErrorMessage != c.want {
			t.Errorf("%s\n got %q\nwant %q", c.name, r.ErrorMessage, c.want)
		}
	}
}

func TestDisallowedHeaders(t *testing.T) {
	for name, want := range map[string]bool{
		"x-amz-cf-id": true, "x-edge-anything": true, "x-forwarded-proto": true, "upgrade": true, "x-real-ip": true,
		"x-amz-meta": false, "x-forwarded-for": false, "content-length": false, "host": false,
	} {
		if DisallowedHeader(name) != want {
			t.Errorf("%s: want %v", name, want)
		}
	}
}
