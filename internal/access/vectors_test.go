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

// keep stores the credentials of a case as an access key of ann.
func (w *world) keep(c recorded) {
	w.t.Helper()
	if _, there := w.current.Load().keys[c.AccessKey]; there {
		return
	}
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

// replay sends the recorded bytes through net/http's reader and the gate.
func (w *world) replay(c recorded) error {
	raw, err := base64.StdEncoding.DecodeString(c.RawB64)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(raw))))
	if err != nil {
		return err
	}
	a, err := w.gate(GateOptions{Names: []string{"kvs.example.test"}}).Admit(r, ServiceDataPlane, 3<<20)
	if err == nil {
		a.Release()
	}
	return err
}

func TestVectorsRecordedRequestsPassTheGate(t *testing.T) {
	w := newWorld(t)
	for _, c := range readRecorded(t, "captures.jsonl") {
		w.keep(c)
		raw, _ := base64.StdEncoding.DecodeString(c.RawB64)
		_, date, _ := strings.Cut(strings.ToLower(string(raw)), "\r\nx-amz-date: ")
		at, err := time.Parse("20060102t150405z", date[:16])
		if err != nil {
			t.Fatal(err)
		}
		w.now = at
		if err := w.replay(c); err != nil {
			t.Errorf("%s: %v", c.ID, err)
		}
	}
}

func TestVectorsForgedRequestsStopAtTheGate(t *testing.T) {
	w := newWorld(t)
	for _, c := range readRecorded(t, "mutations.jsonl") {
		w.keep(c)
		at, err := time.Parse("20060102T150405Z", c.SignedAt)
		if err != nil {
			t.Fatal(err)
		}
		w.now = at.Add(time.Duration(c.EvaluateAtOffsetSeconds) * time.Second)
		if err := w.replay(c); (err == nil) != (c.Expect == "accept") && c.Expect != "policy" {
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
