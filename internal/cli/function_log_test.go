package cli

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv/internal/cfjs"
)

func readLog(t *testing.T, text string) (entries []logEntry, skipped int) {
	t.Helper()
	l, err := newLogReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for {
		e, err := l.next()
		if err == io.EOF {
			return entries, l.skipped
		}
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
}

func TestAccessLogLines(t *testing.T) {
	const fields = "#Version: 1.0\n#Fields: date cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-host-header c-ip x-edge-request-id\n"
	cases := []struct {
		name, text string
		want       *logEntry // nil: no request
	}{
		{"a combined line", `192.0.2.1 - bob [x] "GET /a?b=c HTTP/1.1" 200 12 "https://r/" "UA \"quoted\" \\ \x41"`,
			&logEntry{line: 1, method: "GET", target: "/a?b=c", status: 200, client: "192.0.2.1",
				headers: [][2]string{{"referer", "https://r/"}, {"user-agent", `UA "quoted" \ A`}}}},
		{"a common line", `::1 - - [x] "HEAD / HTTP/1.0" 304 -`, &logEntry{line: 1, method: "HEAD", target: "/", status: 304, client: "::1"}},
		{"more columns at the end", `h - - [x] "GET / HTTP/1.1" 200 1 "-" "-" 0.003 "x"`, &logEntry{line: 1, method: "GET", target: "/", status: 200, client: "h"}},
		{"carriage returns", "h - - [x] \"GET / HTTP/1.1\" 200 1\r\n", &logEntry{line: 1, method: "GET", target: "/", status: 200, client: "h"}},
		{"a request that is none", `h - - [x] "\x16\x03" 400 0 "-" "-"`, nil},
		{"a proxy request", `h - - [x] "CONNECT example.org:443 HTTP/1.1" 400 0 "-" "-"`, nil},
		{"other text", `hello`, nil},
		{"a line of CloudFront", fields + "2026-01-02\tGET\td1.cloudfront.net\t/a%20b\t200\thttps://r/%3Fq\tMozilla/5.0%20(X)\ta=%2520\tc=1;%20d=2\tHit\texample.org\t192.0.2.9\tid==",
			&logEntry{line: 3, method: "GET", target: "/a%20b?a=%2520", status: 200, domain: "d1.cloudfront.net", client: "192.0.2.9", requestID: "id==",
				headers: [][2]string{{"referer", "https://r/?q"}, {"user-agent", "Mozilla/5.0 (X)"}, {"cookie", "c=1; d=2"}, {"host", "example.org"}}}},
		{"a function answered", fields + "2026-01-02\tGET\t-\t/\t301\t-\t-\t-\t-\tFunctionGeneratedResponse\t-\t-\t-", &logEntry{line: 3, method: "GET", target: "/", status: 301, generated: true}},
		{"a value that is not encoded well", fields + "d\tGET\t-\t/\t200\t-\t100%\t-\t-\t-\t-\t-\t-", &logEntry{line: 3, method: "GET", target: "/", status: 200, headers: [][2]string{{"user-agent", "100%"}}}},
		{"half a line of CloudFront", fields + "2026-01-02\tGET", nil},
		{"a line of CloudFront without a method", fields + strings.Repeat("-\t", 12) + "-", nil},
		{"a line that never ends", strings.Repeat("x", maxLogLine+100), nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, skipped := readLog(t, c.text)
			if c.want == nil {
				if len(got) != 0 || skipped != 1 {
					t.Errorf("%+v, %d lines skipped", got, skipped)
				}
				return
			}
			if diff := cmp.Diff([]logEntry{*c.want}, got, cmp.AllowUnexported(logEntry{})); diff != "" || skipped != 0 {
				t.Errorf("%d lines skipped %s", skipped, diff)
			}
		})
	}
}

func TestALongLineDoesNotSpoilTheNext(t *testing.T) {
	got, skipped := readLog(t, strings.Repeat("x", 3*maxLogLine)+"\nh - - [x] \"GET / HTTP/1.1\" 200 1\n")
	if len(got) != 1 || got[0].line != 2 || skipped != 1 {
		t.Errorf("%+v, %d lines skipped", got, skipped)
	}
}

func TestPackedLogs(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, `h - - [x] "GET / HTTP/1.1" 200 1`)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if got, _ := readLog(t, packed.String()); len(got) != 1 {
		t.Errorf("%+v", got)
	}
	if _, err := newLogReader(strings.NewReader("\x1f\x8bnot packed")); err == nil {
		t.Error("a damaged file is taken")
	}
}

func TestTheEventOfALogLine(t *testing.T) {
	e := logEntry{method: "GET", target: "/a?b=c&b=d", status: 404, client: "192.0.2.1", requestID: "id", domain: "d1.cloudfront.net",
		headers: [][2]string{{"host", "example.org"}, {"cookie", "x=1; y=2"}}}
	query := "b=c&b=d"
	text := func(s string) cfjs.Value { return cfjs.Value{Text: s} }
	want := &cfjs.Event{
		Version: "1.0", ViewerIP: "192.0.2.1",
		Context: cfjs.Context{DistributionDomainName: "d1.cloudfront.net", EventType: cfjs.ViewerRequest, RequestID: "id"},
		Request: cfjs.Request{
			Method: "GET", URI: "/a", RawQuery: &query,
			Query:   cfjs.Fields{{Name: "b", Value: text("c"), Multi: []cfjs.Value{text("c"), text("d")}}},
			Headers: cfjs.Fields{{Name: "host", Value: text("example.org")}},
			Cookies: cfjs.Fields{{Name: "x", Value: text("1")}, {Name: "y", Value: text("2")}},
		},
	}
	if diff := cmp.Diff(want, e.event(cfjs.ViewerRequest)); diff != "" {
		t.Error(diff)
	}
	want.Context.EventType, want.Response = cfjs.ViewerResponse, &cfjs.Response{StatusCode: 404}
	if diff := cmp.Diff(want, e.event(cfjs.ViewerResponse)); diff != "" {
		t.Error(diff)
	}
}

func FuzzAccessLog(f *testing.F) {
	f.Add("h - - [x] \"GET / HTTP/1.1\" 200 1 \"-\" \"\\x41\"\n")
	f.Add("#Fields: cs-method cs-uri-stem sc-status\nGET\t/\t200\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := newLogReader(strings.NewReader(text))
		if err != nil {
			return
		}
		for {
			e, err := l.next()
			if err != nil {
				return
			}
			if e.method == "" || !strings.HasPrefix(e.target, "/") {
				t.Fatalf("%+v is no request", e)
			}
			e.event(cfjs.ViewerResponse)
		}
	})
}
