package cfjs

import (
	"encoding/base64"
	"strings"

	"github.com/grafana/sobek"
)

// Limits of what a function returns.
const (
	maxURLBytes      = 8192     // uri and query string together are shorter (documented)
	maxResponseBytes = 40 << 10 // headers and body of a response (assumed)
)

// A ruleError is a broken rule of section "what a function may return".
type ruleError struct{ text string }

func broken(path, rule string) { panic(ruleError{errInvalid(path, rule)}) }

// A place is where a value stands in what a function returned. The path is put
// together for a broken rule only.
type place struct {
	path   string // of a member, or of a collection of fields
	field  string // name of a field; "" for a member
	member string // of the field's value; "" for the field itself
}

func (p place) String() string {
	s := p.path
	if p.field != "" || p.member != "" {
		s += "." + p.field
	}
	if p.member != "" {
		s += "." + p.member
	}
	return s
}

func (p place) broken(rule string) { broken(p.String(), rule) }

// readResult turns what the handler returned into the model and checks it.
// Getters of the returned objects run here, under the same limits.
func (inv *invocation) readResult(v sobek.Value) (r Result) {
	defer func() {
		if stop := recover(); stop != nil {
			rule, ok := stop.(ruleError)
			if !ok {
				panic(stop)
			}
			r = Result{Failure: ValidationError, ErrorMessage: rule.text}
		}
	}()
	if thrown := inv.vm.Try(func() { r = inv.readReturned(v) }); thrown != nil {
		return executionError(inv.describe(thrown.Value()))
	}
	return r
}

func (inv *invocation) readReturned(v sobek.Value) Result {
	o, ok := v.(*sobek.Object)
	if !ok || isFunction(o) || isArray(o) {
		broken("the function", "must return a request or a response object")
	}
	isResponse := present(o.Get("statusCode"))
	if inv.event.Context.EventType == ViewerResponse && !isResponse {
		broken("response.statusCode", "must be an integer")
	}
	if isResponse {
		return Result{Response: inv.readResponse(o)}
	}
	return Result{Request: inv.readRequest(o)}
}

func (inv *invocation) readRequest(o *sobek.Object) *Request {
	given := &inv.event.Request
	q := &Request{Method: given.Method, URI: readText(o, "uri", place{path: "request.uri"})}
	if m := o.Get("method"); present(m) && (!sobek.IsString(m) || m.String() != given.Method) {
		broken("request.method", "is read-only")
	}
	if !strings.HasPrefix(q.URI, "/") {
		broken("request.uri", "must start with /")
	}
	inv.readQuery(o.Get("querystring"), q)
	q.Headers = readFields(o.Get("headers"), "request.headers", given.Headers, false)
	if text := checkHeaders("request.headers", q.Headers, given.Headers, readOnlyRequestHeaders); text != "" {
		panic(ruleError{text})
	}
	q.Cookies = readFields(o.Get("cookies"), "request.cookies", given.Cookies, false)
	query, _ := q.QueryText()
	if len(q.URI)+len(query) >= maxURLBytes {
		broken("request.uri", "and the query string must be shorter than 8192 characters together")
	}
	return q
}

// readQuery takes the query string as text (observed in AWS's own samples) or
// as entries. Entries that did not change keep the text that was received.
func (inv *invocation) readQuery(v sobek.Value, q *Request) {
	given := &inv.event.Request
	if sobek.IsString(v) {
		raw := v.String()
		q.RawQuery, q.Query = &raw, ParseQuery(raw)
	} else {
		q.Query = readFields(v, "request.querystring", given.Query, false)
		if sameFields(q.Query, given.Query) {
			q.RawQuery = given.RawQuery
		}
	}
	for _, f := range q.Query {
		if strings.Contains(f.Name, "/") && q.RawQuery == nil {
			broken("request.querystring", "must not have a / in a name")
		}
	}
	if text, _ := q.QueryText(); strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '#' }) {
		broken("request.querystring", "must not have spaces, control characters, or #")
	}
}

func (inv *invocation) readResponse(o *sobek.Object) *Response {
	var given Response
	if inv.event.Response != nil {
		given = *inv.event.Response
	}
	status := o.Get("statusCode")
	p := &Response{StatusCode: int(status.ToInteger())}
	if !sobek.IsNumber(status) || status.ToFloat() != float64(p.StatusCode) || p.StatusCode < 100 || p.StatusCode > 599 {
		broken("response.statusCode", "must be an integer")
	}
	if present(o.Get("statusDescription")) {
		p.StatusDescription = readText(o, "statusDescription", place{path: "response.statusDescription"})
	}
	p.Headers = readFields(o.Get("headers"), "response.headers", given.Headers, false)
	if text := checkHeaders("response.headers", p.Headers, given.Headers, readOnlyResponseHeaders); text != "" {
		panic(ruleError{text})
	}
	p.Cookies = readFields(o.Get("cookies"), "response.cookies", given.Cookies, true)
	p.Body = readBody(o.Get("body"))
	if p.size() > maxResponseBytes {
		broken("response", "must not have more than 40 KB of headers and body")
	}
	return p
}

