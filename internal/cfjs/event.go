package cfjs

// A Runtime is a version of the CloudFront Functions runtime, spelled as AWS
// spells it.
type Runtime string

// The two runtimes. Version 1.0 lacks let, const, async functions, Buffer and
// the cloudfront module.
const (
	Runtime10 Runtime = "cloudfront-js-1.0"
	Runtime20 Runtime = "cloudfront-js-2.0"
)

// EventType says when a function runs.
type EventType string

// The two kinds of event.
const (
	ViewerRequest  EventType = "viewer-request"
	ViewerResponse EventType = "viewer-response"
)

// An Event is what a function gets as its argument (documented: event
// structure). It is never written to by a run, so that runs may share one.
type Event struct {
	Version  string // "1.0"
	Context  Context
	ViewerIP string
	Request  Request
	Response *Response // set in a viewer-response event only
}

// Context is where and why a function runs. A property that is empty is absent
// from the event, but for the event type.
type Context struct {
	DistributionDomainName string
	Endpoint               string // takes the domain name's place in a multi-tenant distribution
	DistributionID         string
	EventType              EventType
	RequestID              string
}

// A Request is a viewer request as a function sees it.
type Request struct {
	Method string
	URI    string // path, starts with "/"
	// RawQuery is the query string as it was received, without "?". It is nil
	// when the request had none and "" when nothing followed the "?". In a
	// result it is set when the function gave the query string as text.
	RawQuery *string
	Query    Fields
	Headers  Fields // names in lower case, without Cookie
	Cookies  Fields
}

// A Response is an answer as a function sees it.
type Response struct {
	StatusCode        int
	StatusDescription string
	Headers           Fields // names in lower case, without Set-Cookie
	Cookies           Fields
	Body              *Body // nil keeps the origin's body
}

// A Body replaces the body of a response.
type Body struct {
	Encoding string // "text" or "base64"
	Data     string
}

// A Value is one value of a [Field].
type Value struct {
	Text       string
	Attributes string // of a cookie in a response
}

// A Field is a header, cookie or query parameter. Multi lists every value when
// the name repeats, and is nil otherwise; its first element then equals Value.
type Field struct {
	Name  string
	Value Value
	Multi []Value
}

// Values returns every value of the field, in order.
func (f Field) Values() []Value {
	if f.Multi != nil {
		return f.Multi
	}
	return []Value{f.Value}
}

// Fields are the entries of one collection in the order of their first
// appearance. Names are unique.
type Fields []Field

// Get returns the field of that name.
func (fs Fields) Get(name string) (Field, bool) {
	for _, f := range fs {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// Add appends a value, to an existing field if the name repeats.
func (fs Fields) Add(name string, v Value) Fields {
	for i := range fs {
		if fs[i].Name == name {
			if fs[i].Multi == nil {
				fs[i].Multi = []Value{fs[i].Value}
			}
			fs[i].Multi = append(fs[i].Multi, v)
			return fs
		}
	}
	return append(fs, Field{Name: name, Value: v})
}
