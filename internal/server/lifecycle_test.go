package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/config"
	"github.com/popkv/popkv/internal/journal/memjournal"
)

func TestARequestInProgressIsFinishedOnAStop(t *testing.T) {
	s, stop := startWith(t, nil, Options{})
	_, path := newStore(t, s, "s", noItems)
	idle := dial(t, s)
	idle.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if _, err := idle.read(); err != nil {
		t.Fatal(err)
	}
	w, finish := beginPut(t, s, path, "k", popkv.DataETag(1), "v")
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	<-s.draining
	if got := adminGet(t, s, "/readyz"); got.status != 503 || got.body != "stopping\n" {
		t.Errorf("readiness while draining: %v", got)
	}
	if got := adminGet(t, s, "/livez"); got.status != 200 {
		t.Errorf("liveness while draining: %v", got)
	}
	if _, err := idle.r.ReadByte(); err != io.EOF {
		t.Errorf("an idle connection: %v", err)
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped with a request in progress: %v", err)
	default:
	}
	finish()
	if a, err := w.read(); err != nil || a.status != 200 {
		t.Errorf("the request in progress: %v, %v", a, err)
	}
	if _, err := w.r.ReadByte(); err != io.EOF {
		t.Errorf("its connection afterwards: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", s.api[0].Addr().String()); err == nil {
		c.Close()
		t.Error("it still listens")
	}
}

func TestAStopWaitsNoLongerThanTheDrainTimeout(t *testing.T) {
	log := &journalist{}
	s, stop := startWith(t, func(c *config.Config) { c.Shutdown.DrainTimeout = 20 * time.Millisecond }, Options{Logger: log.logger(slog.LevelWarn)})
	_, path := newStore(t, s, "s", noItems)
	w, _ := beginPut(t, s, path, "k", popkv.DataETag(1), "v")
	if err := stop(); err != nil {
		t.Error(err)
	}
	if a, err := w.read(); err == nil {
		t.Errorf("answered %v", a)
	}
	if !strings.Contains(log.String(), "still in progress") {
		t.Errorf("log: %s", log)
	}
}

func TestReadinessFollowsStorage(t *testing.T) {
	var fault atomic.Value
	fault.Store(memjournal.NoFault)
	driver := memjournal.New(memjournal.Options{Fault: func(c memjournal.Call) memjournal.Fault {
		if c.Method != "Commit" {
			return memjournal.NoFault
		}
		return fault.Load().(memjournal.Fault)
	}})
	t.Cleanup(func() { driver.Close() })
	s, _ := startWith(t, nil, Options{Driver: driver})
	_, path := newStore(t, s, "s", `{"data":[{"key":"k","value":"v"}]}`)
	put := message{
		method: "PUT", target: path + "/keys/k2", body: `{"Value":"v"}`,
		header: map[string]string{"If-Match": popkv.DataETag(2), "Content-Type": "application/json"},
	}
	fault.Store(memjournal.Refused)
	if got := send(t, s, put); got.status != 500 || !strings.Contains(got.header.Get("X-Amzn-Errortype"), "InternalServerException") {
		t.Errorf("a write that storage refuses: %v", got)
	}
	if got := adminGet(t, s, "/readyz"); got.status != 200 {
		t.Errorf("ready, as reads are answered: %v", got)
	}
	fault.Store(memjournal.FailedLost)
	if got := send(t, s, put); got.status != 500 {
		t.Errorf("a write that fails: %v", got)
	}
	if got := adminGet(t, s, "/readyz"); got.status != 503 || !strings.Contains(got.body, "storage has failed") {
		t.Errorf("after storage has failed: %v", got)
	}
	if got := adminGet(t, s, "/metrics").body; !strings.Contains(got, "popkv_storage_writable 0\n") {
		t.Error("the metrics do not show it")
	}
	if got := send(t, s, message{target: path + "/keys/k"}); got.status != 200 {
		t.Errorf("a read of what is in memory: %v", got)
	}
}

func TestAPanicIsLoggedAndCutsTheConnection(t *testing.T) {
	log := &journalist{}
	s := &Server{log: log.logger(slog.LevelError)}
	web := httptest.NewServer(s.reportPanics(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		panic("a bug")
	})))
	defer web.Close()
	for _, path := range []string{"/abort", "/bug"} {
		if answer, err := web.Client().Get(web.URL + path); err == nil {
			answer.Body.Close()
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "a bug") || !strings.Contains(got, "lifecycle_test.go") {
		t.Errorf("log: %s", got)
	}
}

// serveConfig is serve's configuration for a directory.
func serveConfig(dir string) config.Config {
	c := config.Default(config.Serve)
	c.Listen, c.Admin.Listen = "127.0.0.1:0", ""
	c.AccountID, c.DataDir = "123456789012", dir
	c.SecretsKeyFile = config.SecretsKeyFileOf(dir)
	return c
}

// opened makes a server on a configuration and closes it.
func opened(t *testing.T, c config.Config, o Options, use func(*Server)) error {
	t.Helper()
	s, err := New(t.Context(), c, o)
	if err != nil {
		return err
	}
	if use != nil {
		use(s)
	}
	return s.Close()
}

