package cfjs

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// A Failure says which of the edge's answers a failed run leads to.
type Failure int

const (
	// NoFailure: the function returned something valid.
	NoFailure Failure = iota
	// ExecutionError: it did not load, threw, never settled, or ran too long.
	// The edge answers 503 FunctionExecutionError.
	ExecutionError
	// ValidationError: what it returned breaks a rule. The edge answers 502
	// FunctionValidationError.
	ValidationError
)

// A Result is what one run came to. Exactly one of Request and Response is set
// unless the run failed.
type Result struct {
	Request  *Request      // continue with this request
	Response *Response     // answer with this response
	Origin   *OriginChange // what the function asked of the origin; nil = nothing
	Logs     []string      // console.log lines, 10 KB at most
	CPU      time.Duration // processor time of the run; wall time where the system has no such clock, see also [Options.Thread]
	Failure  Failure
	Exceeded bool // stopped at the hard limit; callers throttle a function for this

	// ErrorMessage is TestFunction's FunctionErrorMessage, "" without failure.
	ErrorMessage string
	// ComputeUtilization is the share of the time budget in percent, 0 to 100.
	ComputeUtilization int
}

// Charge sets the processor time of the run and its share of the budget.
func (r *Result) Charge(cpu, budget time.Duration) {
	r.CPU = cpu
	r.ComputeUtilization = min(100, int((cpu*100+budget/2)/budget))
}

// Output is TestFunction's FunctionOutput: compact JSON rebuilt from the model,
// with AWS's order of keys (observed; the place of body is assumed). It is ""
// for a failed run (assumed).
func (r *Result) Output() string {
	var b []byte
	switch {
	case r.Failure != NoFailure:
		return ""
	case r.Request != nil:
		b = append(b, `{"request":`...)
		b = r.Request.appendJSON(b)
	case r.Response != nil:
		b = append(b, `{"response":`...)
		b = r.Response.appendJSON(b)
	default:
		return ""
	}
	return string(append(b, '}'))
}

func (q *Request) appendJSON(b []byte) []byte {
	b = append(b, `{"headers":`...)
	b = q.Headers.appendJSON(b, false)
	b = append(b, `,"method":`...)
	b = appendJSONString(b, q.Method)
	b = append(b, `,"querystring":`...)
	b = q.Query.appendJSON(b, false)
	b = append(b, `,"uri":`...)
	b = appendJSONString(b, q.URI)
	b = append(b, `,"cookies":`...)
	b = q.Cookies.appendJSON(b, false)
	return append(b, '}')
}

func (p *Response) appendJSON(b []byte) []byte {
	b = append(b, `{"headers":`...)
	b = p.Headers.appendJSON(b, false)
	if p.StatusDescription != "" {
		b = append(b, `,"statusDescription":`...)
		b = appendJSONString(b, p.StatusDescription)
	}
	b = append(b, `,"cookies":`...)
	b = p.Cookies.appendJSON(b, true)
	b = append(b, `,"statusCode":`...)
	b = strconv.AppendInt(b, int64(p.StatusCode), 10)
	if p.Body != nil {
		b = append(b, `,"body":{"encoding":`...)
		b = appendJSONString(b, p.Body.Encoding)
		b = append(b, `,"data":`...)
		b = appendJSONString(b, p.Body.Data)
		b = append(b, '}')
	}
	return append(b, '}')
}

func (fs Fields) appendJSON(b []byte, attributes bool) []byte {
	b = append(b, '{')
	for i, f := range fs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(b, f.Name)
		b = append(b, ':')
		b = f.Value.appendJSON(b, attributes)
		if f.Multi == nil {
			continue
		}
		b = append(b[:len(b)-1], `,"multiValue":[`...)
		for j, v := range f.Multi {
			if j > 0 {
				b = append(b, ',')
			}
			b = v.appendJSON(b, attributes)
		}
		b = append(b, `]}`...)
	}
	return append(b, '}')
}

func (v Value) appendJSON(b []byte, attributes bool) []byte {
	b = append(b, `{"value":`...)
	b = appendJSONString(b, v.Text)
	if attributes && v.Attributes != "" {
		b = append(b, `,"attributes":`...)
		b = appendJSONString(b, v.Attributes)
	}
	return append(b, '}')
}

const hexDigits = "0123456789abcdef"

// appendJSONString quotes s as the engine's JSON.stringify does: nothing is
// escaped but quotes, backslashes and control characters.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x80 {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += n
			continue
		}
		i++
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i-1]...)
		start = i
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, `\u00`...)
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
		}
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// QueryText is the query string to send on: the text that the function gave,
// or the entries joined. ok is false when there is none and no "?" either.
func (q *Request) QueryText() (text string, ok bool) {
	if q.RawQuery != nil {
		return *q.RawQuery, true
	}
	return q.Query.joinQuery(), len(q.Query) > 0
}
