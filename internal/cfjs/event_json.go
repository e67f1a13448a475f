package cfjs

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/popkv/popkv"
)

// MaxEventBytes is the longest test event (service model, TestFunction).
const MaxEventBytes = 40960

// ParseEvent reads a test event. Unknown properties are dropped and missing
// collections are empty (observed); distributionDomainName, distributionId and
// requestId may be absent (documented). Disallowed headers are dropped, as they
// are hidden from a function in a live request (documented). An event that is not JSON, lacks the
// request, or has a property of the wrong type fails with [popkv.Invalid].
func ParseEvent(data []byte) (Event, error) {
	r := &eventReader{dec: jsontext.NewDecoder(bytes.NewReader(data))}
	e := Event{Version: "1.0"}
	r.event(&e)
	if r.err == nil {
		if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
			r.fail("the event", "must be one JSON object")
		}
	}
	if r.err != nil {
		return Event{}, r.err
	}
	return e, checkEvent(&e)
}

func checkEvent(e *Event) error {
	switch e.Context.EventType {
	case ViewerRequest:
		e.Response = nil
	case ViewerResponse:
		if e.Response == nil {
			return popkv.Errorf(popkv.Invalid, "a viewer-response event must have a response")
		}
	default:
		return popkv.Errorf(popkv.Invalid, "context.eventType must be viewer-request or viewer-response")
	}
	if e.Request.Method == "" || e.Request.URI == "" {
		return popkv.Errorf(popkv.Invalid, "the event must have a request with method and uri")
	}
	if e.Request.RawQuery == nil && len(e.Request.Query) > 0 {
		raw := e.Request.Query.joinQuery()
		e.Request.RawQuery = &raw
	}
	return nil
}

// joinQuery is the text of a query string that only its entries are known of.
func (fs Fields) joinQuery() string {
	var b []byte
	for _, f := range fs {
		for _, v := range f.Values() {
			if len(b) > 0 {
				b = append(b, '&')
			}
			b = append(b, f.Name...)
			if v.Text != "" {
				b = append(append(b, '='), v.Text...)
			}
		}
	}
	return string(b)
}

// An eventReader walks the JSON once, in order, so that entries keep theirs.
// After the first failure it does nothing.
type eventReader struct {
	dec *jsontext.Decoder
	err error
}

func (r *eventReader) fail(path, rule string) {
	if r.err == nil {
		r.err = popkv.Errorf(popkv.Invalid, "%s %s", path, rule)
	}
}

// object calls member for each member of the next value, which must be an
// object. A member that is not read is skipped.
func (r *eventReader) object(path string, member func(name string) bool) {
	if r.err != nil {
		return
	}
	if r.dec.PeekKind() != '{' {
		r.fail(path, "must be a JSON object")
		return
	}
	r.token()
	for r.err == nil && r.dec.PeekKind() != '}' {
		name := r.token().String()
		if r.err != nil {
			return
		}
		if !member(name) {
			if err := r.dec.SkipValue(); err != nil {
				r.syntax()
			}
		}
	}
	r.token()
}

func (r *eventReader) token() jsontext.Token {
	if r.err != nil {
		return jsontext.Null
	}
	t, err := r.dec.ReadToken()
	if err != nil {
		r.syntax()
		return jsontext.Null
	}
	return t
}

func (r *eventReader) syntax() { r.fail("the event", "is not valid JSON") }

func (r *eventReader) text(path string, to *string) bool {
	if r.err == nil && r.dec.PeekKind() != '"' {
		r.fail(path, "must be a string")
		return true
	}
	*to = r.token().String()
	return true
}

func (r *eventReader) event(e *Event) {
	r.object("the event", func(name string) bool {
		switch name {
		case "version":
			return r.text(name, &e.Version)
		case "context":
			r.context(&e.Context)
		case "viewer":
			r.object(name, func(name string) bool { return name == "ip" && r.text("viewer.ip", &e.ViewerIP) })
		case "request":
			r.request(&e.Request)
		case "response":
			e.Response = &Response{}
			r.response(e.Response)
		default:
			return false
		}
		return true
	})
}

func (r *eventReader) context(c *Context) {
	r.object("context", func(name string) bool {
		path := "context." + name
		switch name {
		case "distributionDomainName":
			return r.text(path, &c.DistributionDomainName)
		case "endpoint":
			return r.text(path, &c.Endpoint)
		case "distributionId":
			return r.text(path, &c.DistributionID)
		case "eventType":
			return r.text(path, (*string)(&c.EventType))
		case "requestId":
			return r.text(path, &c.RequestID)
		}
		return false
	})
}

func (r *eventReader) request(q *Request) {
	r.object("request", func(name string) bool {
		path := "request." + name
		switch name {
		case "method":
			return r.text(path, &q.Method)
		case "uri":
			return r.text(path, &q.URI)
		case "querystring":
			r.fields(path, &q.Query, false)
		case "headers":
			r.fields(path, &q.Headers, true)
		case "cookies":
			r.fields(path, &q.Cookies, false)
		default:
			return false
		}
		return true
	})
}

func (r *eventReader) response(p *Response) {
	r.object("response", func(name string) bool {
		path := "response." + name
		switch name {
		case "statusCode":
			r.integer(path, &p.StatusCode)
		case "statusDescription":
			return r.text(path, &p.StatusDescription)
		case "headers":
			r.fields(path, &p.Headers, true)
		case "cookies":
			r.fields(path, &p.Cookies, false)
		case "body":
			p.Body = &Body{Encoding: "text"}
			r.body(p.Body)
		default:
			return false
		}
		return true
	})
}

func (r *eventReader) integer(path string, to *int) {
	t := r.token()
	n, err := int64(0), error(nil)
	if t.Kind() == '0' {
		n, err = t.Int()
	}
	if t.Kind() != '0' || err != nil {
		r.fail(path, "must be an integer")
	}
	*to = int(n)
}

func (r *eventReader) body(b *Body) {
	r.object("response.body", func(name string) bool {
		switch name {
		case "encoding":
			return r.text("response.body.encoding", &b.Encoding)
		case "data":
			return r.text("response.body.data", &b.Data)
		}
		return false
	})
}

func (r *eventReader) fields(path string, fs *Fields, header bool) {
	r.object(path, func(name string) bool {
		if header && hasUpper(name) {
			r.fail(path, "must have header names in lower case")
			return true
		}
		f := Field{Name: name}
		r.value(path+"."+name, &f.Value, &f.Multi)
		if !header || !DisallowedHeader(name) {
			*fs = append(*fs, f)
		}
		return true
	})
}

// value reads {value, attributes, multiValue}.
func (r *eventReader) value(path string, v *Value, multi *[]Value) {
	r.object(path, func(name string) bool {
		switch {
		case name == "value":
			return r.text(path+".value", &v.Text)
		case name == "attributes":
			return r.text(path+".attributes", &v.Attributes)
		case name == "multiValue" && multi != nil:
			r.values(path+".multiValue", multi)
			return true
		}
		return false
	})
}

func (r *eventReader) values(path string, to *[]Value) {
	if r.err == nil && r.dec.PeekKind() != '[' {
		r.fail(path, "must be an array")
	}
	r.token()
	for r.err == nil && r.dec.PeekKind() != ']' {
		var v Value
		r.value(path, &v, nil)
		*to = append(*to, v)
	}
	r.token()
}

func hasUpper(s string) bool {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'Z' {
			return true
		}
	}
	return false
}