func (p *Response) size() int {
	n := 0
	for _, f := range p.Headers {
		for _, v := range f.Values() {
			n += len(f.Name) + len(v.Text)
		}
	}
	if p.Body != nil {
		n += len(p.Body.Data)
	}
	return n
}

func readBody(v sobek.Value) *Body {
	switch {
	case !present(v):
		return nil
	case sobek.IsString(v):
		return &Body{Encoding: "text", Data: v.String()}
	}
	o, ok := v.(*sobek.Object)
	if !ok {
		broken("response.body", "must be an object with encoding and data, or a string")
	}
	b := &Body{Encoding: "text"}
	if present(o.Get("encoding")) {
		b.Encoding = readText(o, "encoding", place{path: "response.body.encoding"})
	}
	if present(o.Get("data")) {
		b.Data = readData(o, "data", place{path: "response.body.data"})
	}
	switch b.Encoding {
	case "text":
	case "base64":
		if _, err := base64.StdEncoding.DecodeString(b.Data); err != nil {
			broken("response.body.data", "must be valid base64")
		}
	default:
		broken("response.body.encoding", "must be text or base64")
	}
	return b
}

// readFields reads a collection. given is what the function got in its place:
// a multiValue that differs from it wins over value, and one that does not
// only has its first element replaced (documented).
func readFields(v sobek.Value, path string, given Fields, attributes bool) Fields {
	if !present(v) {
		return nil
	}
	o, ok := v.(*sobek.Object)
	if !ok {
		broken(path, "must be an object")
	}
	names := o.Keys()
	fs := make(Fields, 0, len(names))
	for _, name := range names {
		before, _ := given.Get(name)
		fs = append(fs, readField(o.Get(name), name, path, before, attributes))
	}
	return fs
}

func readField(v sobek.Value, name, path string, given Field, attributes bool) Field {
	at := place{path: path, field: name}
	o, ok := v.(*sobek.Object)
	if !ok {
		at.broken("must be an object with a value")
	}
	f := Field{Name: name, Multi: readMulti(o.Get("multiValue"), at, attributes)}
	if f.Multi != nil && !sameValues(f.Multi, given.Multi) {
		f.Value = f.Multi[0]
		return f
	}
	f.Value = readValue(o, at, "value", "attributes", attributes)
	if f.Multi != nil {
		f.Multi[0] = f.Value
	}
	return f
}

func readMulti(v sobek.Value, at place, attributes bool) []Value {
	if !present(v) {
		return nil
	}
	at.member = "multiValue"
	o, ok := v.(*sobek.Object)
	if !ok || !isArray(o) {
		at.broken("must be an array")
	}
	var values []Value
	for _, index := range o.Keys() {
		element, ok := o.Get(index).(*sobek.Object)
		if !ok {
			at.broken("must hold objects with a value")
		}
		values = append(values, readValue(element, at, "multiValue.value", "multiValue.attributes", attributes))
	}
	return values
}

// readValue reads a value, whose members stand at the paths given.
func readValue(o *sobek.Object, at place, valuePath, attributesPath string, attributes bool) Value {
	at.member = valuePath
	v := Value{Text: readText(o, "value", at)}
	if attributes && present(o.Get("attributes")) {
		at.member = attributesPath
		v.Attributes = readText(o, "attributes", at)
	}
	return v
}

// readText reads a member that becomes part of a header or of the request line.
func readText(o *sobek.Object, name string, at place) string {
	s := readData(o, name, at)
	if strings.ContainsAny(s, "\r\n\x00") {
		at.broken("must not have line breaks")
	}
	return s
}

func readData(o *sobek.Object, name string, at place) string {
	v := o.Get(name)
	if v == nil || !sobek.IsString(v) {
		at.broken("must be a string")
	}
	return v.String()
}

func present(v sobek.Value) bool { return v != nil && !sobek.IsUndefined(v) && !sobek.IsNull(v) }

func isArray(o *sobek.Object) bool { return o.ClassName() == "Array" }

func isFunction(o *sobek.Object) bool {
	_, ok := sobek.AssertFunction(o)
	return ok
}

func sameFields(a, b Fields) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || !sameValues(a[i].Values(), b[i].Values()) {
			return false
		}
	}
	return true
}