func TestTheRootKeyOfTheEnvironmentIsNotStored(t *testing.T) {
	c := serveConfig(filepath.Join(t.TempDir(), "data"))
	given := c
	given.RootAccessKeyID, given.RootSecretAccessKey = "AKIAGIVEN", popkv.NewSecret("Xq7v2LmNp0RsTuVw3yZaBcDe5fGhIjK9lMnOpQ1r")
	err := opened(t, given, Options{}, func(s *Server) {
		if _, err := s.directory.CreateKey(t.Context(), access.KeyRequest{Account: c.AccountID, User: "ann"}); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := opened(t, c, Options{}, nil); err == nil || !strings.Contains(err.Error(), "has no root access key") {
		t.Errorf("without it: %v", err)
	}
	if err := opened(t, given, Options{}, nil); err != nil {
		t.Errorf("with it again: %v", err)
	}
	for _, file := range walk(t, c.DataDir) {
		if text, err := os.ReadFile(file); err != nil || bytes.Contains(text, []byte("AKIAGIVEN")) || bytes.Contains(text, []byte("Xq7v2LmNp0")) {
			t.Errorf("%s holds it, %v", file, err)
		}
	}
}

func walk(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files in %s: %v", len(files), dir, err)
	}
	return files
}

type brokenTerminal struct{}

func (brokenTerminal) Write([]byte) (int, error) { return 0, errors.New("the terminal is gone") }

// A root key that nobody has seen must not keep the next start from making
// one.
func TestARootKeyIsShownOrNotMade(t *testing.T) {
	c := serveConfig(filepath.Join(t.TempDir(), "data"))
	if err := opened(t, c, Options{Terminal: brokenTerminal{}}, nil); err == nil || !strings.Contains(err.Error(), "terminal is gone") {
		t.Fatalf("got %v", err)
	}
	var shown strings.Builder
	err := opened(t, c, Options{Terminal: &shown}, func(s *Server) {
		keys := s.directory.Keys("", "")
		if len(keys) != 1 || keys[0].User != popkv.RootUser || !strings.Contains(shown.String(), "AWS_ACCESS_KEY_ID="+keys[0].AccessKeyID+"\n") {
			t.Errorf("keys %+v, shown %s", keys, shown.String())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	first := shown.String()
	if err := opened(t, c, Options{Terminal: &shown}, nil); err != nil || shown.String() != first {
		t.Errorf("a second start: %v, shows %s", err, shown.String()[len(first):])
	}
}

func TestStartsThatAreRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	c := serveConfig(dir)
	if err := opened(t, c, Options{Terminal: io.Discard}, nil); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(c.SecretsKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("the data directory is in use", func(t *testing.T) {
		err := opened(t, c, Options{}, func(*Server) {
			if err := opened(t, c, Options{}, nil); err == nil || !strings.Contains(err.Error(), "--endpoint") || strings.Count(err.Error(), dir) != 1 {
				t.Errorf("got %v", err)
			}
		})
		if err != nil {
			t.Error(err)
		}
	})
	for name, text := range map[string]string{
		"the secrets key file is missing":   "",
		"the secrets key file is no such":   "hello\n",
		"the secrets key file is another's": strings.Replace(string(key), "\n", "\nAAAA", 1)[:len(key)-1] + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			other := c
			other.SecretsKeyFile = filepath.Join(t.TempDir(), "other.key")
			if text != "" {
				if err := os.WriteFile(other.SecretsKeyFile, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := opened(t, other, Options{}, nil); err == nil || !strings.Contains(err.Error(), other.SecretsKeyFile) {
				t.Errorf("got %v, want the file named", err)
			}
			if _, err := os.Stat(other.SecretsKeyFile); text == "" && err == nil {
				t.Error("a new key file was made that opens nothing")
			}
		})
	}
	t.Run("two sources of imports", func(t *testing.T) {
		other := c
		other.ImportDir, other.S3.Endpoint = t.TempDir(), "http://localhost:1"
		if err := opened(t, other, Options{}, nil); err == nil || !strings.Contains(err.Error(), "unset the other") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an import directory that is none", func(t *testing.T) {
		other := c
		other.ImportDir = filepath.Join(t.TempDir(), "missing")
		if err := opened(t, other, Options{}, nil); err == nil || !strings.Contains(err.Error(), other.ImportDir) {
			t.Errorf("got %v", err)
		}
	})
	if err := opened(t, c, Options{}, nil); err != nil {
		t.Errorf("after all of that: %v", err)
	}
}

// A seed whose items cannot be written leaves no empty store behind, which the
// next start would take for seeded.
func TestAStoreThatCannotBeFilledIsNotMade(t *testing.T) {
	var broken atomic.Bool
	var commits atomic.Int32
	driver := memjournal.New(memjournal.Options{Fault: func(c memjournal.Call) memjournal.Fault {
		if broken.Load() && c.Method == "Commit" && commits.Add(1) == 2 { // the first makes the store
			return memjournal.Refused
		}
		return memjournal.NoFault
	}})
	t.Cleanup(func() { driver.Close() })
	s, _ := startWith(t, nil, Options{Driver: driver})
	const document = `{"data":[{"key":"k","value":"v"}]}`
	broken.Store(true)
	if _, err := s.MakeStore(context.Background(), "s", strings.NewReader(document)); popkv.KindOf(err) != popkv.Unavailable {
		t.Fatalf("got %v", err)
	}
	broken.Store(false)
	newStore(t, s, "s", document)
}
