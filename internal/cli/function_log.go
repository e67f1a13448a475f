package cli

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/popkv/popkv/internal/cfjs"
)

// A logEntry is one request of an access log.
type logEntry struct {
	line      int
	method    string
	target    string // path and query as they were sent
	status    int
	generated bool // a function answered, as far as the log says
	client    string
	requestID string
	domain    string
	headers   [][2]string
}

// event is the event of a function that runs for the request.
func (e logEntry) event(kind cfjs.EventType) *cfjs.Event {
	event := &cfjs.Event{Version: "1.0", ViewerIP: e.client}
	event.Context = cfjs.Context{DistributionDomainName: e.domain, EventType: kind, RequestID: e.requestID}
	event.Request.Method = e.method
	event.Request.SetTarget(e.target)
	for _, h := range e.headers {
		event.Request.AddHeader(h[0], h[1])
	}
	if kind == cfjs.ViewerResponse {
		event.Response = &cfjs.Response{StatusCode: e.status}
	}
	return event
}

// A logReader reads access logs: CloudFront's standard log, and the common and
// the combined format of web servers; gzip is unpacked.
type logReader struct {
	lines   *bufio.Reader
	line    int
	columns []string // of a CloudFront log, after its #Fields
	skipped int      // lines that are no requests
}

// maxLogLine bounds a line; a longer one is skipped.
const maxLogLine = 1 << 20

func newLogReader(r io.Reader) (*logReader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := b.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, err
		}
		b = bufio.NewReaderSize(z, 64<<10)
	}
	return &logReader{lines: b}, nil
}

// next returns the next request; [io.EOF] after the last.
func (l *logReader) next() (logEntry, error) {
	for {
		text, err := l.readLine()
		if err != nil {
			return logEntry{}, err
		}
		if fields, ok := strings.CutPrefix(text, "#Fields:"); ok {
			l.columns = strings.Fields(fields)
		}
		if text == "" || text[0] == '#' {
			continue
		}
		parse := parseCombined
		if l.columns != nil {
			parse = l.parseCloudFront
		}
		entry, ok := parse(text)
		if !ok {
			l.skipped++
			continue
		}
		entry.line = l.line
		return entry, nil
	}
}

// readLine returns a line without its end, "" for one that is too long.
func (l *logReader) readLine() (string, error) {
	var text []byte
	for {
		part, err := l.lines.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) && len(text) <= maxLogLine:
			continue
		case errors.Is(err, bufio.ErrBufferFull):
			text = text[:maxLogLine+1] // and on to its end
			continue
		case err != nil && (err != io.EOF || len(text) == 0):
			return "", err
		}
		l.line++
		if len(text) > maxLogLine {
			l.skipped++
			return "", nil
		}
		return strings.TrimRight(string(text), "\r\n"), nil
	}
}

// parseCloudFront reads a line of the standard log (documented), by the names
// in its #Fields line. Header values are encoded as in URLs; path and query are
// written as they were sent (assumed).
func (l *logReader) parseCloudFront(text string) (e logEntry, ok bool) {
	values := strings.Split(text, "\t")
	if len(values) != len(l.columns) {
		return e, false
	}
	header := func(name, value string) {
		if decoded, err := url.PathUnescape(value); err == nil {
			value = decoded
		}
		e.headers = append(e.headers, [2]string{name, value})
	}
	query := ""
	for i, name := range l.columns {
		value := values[i]
		if value == "-" {
			continue
		}
		switch name {
		case "cs-method":
			e.method = value
		case "cs-uri-stem":
			e.target = value
		case "cs-uri-query":
			query = "?" + value
		case "sc-status":
			e.status, _ = strconv.Atoi(value)
		case "c-ip":
			e.client = value
		case "x-edge-request-id":
			e.requestID = value
		case "cs(Host)":
			e.domain = value
		case "x-edge-result-type", "x-edge-detailed-result-type":
			e.generated = e.generated || value == "FunctionGeneratedResponse"
		case "x-host-header":
			header("host", value)
		case "cs(Referer)":
			header("referer", value)
		case "cs(User-Agent)":
			header("user-agent", value)
		case "cs(Cookie)":
			header("cookie", value)
		}
	}
	e.target += query
	return e, e.method != "" && strings.HasPrefix(e.target, "/")
}

// combined matches the common and the combined log format of web servers.
var combined = regexp.MustCompile(`^(\S+) \S+ \S+ \[[^\]]*\] "((?:[^"\\]|\\.)*)" (\d{3}) \S+(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?`)

func parseCombined(text string) (e logEntry, ok bool) {
	m := combined.FindStringSubmatch(text)
	if m == nil {
		return e, false
	}
	e.client = m[1]
	request := strings.Fields(unquoteLog(m[2]))
	if len(request) < 2 || !strings.HasPrefix(request[1], "/") {
		return e, false
	}
	e.method, e.target = request[0], request[1]
	e.status, _ = strconv.Atoi(m[3])
	for i, name := range []string{"referer", "user-agent"} {
		if value := unquoteLog(m[4+i]); value != "" && value != "-" {
			e.headers = append(e.headers, [2]string{name, value})
		}
	}
	return e, true
}

var logEscape = regexp.MustCompile(`\\x[0-9A-Fa-f]{2}|\\.`)

// unquoteLog undoes the escapes that web servers write: \" \\ and \xHH.
func unquoteLog(s string) string {
	return logEscape.ReplaceAllStringFunc(s, func(escape string) string {
		if escape[1] == 'x' && len(escape) == 4 {
			var b byte
			fmt.Sscanf(escape[2:], "%02x", &b)
			return string([]byte{b})
		}
		return escape[1:]
	})
}
