package cfjs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/popkv/popkv"
)

func TestParseEvent(t *testing.T) {
	e, err := ParseEvent([]byte(`{"version":"1.0","unknown":1,"context":{"distributionDomainName":"d","distributionId":"i","eventType":"viewer-response","requestId":"r","x":[]},
	"viewer":{"ip":"::1","port":1},
	"request":{"method":"GET","uri":"/a","querystring":{"q":{"value":"1"},"e":{"value":""}},
		"headers":{"h":{"value":"1","multiValue":[{"value":"1"},{"value":"2","x":1}]},"m":{"value":"v","multivalue":[{"value":"lost"}]}}},
	"response":{"statusCode":201,"statusDescription":"Created","cookies":{"c":{"value":"1","attributes":"Secure","multiValue":[{"value":"1","attributes":"Secure"},{"value":"2"}]}},
		"body":{"encoding":"base64","data":"YQ=="}}}`))
	if err != nil {
		t.Fatal(err)
	}
	raw := "q=1&e"
	want := Event{
		Version:  "1.0",
		Context:  Context{DistributionDomainName: "d", DistributionID: "i", EventType: ViewerResponse, RequestID: "r"},
		ViewerIP: "::1",
		Request: Request{
			Method: "GET", URI: "/a", RawQuery: &raw,
			Query: Fields{{Name: "q", Value: Value{Text: "1"}}, {Name: "e"}},
			Headers: Fields{
				{Name: "h", Value: Value{Text: "1"}, Multi: []Value{{Text: "1"}, {Text: "2"}}},
				{Name: "m", Value: Value{Text: "v"}},
			},
		},
		Response: &Response{
			StatusCode: 201, StatusDescription: "Created",
			Cookies: Fields{{Name: "c", Value: Value{"1", "Secure"}, Multi: []Value{{"1", "Secure"}, {"2", ""}}}},
			Body:    &Body{Encoding: "base64", Data: "YQ=="},
		},
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Error(diff)
	}
}

func TestParseEventRefuses(t *testing.T) {
	const request = `"request":{"method":"GET","uri":"/"}`
	for _, c := range []struct{ name, event, want string }{
		{"no JSON", `{`, "the event is not valid JSON"},
		{"not an object", `[]`, "the event must be a JSON object"},
		{"two documents", `{"context":{"eventType":"viewer-request"},` + request + `} {}`, "the event must be one JSON object"},
		{"no event type", `{` + request + `}`, "context.eventType must be viewer-request or viewer-response"},
		{"no request", `{"context":{"eventType":"viewer-request"}}`, "the event must have a request with method and uri"},
		{"no response", `{"context":{"eventType":"viewer-response"},` + request + `}`, "a viewer-response event must have a response"},
		{"headers in upper case", `{"context":{"eventType":"viewer-request"},"request":{"method":"GET","uri":"/","headers":{"Host":{"value":"x"}}}}`, "request.headers must have header names in lower case"},
		{"a header that is text", `{"context":{"eventType":"viewer-request"},"request":{"method":"GET","uri":"/","headers":{"host":"x"}}}`, "request.headers.host must be a JSON object"},
		{"a value that is a number", `{"context":{"eventType":"viewer-request"},"request":{"method":"GET","uri":"/","headers":{"host":{"value":1}}}}`, "request.headers.host.value must be a string"},
		{"multiValue that is no list", `{"context":{"eventType":"viewer-request"},"request":{"method":"GET","uri":"/","cookies":{"c":{"value":"1","multiValue":{}}}}}`, "request.cookies.c.multiValue must be an array"},
		{"a status that is text", `{"context":{"eventType":"viewer-response"},` + request + `,"response":{"statusCode":"200"}}`, "response.statusCode must be an integer"},
		{"a fraction of a status", `{"context":{"eventType":"viewer-response"},` + request + `,"response":{"statusCode":200.5}}`, "response.statusCode must be an integer"},
		{"malformed UTF-8", "{\"version\":\"\xff\"}", "the event is not valid JSON"},
		{"a name twice", `{"version":"1","version":"2"}`, "the event is not valid JSON"},
	} {
		_, err := ParseEvent([]byte(c.event))
		if err == nil || err.Error() != c.want || popkv.KindOf(err) != popkv.Invalid {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(exampleEvent))
	f.Add([]byte(exampleResponseEvent))
	f.Add([]byte(`{"request":{"headers":{"a":{"multiValue":[{}]}}}}`))
	p := Compile([]byte(`function handler(event) { return event.response || event.request }`), Runtime20)
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ParseEvent(data)
		if err != nil {
			if popkv.KindOf(err) != popkv.Invalid {
				t.Fatal(err)
			}
			return
		}
		r, err := p.Run(t.Context(), &e, nil, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r.Failure == NoFailure && !strings.HasPrefix(r.Output(), `{"re`) {
			t.Fatalf("output %s", r.Output())
		}
	})
}

