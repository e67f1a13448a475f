package access

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// A recorded is one request of the shared vectors, as in internal/sigv4.
type recorded struct {
	ID, RawB64, Mutation, Expect, Why, SignedAt string
	AccessKey, SecretKey, SessionToken          string
	EvaluateAtOffsetSeconds                     int
}

// readRecorded reads one file of the set below POPKV_VECTORS, relative to the
// module root, or else of the copy that internal/sigv4 keeps.
func readRecorded(t *testing.T, file string) []recorded {
	t.Helper()
	moduleRoot := filepath.Join("..", "..")
	folder := filepath.Join(moduleRoot, "..", "shared", "vectors")
	if named := os.Getenv("POPKV_VECTORS"); filepath.IsAbs(named) {
		folder = named
	} else if named != "" {
		folder = filepath.Join(moduleRoot, named)
	} else if _, err := os.Stat(folder); err != nil {
		folder = filepath.Join("..", "sigv4", "testdata")
	}
	f, err := os.Open(filepath.Join(folder, "sdk-captures", file))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("vectors: set sdk-captures/%s is not here (POPKV_VECTORS names the folder)", file)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []recorded
	for in := json.NewDecoder(f); in.More(); {
		var one recorded
		if err := in.Decode(&one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		t.Fatalf("vectors: set sdk-captures/%s is here but has no case", file)
	}
	t.Logf("vectors: sdk-captures/%s through net/http and the gate: %d cases", file, len(all))
	return all
}

// credentials are what a case was signed with.
func (c recorded) credentials() [3]string { return [3]string{c.AccessKey, c.SecretKey, c.SessionToken} }

// keep stores the credentials of a case as an access key of ann, in the place
// of those that another case had under the same id.
func (w *replayer) keep(c recorded) {
	w.t.Helper()
	if w.kept == nil {
		w.kept = map[string][3]string{}
	}
	if w.kept[c.AccessKey] == c.credentials() {
		return
	}
	w.kept[c.AccessKey] = c.credentials()
	r := keyRecord{ID: c.AccessKey, Account: account, User: "ann", Revision: 1}
	r.Sealed = w.data.seal(w.o.Rand, []byte(c.SecretKey), r.associated())
	if c.SessionToken != "" {
		hash := sha256Of(c.SessionToken)
		r.TokenHash, r.Expires = hash[:], time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	err := w.journal.Catalog(context.Background(), func(tx *journal.Tx) error {
		tx.Put(journal.AccessKeyKey(r.ID), encodeRecord(r))
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.reopen()
}

// A replayer plays recorded requests to a server that goes by the hosts that
// the captures went to.
type replayer struct {
	*world
	names []string
	kept  map[string][3]string // credentials by access key id
}

func newReplayer(t *testing.T, captures []recorded) *replayer {
	w := &replayer{world: newWorld(t)}
	for _, c := range captures {
		r, err := c.request(t)
		if err != nil {
			t.Fatalf("%s: %v", c.ID, err)
		}
		host := hostOf(r.Host)
		w.names = append(w.names, strings.TrimPrefix(host, labelOf(host)+"."))
	}
	return w
}

// request is the recorded request as net/http reads it.
func (c recorded) request(t *testing.T) (*http.Request, error) {
	raw, err := base64.StdEncoding.DecodeString(c.RawB64)
	if err != nil {
		t.Fatal(err)
	}
	return http.ReadRequest(bufio.NewReader(strings.NewReader(string(raw))))
}

// replay sends the recorded bytes through net/http's reader and the gate.
func (w *replayer) replay(t *testing.T, c recorded) error {
	r, err := c.request(t)
	if err != nil {
		return err
	}
	a, err := w.gate(GateOptions{Names: w.names}).Admit(r, ServiceDataPlane, 3<<20)
	if err == nil {
		a.Release()
	}
	return err
}

func TestVectorsRecordedRequestsPassTheGate(t *testing.T) {
	captures := readRecorded(t, "captures.jsonl")
	w := newReplayer(t, captures)
	for _, c := range captures {
		w.keep(c)
		r, err := c.request(t)
		if err != nil {
			t.Fatalf("%s: %v", c.ID, err)
		}
		if w.now, err = time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date")); err != nil {
			t.Fatalf("%s: %v", c.ID, err)
		}
		if err := w.replay(t, c); err != nil {
			t.Errorf("%s: %v", c.ID, err)
		}
	}
}

func TestVectorsForgedRequestsStopAtTheGate(t *testing.T) {
	mutations := readRecorded(t, "mutations.jsonl")
	w := newReplayer(t, readRecorded(t, "captures.jsonl"))
	for _, c := range mutations {
		w.keep(c)
		at, err := time.Parse("20060102T150405Z", c.SignedAt)
		if err != nil {
			t.Fatal(err)
		}
		w.now = at.Add(time.Duration(c.EvaluateAtOffsetSeconds) * time.Second)
		if err := w.replay(t, c); (err == nil) != (c.Expect == "accept") && c.Expect != "policy" {
			t.Errorf("%s: %v, want %s: %s", c.ID, err, c.Expect, c.Why)
		}
	}
}

func BenchmarkGate(b *testing.B) {
	w := newWorld(b, func(w *world) {
		w.options.KeyFile = ""
		w.options.Root, w.options.RootAccount = Credentials{AccessKeyID: "AKIAROOT", Secret: popkv.NewSecret("a root secret for the benchmark")}, account
	})
	g := w.gate(GateOptions{})
	r := w.request(call{target: getTarget, host: "000000000000.localhost:8080", unsigned: "User-Agent: bench\r\nAccept-Encoding: gzip\r\n"}, w.options.Root)
	b.ReportAllocs()
	for b.Loop() {
		a, err := g.Admit(r, ServiceDataPlane, 4<<10)
		if err != nil {
			b.Fatal(err)
		}
		if err := g.Authorize(context.Background(), a, get, storeARN, nil); err != nil {
			b.Fatal(err)
		}
		a.Release()
	}
}
