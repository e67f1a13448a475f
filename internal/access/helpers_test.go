package access

import (
	"bufio"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/sigv4"
)

const account = "123456789012"

// A world is a journal in memory with a directory on it, a clock that tests
// move, and all that was logged.
type world struct {
	t       testing.TB
	driver  *memjournal.Driver
	journal *journal.Journal
	options Options
	now     time.Time
	log     strings.Builder
	*Directory
}

func newWorld(t testing.TB, change ...func(*world)) *world {
	t.Helper()
	w := &world{t: t, driver: memjournal.New(memjournal.Options{}), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	w.options = Options{
		Logger: slog.New(slog.NewJSONHandler(&w.log, nil)), Now: func() time.Time { return w.now },
		KeyFile: t.TempDir() + "/data.key",
	}
	for _, f := range change {
		f(w)
	}
	w.openJournal()
	w.reopen()
	return w
}

func (w *world) openJournal() {
	w.t.Helper()
	j, err := journal.Open(context.Background(), w.driver, journal.Options{CommitWait: 200 * time.Millisecond})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { j.Close() })
	w.journal = j
}

// reopen reads everything anew, as a process that starts again does.
func (w *world) reopen() {
	w.t.Helper()
	d, err := Open(context.Background(), w.journal, w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Directory = d
}

// create makes a key or fails the test.
func (w *world) create(q KeyRequest) Credentials {
	w.t.Helper()
	if q.Account == "" {
		q.Account = account
	}
	c, err := w.CreateKey(context.Background(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// put sets a policy of a user of the usual account or fails the test.
func (w *world) put(user, name, document string) {
	w.t.Helper()
	if err := w.PutPolicy(context.Background(), account, user, name, []byte(document)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) gate(o GateOptions) *Gate {
	o.Now = w.options.Now
	return NewGate(w.Directory, o)
}

// A call is a request that a test signs and sends to a gate.
type call struct {
	method, target, host, body string
	service                    string
	algorithm                  sigv4.Algorithm
	header                     map[string]string
	unsigned                   string // header lines added after signing
	maxBody                    int64
}

// request signs c and reads it as a server would.
func (w *world) request(c call, by Credentials) *http.Request {
	w.t.Helper()
	if c.method == "" {
		c.method = "GET"
	}
	if c.host == "" {
		c.host = "localhost:8080"
	}
	if c.service == "" {
		c.service = ServiceDataPlane
	}
	r := &sigv4.Request{Method: c.method, Target: c.target, Host: c.host, Header: map[string][]string{}}
	for name, value := range c.header {
		r.Header[name] = []string{value}
	}
	region := "*"
	if c.algorithm == sigv4.SigV4 {
		region = "us-east-1"
	}
	signer := sigv4.Signer{
		Key: sigv4.NewKey(by.AccessKeyID, by.Secret.Reveal()), Token: by.SessionToken.Reveal(),
		Algorithm: c.algorithm, Service: c.service, Region: region,
	}
	sum := sha256Of(c.body)
	if err := signer.Sign(r, sum, w.now); err != nil {
		w.t.Fatal(err)
	}
	var raw strings.Builder
	raw.WriteString(c.method + " " + c.target + " HTTP/1.1\r\nHost: " + c.host + "\r\n")
	for name, values := range r.Header {
		raw.WriteString(name + ": " + values[0] + "\r\n")
	}
	if c.body != "" {
		raw.WriteString("Content-Length: " + itoa(len(c.body)) + "\r\n")
	}
	raw.WriteString(c.unsigned + "\r\n" + c.body)
	return readRequest(w.t, raw.String())
}

func readRequest(t testing.TB, raw string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "192.0.2.7:4711"
	return r
}

// admit sends c through the gate.
func (w *world) admit(g *Gate, c call, by Credentials) (*Admission, error) {
	w.t.Helper()
	if c.maxBody == 0 {
		c.maxBody = 1 << 20
	}
	if c.service == "" {
		c.service = ServiceDataPlane
	}
	return g.Admit(w.request(c, by), c.service, c.maxBody)
}

// outcome is "" for no error, else the kind's number as tests print it.
func kindName(err error) string {
	if err == nil {
		return "ok"
	}
	names := map[popkv.Kind]string{
		popkv.NoCredentials: "NoCredentials", popkv.BadAuthorization: "BadAuthorization", popkv.BadScope: "BadScope",
		popkv.Unauthenticated: "Unauthenticated", popkv.UnknownOperation: "UnknownOperation", popkv.TooLarge: "TooLarge",
		popkv.Malformed: "Malformed", popkv.Unavailable: "Unavailable", popkv.Denied: "Denied", popkv.Invalid: "Invalid",
		popkv.ResourceNotFound: "ResourceNotFound", popkv.Internal: "Internal",
	}
	return names[popkv.KindOf(err)]
}

const getTarget = "/key-value-stores/arn%3Aaws%3Acloudfront%3A%3A123456789012%3Akey-value-store%2F8aa76c93-3198-462c-aaf6-000000000001/keys/a%2Fb"

const storeARN = "arn:aws:cloudfront::123456789012:key-value-store/8aa76c93-3198-462c-aaf6-000000000001"
