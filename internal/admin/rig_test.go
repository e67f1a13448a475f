package admin

import (
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/goleak"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/sigv4"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	owner  = "111111111111"
	tenant = "222222222222"
)

// A rig is a management API on an empty journal in memory, and what it has
// told its observer.
type rig struct {
	t         testing.TB
	journal   *journal.Journal
	directory *access.Directory
	handler   *Handler
	seen      []Observation
}

// newRig has a root key in both accounts and one of the user ann in the
// owner's.
func newRig(t testing.TB, change func(*Options)) (r *rig, root, tenantRoot, ann access.Credentials) {
	t.Helper()
	driver := memjournal.New(memjournal.Options{})
	j, err := journal.Open(t.Context(), driver, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close(); driver.Close() })
	d, err := access.Open(t.Context(), j, access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r = &rig{t: t, journal: j, directory: d}
	o := Options{OwnerAccount: owner, Observe: func(_ *http.Request, o Observation) { r.seen = append(r.seen, o) }}
	if change != nil {
		change(&o)
	}
	r.handler = New(access.NewGate(d, access.GateOptions{}), d, j, o)
	return r, r.key(owner, "root"), r.key(tenant, "root"), r.key(owner, "ann")
}

func (r *rig) key(account, user string) access.Credentials {
	r.t.Helper()
	c, err := r.directory.CreateKey(context.Background(), access.KeyRequest{Account: account, User: user})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// allow gives ann one policy.
func (r *rig) allow(document string) {
	r.t.Helper()
	if err := r.directory.PutPolicy(context.Background(), owner, "ann", "p", []byte(document)); err != nil {
		r.t.Fatal(err)
	}
}

// request signs "METHOD PATH BODY", the path below [Prefix].
func (r *rig) request(by access.Credentials, line string) *http.Request {
	r.t.Helper()
	method, rest, _ := strings.Cut(line, " ")
	path, body, _ := strings.Cut(rest, " ")
	signed := &sigv4.Request{Method: method, Target: Prefix + path, Host: "localhost:8080", Header: map[string][]string{}}
	signer := sigv4.Signer{
		Key: sigv4.NewKey(by.AccessKeyID, by.Secret.Reveal()), Token: by.SessionToken.Reveal(),
		Algorithm: sigv4.SigV4, Service: Service, Region: "us-east-1",
	}
	if err := signer.Sign(signed, sha256.Sum256([]byte(body)), time.Now()); err != nil {
		r.t.Fatal(err)
	}
	q := httptest.NewRequest(method, "http://localhost:8080"+Prefix+path, strings.NewReader(body))
	q.RequestURI, q.Header = signed.Target, signed.Header
	return q
}

// do sends a request and returns status and body.
func (r *rig) do(by access.Credentials, line string) (int, string) {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, r.request(by, line))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return w.Code, string(body)
}

// code sends a request and returns its error's code, or its status.
func (r *rig) code(by access.Credentials, line string) string {
	r.t.Helper()
	status, body := r.do(by, line)
	var e errorBody
	if err := json.Unmarshal([]byte(body), &e); err == nil && e.Error.Code != "" {
		return e.Error.Code
	}
	return http.StatusText(status)
}

// created makes a key through the API.
func (r *rig) created(by access.Credentials, body string) access.Credentials {
	r.t.Helper()
	status, text := r.do(by, "POST access-keys "+body)
	var key accessKey
	if err := json.Unmarshal([]byte(text), &key); err != nil || status != 200 {
		r.t.Fatalf("create %s: %d %s", body, status, text)
	}
	return access.Credentials{
		AccessKeyID: key.AccessKeyID, Secret: popkv.NewSecret(key.SecretAccessKey), SessionToken: popkv.NewSecret(key.SessionToken),
	}
}

// A fakeStorage does what a test says.
type fakeStorage struct {
	verify func(context.Context, journal.VerifyOptions) (journal.Report, error)
	backup func(context.Context, io.Writer) error
}

func (f fakeStorage) Verify(ctx context.Context, o journal.VerifyOptions) (journal.Report, error) {
	return f.verify(ctx, o)
}

func (f fakeStorage) Backup(ctx context.Context, w io.Writer, _ journal.BackupOptions) (journal.Manifest, error) {
	return journal.Manifest{}, f.backup(ctx, w)
}

// An openGate lets everyone in as the owner's root.
type openGate struct{}

func (openGate) Admit(r *http.Request, _ string, _ int64) (*access.Admission, error) {
	return &access.Admission{Caller: popkv.Caller{Account: owner, User: popkv.RootUser}, Path: r.RequestURI}, nil
}

func (openGate) Authorize(context.Context, *access.Admission, string, string, func() (map[string]string, error)) error {
	return nil
}
