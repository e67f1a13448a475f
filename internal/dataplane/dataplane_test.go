package dataplane

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const account = "123456789012"

var root = popkv.Caller{Account: account, User: popkv.RootUser, AccessKeyID: "AKIDEXAMPLE"}

// A rig is a service over a journal in memory, with a clock that stands still
// until it is moved.
type rig struct {
	*Service
	journal *journal.Journal
	now     time.Time
}

func newRig(t testing.TB, limits popkv.Limits) *rig {
	t.Helper()
	r := &rig{now: time.UnixMilli(1715179725381).UTC()}
	clock := func() time.Time { return r.now }
	drv := memjournal.New(memjournal.Options{})
	j, err := journal.Open(context.Background(), drv, journal.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
		if err := drv.Close(); err != nil {
			t.Error(err)
		}
	})
	r.journal = j
	r.Service = New(j, Options{Limits: limits, Now: clock})
	return r
}

// store makes a store of the account.
func (r *rig) store(t testing.TB, account string, status popkv.Status, reason string) popkv.StoreID {
	t.Helper()
	var id popkv.StoreID
	err := r.journal.Catalog(context.Background(), func(tx *journal.Tx) error {
		id = r.journal.NewStore(tx, account, status)
		if reason == "" {
			return nil
		}
		return tx.SetStatus(id, status, reason)
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// ready makes a store that takes items and opens it for root.
func (r *rig) ready(t testing.TB, items ...popkv.Item) (Target, string) {
	t.Helper()
	target := r.open(t, r.store(t, account, popkv.Ready, ""))
	etag := popkv.DataETag(1)
	for len(items) > 0 {
		n := min(len(items), 50)
		o, err := r.Update(context.Background(), target, items[:n], nil, etag)
		if err != nil {
			t.Fatal(err)
		}
		items, etag = items[n:], o.ETag
	}
	return target, etag
}

func (r *rig) open(t testing.TB, id popkv.StoreID) Target {
	t.Helper()
	target, err := r.Open(root, popkv.StoreARN(account, id))
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func (r *rig) drop(t testing.TB, id popkv.StoreID) {
	t.Helper()
	if err := r.journal.Catalog(context.Background(), func(tx *journal.Tx) error { return tx.DropStore(id) }); err != nil {
		t.Fatal(err)
	}
}

// items returns what the store holds.
func (r *rig) items(t testing.TB, target Target) map[string]string {
	t.Helper()
	head, err := r.journal.Head(context.Background(), target.Store)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for key, value := range head.Items.After("") {
		all[key] = value
	}
	return all
}

// fails holds err to a kind and, unless text is empty, to a message.
func fails(t testing.TB, err error, kind popkv.Kind, text string) {
	t.Helper()
	if err == nil || popkv.KindOf(err) != kind {
		t.Fatalf("%v (kind %d), want kind %d", err, popkv.KindOf(err), kind)
	}
	if text != "" && popkv.Message(err) != text {
		t.Fatalf("the message is %q, want %q", popkv.Message(err), text)
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func repeat(n int) string { return strings.Repeat("x", n) }

func puts(pairs ...string) []popkv.Item {
	var items []popkv.Item
	for i := 0; i < len(pairs); i += 2 {
		items = append(items, popkv.Item{Key: pairs[i], Value: pairs[i+1]})
	}
	return items
}

var _ Journal = (*journal.Journal)(nil)

// racingJournal runs every change twice, as a journal does after a lost race:
// first on the head that lost.
type racingJournal struct {
	Journal
	lost *journal.Head
}

func (j racingJournal) Update(ctx context.Context, id popkv.StoreID, principal string, change func(*journal.Head) (snapshot.Change, error)) (*journal.Head, error) {
	_, _ = change(j.lost)
	return j.Journal.Update(ctx, id, principal, change)
}
