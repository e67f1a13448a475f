package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// Every kind of failure has a row, or is a bug that tells nothing.
func TestEveryKindOfFailureHasAnAnswer(t *testing.T) {
	want := map[popkv.Kind]string{
		popkv.Invalid: "400 Invalid", popkv.Malformed: "400 Malformed", popkv.TooLarge: "413 TooLarge",
		popkv.UnknownOperation: "404 UnknownOperation", popkv.ResourceNotFound: "404 NotFound",
		popkv.Denied: "403 AccessDenied", popkv.NoCredentials: "403 MissingAuthentication",
		popkv.BadAuthorization: "400 IncompleteSignature", popkv.BadScope: "403 InvalidSignature",
		popkv.Unauthenticated: "403 AuthenticationFailed", popkv.Unavailable: "503 Unavailable",
		popkv.Throttled: "429 Throttled",
	}
	for _, kind := range popkv.Kinds() {
		w := httptest.NewRecorder()
		status := writeError(w, popkv.Wrap(kind, errors.New("the cause"), "the message"))
		var body errorBody
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		got, expected := fmt.Sprint(w.Code, " ", body.Error.Code), want[kind]
		message := "the message"
		if expected == "" {
			expected, message = "500 Internal", "internal error"
		}
		if got != expected || body.Error.Message != message || status != w.Code {
			t.Errorf("kind %d: %s, %q, status %d; want %s, %q", kind, got, body.Error.Message, status, expected, message)
		}
	}
	if w := httptest.NewRecorder(); writeError(w, errors.New("/a/path")) != 500 || strings.Contains(w.Body.String(), "path") {
		t.Errorf("an error that is not the domain's: %s", w.Body)
	}
}

func TestVerifyStreamsProgressAndReport(t *testing.T) {
	r, root, _, _ := newRig(t, func(o *Options) {
		o.Check = func(key string, _ []byte, _ func(string) bool) string {
			if strings.HasPrefix(key, "q/") {
				return "a counter that nobody likes"
			}
			return ""
		}
	})
	for range 2 {
		err := r.journal.Catalog(t.Context(), func(tx *journal.Tx) error {
			id := r.journal.NewStore(tx, owner, popkv.Ready)
			tx.Put(journal.ControlKey(id), []byte("{}"))
			tx.Put(journal.CounterKey(owner), []byte("{}"))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	status, text := r.do(root, "POST verify")
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if status != 200 || len(lines) != 3 {
		t.Fatalf("%d %s", status, text)
	}
	var last progress
	if err := json.Unmarshal([]byte(lines[2]), &last); err != nil {
		t.Fatal(err)
	}
	want := []journal.Finding{{Record: "q/" + owner, Problem: "a counter that nobody likes"}}
	if diff := cmp.Diff(want, last.Report.Findings); diff != "" || last.Report.Stores != 2 || last.Done != 2 || last.Total != 2 {
		t.Errorf("%s\n%s", text, diff)
	}
	if lines[0] != `{"Done":1,"Total":2}` {
		t.Errorf("first line %s", lines[0])
	}
}

// stream serves h with a read timeout that passes before a stream ends.
func stream(t *testing.T, h *Handler, method, path string) (string, error) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ReadTimeout, s.Config.WriteTimeout = 20*time.Millisecond, 20*time.Millisecond
	s.Start()
	defer s.Close()
	q, err := http.NewRequestWithContext(t.Context(), method, s.URL+Prefix+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := s.Client().Do(q)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

// pause outlasts the timeouts of stream, unless the request is cancelled.
func pause(ctx context.Context) error {
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestStreamsOutliveTheServersTimeouts(t *testing.T) {
	slow := fakeStorage{
		verify: func(ctx context.Context, o journal.VerifyOptions) (journal.Report, error) {
			err := pause(ctx)
			o.Progress(1, 1)
			return journal.Report{Stores: 1}, err
		},
		backup: func(ctx context.Context, w io.Writer) error {
			_, err := io.WriteString(w, "begin ")
			err = errors.Join(err, pause(ctx))
			_, last := io.WriteString(w, "end")
			return errors.Join(err, last)
		},
	}
	h := New(openGate{}, nil, slow, Options{OwnerAccount: owner})
	if got, err := stream(t, h, "GET", "backup"); err != nil || got != "begin end" {
		t.Errorf("backup: %q, %v", got, err)
	}
	if got, err := stream(t, h, "POST", "verify"); err != nil || !strings.Contains(got, `"Report":{"stores":1`) {
		t.Errorf("verify: %q, %v", got, err)
	}
}

func TestAStreamThatFails(t *testing.T) {
	broken := errors.New("a bad block in /data")
	var seen []Observation
	h := New(openGate{}, nil, fakeStorage{
		verify: func(context.Context, journal.VerifyOptions) (journal.Report, error) {
			return journal.Report{}, broken
		},
		backup: func(_ context.Context, w io.Writer) error {
			w.Write(bytes.Repeat([]byte("x"), 10<<10))
			return broken
		},
	}, Options{OwnerAccount: owner, Observe: func(_ *http.Request, o Observation) { seen = append(seen, o) }})
	if got, err := stream(t, h, "GET", "backup"); err == nil {
		t.Errorf("a backup that failed looks whole: %d bytes", len(got))
	}
	got, err := stream(t, h, "POST", "verify")
	if err != nil || got != `{"Done":0,"Total":0,"Error":"verify could not go on: see the server's log"}`+"\n" {
		t.Errorf("verify: %q, %v", got, err)
	}
	for _, o := range seen {
		if !errors.Is(o.Err, broken) {
			t.Errorf("the log learns of %v", o.Err)
		}
	}
	if len(seen) != 2 {
		t.Errorf("%d observations", len(seen))
	}
}

func TestHealth(t *testing.T) {
	var failure error
	h := HealthHandler(func() error { return failure }, http.NotFoundHandler())
	get := func(method, path string) string {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return fmt.Sprint(w.Code, " ", w.Body.String())
	}
	for path, want := range map[string]string{
		"/livez": "200 ok\n", "/readyz": "200 ok\n", "/metrics": "404", "/": "404",
		"/debug/pprof/": "200", "/debug/pprof/goroutine?debug=1": "200 goroutine profile",
		"/debug/pprof/cmdline": "404", // it would show secrets that were given as flags
	} {
		if got := get("GET", path); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %.80s, want %s", path, got, want)
		}
	}
	if got := get("POST", "/readyz"); !strings.HasPrefix(got, "405") {
		t.Errorf("POST: %s", got)
	}
	failure = errors.New("stopping")
	if got := get("GET", "/readyz"); got != "503 stopping\n" {
		t.Errorf("not ready: %q", got)
	}
	if got := get("GET", "/livez"); got != "200 ok\n" {
		t.Errorf("alive while not ready: %q", got)
	}
}
