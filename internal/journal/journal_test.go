package journal_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account   = "123456789012"
	principal = "arn:aws:iam::123456789012:root"
)

// newSeed differs from run to run; POPKV_SEED repeats the choices of another.
func newSeed(t testing.TB) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("POPKV_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("POPKV_SEED=%d", seed)
	return seed
}

// newDriver returns a driver in memory that asks fault, which may be nil.
func newDriver(fault func(memjournal.Call) memjournal.Fault) *memjournal.Driver {
	return memjournal.New(memjournal.Options{Fault: fault})
}

// open starts a journal that the test's end closes; what it logs is shown with
// a failure.
func open(t testing.TB, drv journal.Driver, o journal.Options) *journal.Journal {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(testLog{t}, nil))
	}
	j, err := journal.Open(context.Background(), drv, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

type testLog struct{ testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.Logf("%s", bytes.TrimSpace(b))
	return len(b), nil
}

// newStore makes a READY store without items.
func newStore(t testing.TB, j *journal.Journal) popkv.StoreID {
	t.Helper()
	return newStoreIn(t, j, popkv.Ready)
}

func newStoreIn(t testing.TB, j *journal.Journal, status popkv.Status) (id popkv.StoreID) {
	t.Helper()
	err := j.Catalog(context.Background(), func(tx *journal.Tx) error {
		id = j.NewStore(tx, account, status)
		tx.Put(journal.ControlKey(id), []byte("control record"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func drop(t testing.TB, j *journal.Journal, id popkv.StoreID) {
	t.Helper()
	err := j.Catalog(context.Background(), func(tx *journal.Tx) error {
		tx.Delete(journal.ControlKey(id))
		return tx.DropStore(id)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// set is the change that puts pairs of keys and values.
func set(pairs ...string) func(*journal.Head) (snapshot.Change, error) {
	return func(*journal.Head) (c snapshot.Change, err error) {
		for i := 0; i < len(pairs); i += 2 {
			c.Puts = append(c.Puts, popkv.Item{Key: pairs[i], Value: pairs[i+1]})
		}
		return c, nil
	}
}

func write(j *journal.Journal, id popkv.StoreID, pairs ...string) (*journal.Head, error) {
	return j.Update(context.Background(), id, principal, set(pairs...))
}

func mustWrite(t testing.TB, j *journal.Journal, id popkv.StoreID, pairs ...string) *journal.Head {
	t.Helper()
	h, err := write(j, id, pairs...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func head(t testing.TB, j *journal.Journal, id popkv.StoreID) *journal.Head {
	t.Helper()
	h, err := j.Head(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// items returns a store's content for comparison.
func items(h *journal.Head) map[string]string {
	all := map[string]string{}
	for key, value := range h.Items.After("") {
		all[key] = value
	}
	return all
}

func wantKind(t testing.TB, err error, kind popkv.Kind) {
	t.Helper()
	if err == nil || popkv.KindOf(err) != kind {
		t.Fatalf("got error %v, want kind %d", err, kind)
	}
}

func value(n int) string { return fmt.Sprintf("value %d", n) }

// verified fails the test unless everything that drv holds is as it should be.
func verified(t testing.TB, drv journal.Driver) journal.Report {
	t.Helper()
	r, err := journal.Verify(context.Background(), drv, journal.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		t.Errorf("%s: %s", f.Record, f.Problem)
	}
	return r
}

// stored returns all keys and values that drv holds.
func stored(t testing.TB, drv journal.Driver) map[string][]byte {
	t.Helper()
	view, err := drv.View(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	all := map[string][]byte{}
	for kv, err := range view.Scan("", "", 0) {
		if err != nil {
			t.Fatal(err)
		}
		all[kv.Key] = bytes.Clone(kv.Value)
	}
	return all
}

// overwrite changes what drv holds behind the journal's back; a nil value
// deletes.
func overwrite(t testing.TB, drv journal.Driver, key string, value []byte) {
	t.Helper()
	op := journal.Op{Kind: journal.Put, Key: key, Value: value}
	if value == nil {
		op.Kind = journal.Delete
	}
	if _, err := drv.Commit(context.Background(), journal.Txn{Ops: []journal.Op{op}}); err != nil {
		t.Fatal(err)
	}
}

// fill writes n values of about size bytes under keys that begin with prefix.
func fill(t testing.TB, j *journal.Journal, id popkv.StoreID, prefix string, n, size int) {
	t.Helper()
	for i := range n {
		mustWrite(t, j, id, fmt.Sprintf("%s%04d", prefix, i), strings.Repeat(string(rune('a'+i%26)), size))
	}
}
