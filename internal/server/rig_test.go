package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	kvs "github.com/aws/aws-sdk-go-v2/service/cloudfrontkeyvaluestore"
	"go.uber.org/goleak"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/config"
	"github.com/popkv/popkv/internal/sigv4"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const account = "000000000000" // dev's

// devConfig is dev's configuration, in memory and on free ports.
func devConfig() config.Config {
	c := config.Default(config.Dev)
	c.Listen, c.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.InMemory, c.SeedDir = true, ""
	return c
}

// onDisk is the same with a data directory.
func onDisk(dir string) func(*config.Config) {
	return func(c *config.Config) {
		c.InMemory, c.DataDir, c.SecretsKeyFile = false, dir, config.SecretsKeyFileOf(dir)
	}
}

// start runs a server with dev's defaults, in memory, on a free port, until
// the test ends.
func start(t testing.TB, change func(*config.Config)) *Server {
	t.Helper()
	s, _ := startWith(t, change, Options{})
	return s
}

// startWith is start with options. stop ends the server before the test does,
// and returns what Serve and Close say.
func startWith(t testing.TB, change func(*config.Config), o Options) (s *Server, stop func() error) {
	t.Helper()
	cfg := devConfig()
	if change != nil {
		change(&cfg)
	}
	s, err := New(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		if err := <-done; err != nil {
			return err
		}
		return s.Close()
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return s, stop
}

// httpClient dials s whatever the host is.
func httpClient(t testing.TB, s *Server) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", s.api[0].Addr().String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// clients returns the two AWS clients of a server; they dial past the account
// label that the SDK puts in front of the host.
func clients(t testing.TB, s *Server, id, secret string) (*cloudfront.Client, *kvs.Client) {
	t.Helper()
	cfg := aws.Config{
		Region:           "us-east-1",
		Credentials:      credentials.NewStaticCredentialsProvider(id, secret, ""),
		BaseEndpoint:     aws.String(s.URL()),
		HTTPClient:       httpClient(t, s),
		RetryMaxAttempts: 1,
	}
	return cloudfront.NewFromConfig(cfg), kvs.NewFromConfig(cfg)
}

// newStore makes a store and returns its ARN and its path on the data plane.
func newStore(t testing.TB, s *Server, name, document string) (arn, path string) {
	t.Helper()
	made, err := s.MakeStore(t.Context(), name, strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	return made.String(), "/key-value-stores/" + made.String()
}

const noItems = `{"data":[]}`

// A message is a request as it goes over the wire. What is left out has a
// default: GET, the server's host, service of the data plane, dev's key.
type message struct {
	method, target, host, body string
	header                     map[string]string // signed
	unsigned                   string            // header lines
	service                    string
	by                         access.Credentials
}

// sign returns the message's head, with the length of its body, and the body.
func (m message) sign(t testing.TB, s *Server) (head, body string) {
	t.Helper()
	m.method, m.service = def(m.method, "GET"), def(m.service, access.ServiceDataPlane)
	m.host = def(m.host, s.api[0].Addr().String())
	if m.by.AccessKeyID == "" {
		m.by = access.Credentials{AccessKeyID: "test", Secret: popkv.NewSecret("test")}
	}
	r := &sigv4.Request{Method: m.method, Target: m.target, Host: m.host, Header: map[string][]string{}}
	for name, value := range m.header {
		r.Header[name] = []string{value}
	}
	signer := sigv4.Signer{
		Key: sigv4.NewKey(m.by.AccessKeyID, m.by.Secret.Reveal()), Token: m.by.SessionToken.Reveal(),
		Algorithm: sigv4.SigV4, Service: m.service, Region: "us-east-1",
	}
	if err := signer.Sign(r, sha256.Sum256([]byte(m.body)), time.Now()); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", m.method, m.target, m.host)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&b, "%s: %s\r\n", name, r.Header[name][0])
	}
	b.WriteString(m.unsigned)
	if !strings.Contains(m.unsigned, "Transfer-Encoding") {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(m.body))
	}
	return b.String() + "\r\n", m.body
}

func def(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) String() string { return fmt.Sprint(a.status, " ", a.body) }

// A wire is one connection to the API.
type wire struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func dial(t testing.TB, s *Server) *wire {
	t.Helper()
	c, err := net.Dial("tcp", s.api[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &wire{c, t, bufio.NewReader(c)}
}

// write sends text; the server may have closed the connection.
func (w *wire) write(text string) { io.WriteString(w, text) }

// read returns the next answer, the informational ones left out.
func (w *wire) read() (answer, error) {
	for {
		r, err := http.ReadResponse(w.r, nil)
		if err != nil {
			return answer{}, err
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode >= 200 {
			return answer{r.StatusCode, r.Header, string(body)}, err
		}
	}
}

// send signs a message, sends it on a connection of its own and returns the
// answer.
func send(t testing.TB, s *Server, m message) answer {
	t.Helper()
	head, body := m.sign(t, s)
	return sendRaw(t, s, head+body)
}

func sendRaw(t testing.TB, s *Server, text string) answer {
	t.Helper()
	w := dial(t, s)
	defer w.Close()
	w.write(text)
	a, err := w.read()
	if err != nil {
		t.Fatalf("no answer to %.100q: %v", text, err)
	}
	return a
}

// beginPut sends the head of a PutKey and waits until its handler reads the
// body, which finish then sends. The request is in progress meanwhile.
func beginPut(t testing.TB, s *Server, path, key, etag, value string) (w *wire, finish func()) {
	t.Helper()
	head, body := message{
		method: "PUT", target: path + "/keys/" + key, body: `{"Value":"` + value + `"}`,
		header: map[string]string{"If-Match": etag, "Content-Type": "application/json"}, unsigned: "Expect: 100-continue\r\n",
	}.sign(t, s)
	w = dial(t, s)
	w.write(head)
	line, err := w.r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("the server wants no body: %q, %v", line, err)
	}
	if _, err := w.r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return w, func() { w.write(body) }
}

// adminGet asks the admin listener.
func adminGet(t testing.TB, s *Server, path string) answer {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(s.AdminURL() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{r.StatusCode, r.Header, string(body)}
}

// A journalist keeps what was logged.
type journalist struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journalist) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journalist) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journalist) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(j, &slog.HandlerOptions{Level: level}))
}