// TestTheFunctionSeesTheEvent prints the whole event as the function has it.
func TestTheFunctionSeesTheEvent(t *testing.T) {
	const code = `function handler(event) { console.log(JSON.stringify(event)); return event.response || event.request; }`
	for _, event := range []string{
		`{"version":"1.0","context":{"distributionDomainName":"d","endpoint":"e","distributionId":"i","eventType":"viewer-request","requestId":"r"},"viewer":{"ip":"1.2.3.4"},` +
			`"request":{"method":"GET","uri":"/","querystring":{"a":{"value":"1","multiValue":[{"value":"1"},{"value":"2"}]}},"headers":{"host":{"value":"h"}},"cookies":{"c":{"value":"1"}}}}`,
		`{"version":"1.0","context":{"eventType":"viewer-response"},"viewer":{"ip":""},` +
			`"request":{"method":"GET","uri":"/","querystring":{},"headers":{},"cookies":{}},` +
			`"response":{"statusCode":200,"statusDescription":"OK","headers":{},"cookies":{"c":{"value":"1","attributes":"Secure"}},"body":{"encoding":"text","data":"x"}}}`,
	} {
		r := mustRun(t, code, mustEvent(t, event), nil)
		if diff := cmp.Diff([]string{event}, r.Logs); diff != "" {
			t.Errorf("%s%s", r.ErrorMessage, diff)
		}
	}
	checkPrinted(t, Runtime20, nil, []printCase{{`event.viewer.address`, "undefined"}})
}

func TestRawQueryString(t *testing.T) {
	text := func(s string) *string { return &s }
	for _, c := range []struct {
		raw  *string
		want string
	}{{nil, "undefined undefined"}, {text(""), "string "}, {text("a=b&&c"), "string a=b&&c"}} {
		e := mustEvent(t, exampleEvent)
		e.Request.RawQuery = c.raw
		r := mustRun(t, `function handler(event) { var q = event.request.rawQueryString(); console.log(typeof q, q); return event.request }`, e, nil)
		if len(r.Logs) != 1 || r.Logs[0] != c.want {
			t.Errorf("%q %s", r.Logs, r.ErrorMessage)
		}
	}
	if strings.Contains(printed(t, Runtime20, `console.log(JSON.stringify(event.request) + Object.keys(event.request)); event.request.rawQueryString();`, nil, Options{}), "raw") {
		t.Error("the method is enumerable")
	}
}

func TestHTTPToEvent(t *testing.T) {
	var q Request
	q.SetTarget("/a%20b?x=1&y&x=2&")
	q.AddHeader("Host", "h")
	q.AddHeader("Accept", "a")
	q.AddHeader("accept", "b, c")
	q.AddHeader("Cookie", "one=1; two=2;one=3")
	q.AddHeader("X-Amz-Cf-Id", "hidden")
	q.AddHeader("Connection", "hidden")
	raw := "x=1&y&x=2&"
	want := Request{
		URI: "/a%20b", RawQuery: &raw,
		Query:   Fields{{"x", Value{"1", ""}, []Value{{"1", ""}, {"2", ""}}}, {"y", Value{}, nil}},
		Headers: Fields{{"host", Value{"h", ""}, nil}, {"accept", Value{"a", ""}, []Value{{"a", ""}, {"b, c", ""}}}},
		Cookies: Fields{{"one", Value{"1", ""}, []Value{{"1", ""}, {"3", ""}}}, {"two", Value{"2", ""}, nil}},
	}
	if diff := cmp.Diff(want, q); diff != "" {
		t.Error(diff)
	}
	var p Response
	p.AddHeader("Set-Cookie", "a=b; Secure; Path=/")
	p.AddHeader("X-Cache", "hidden")
	p.AddHeader("Server", "s")
	if diff := cmp.Diff(Response{
		Headers: Fields{{"server", Value{"s", ""}, nil}},
		Cookies: Fields{{"a", Value{"b", "Secure; Path=/"}, nil}},
	}, p); diff != "" {
		t.Error(diff)
	}
}
