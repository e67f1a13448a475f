package cfapi

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/controlplane"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/journal/pebblejournal"
	"github.com/popkv/popkv/internal/s3import"
	"github.com/popkv/popkv/internal/sigv4"
)

const account = "123456789012"

// requestID is every request's.
const requestID = "7a5e0000-0000-4000-8000-000000000001"

// A driverFactory makes an empty driver that the test closes.
type driverFactory func(t testing.TB) journal.Driver

// drivers are those that every wire fixture runs on.
func drivers() map[string]driverFactory {
	return map[string]driverFactory{
		"memjournal": func(testing.TB) journal.Driver { return memjournal.New(memjournal.Options{}) },
		"pebblejournal": func(t testing.TB) journal.Driver {
			d, err := pebblejournal.Open("data", pebblejournal.Options{FS: vfs.NewMem(), ReserveBytes: -1, BallastBytes: -1})
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
	}
}

// A rig is the control plane with everything behind it: wire, gate and
// signatures, rules, journal and driver are the real ones.
type rig struct {
	t         testing.TB
	now       func() time.Time
	journal   *journal.Journal
	service   *controlplane.Service
	directory *access.Directory
	handler   *Handler
	keys      map[string]*sigv4.Key // by user
	seen      []Observation
}

// newRig makes a rig whose clock is o.Now, by default the system's.
func newRig(t testing.TB, factory driverFactory, o controlplane.Options) *rig {
	t.Helper()
	ctx := context.Background()
	if o.Now == nil {
		o.Now = time.Now
	}
	drv := factory(t)
	j, err := journal.Open(ctx, drv, journal.Options{Now: o.Now})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, now: o.Now, journal: j, keys: map[string]*sigv4.Key{}}
	r.directory, err = access.Open(ctx, j, access.Options{
		Now: o.Now, Root: access.Credentials{AccessKeyID: "AKIDROOT", Secret: popkv.NewSecret("root-secret")}, RootAccount: account,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.keys[popkv.RootUser] = sigv4.NewKey("AKIDROOT", "root-secret")
	r.keys["stranger"] = sigv4.NewKey("AKIDSTRANGER", "unknown")
	r.service = controlplane.New(j, o)
	r.handler = New(r.service, access.NewGate(r.directory, access.GateOptions{Now: o.Now}), Options{
		RequestID: func(*http.Request) string { return requestID },
		Observe:   func(_ *http.Request, o Observation) { r.seen = append(r.seen, o) },
	})
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { r.service.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		j.Close()
		if err := drv.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// user makes a user of an account with a policy, or without where it is empty.
func (r *rig) user(account, name, policy string) {
	r.t.Helper()
	ctx := context.Background()
	c, err := r.directory.CreateKey(ctx, access.KeyRequest{Account: account, User: name})
	if err == nil && policy != "" {
		err = r.directory.PutPolicy(ctx, account, name, "test", []byte(policy))
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.keys[name] = sigv4.NewKey(c.AccessKeyID, c.Secret.Reveal())
}

// An unsigned request is sent as it is.
const unsigned = "none"

// send signs a request as a user and returns the response. raw is a request as
// it is sent, without Host, Content-Length and signature.
func (r *rig) send(raw, user string) *httptest.ResponseRecorder {
	r.t.Helper()
	head, body, _ := strings.Cut(raw, "\n\n")
	// net/http would take no path from a text without a Host.
	if !strings.Contains(head, "\nHost:") {
		head += "\nHost: localhost:8080"
	}
	head = strings.ReplaceAll(strings.ReplaceAll(head, "\n\n", "\n"), "\n", "\r\n")
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\r\n\r\n")))
	if err != nil {
		r.t.Fatalf("%v in %q", err, head)
	}
	req.RemoteAddr = "192.0.2.1:1234"
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	if user != unsigned {
		r.sign(req, body, user)
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	return w
}

func (r *rig) sign(req *http.Request, body, user string) {
	r.t.Helper()
	key := r.keys[user]
	if key == nil {
		r.t.Fatalf("no user %q", user)
	}
	service := access.ServiceControlPlane
	if isSTS(req) {
		service = access.ServiceSTS
	}
	signed := sigv4.Request{Method: req.Method, Target: req.RequestURI, Host: req.Host, Header: req.Header}
	signer := sigv4.Signer{Key: key, Algorithm: sigv4.SigV4, Service: service, Region: "us-east-1"}
	if err := signer.Sign(&signed, sha256.Sum256([]byte(body)), r.now()); err != nil {
		r.t.Fatal(err)
	}
}

// folder makes an import folder of files by path.
func folder(t testing.TB, files map[string]string) *s3import.Folder {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := s3import.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// allow is a policy that allows actions on one resource.
func allow(resource string, actions ...string) string {
	b, err := json.Marshal(map[string]any{
		"Version":   "2012-10-17",
		"Statement": []any{map[string]any{"Effect": "Allow", "Action": actions, "Resource": resource}},
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}
