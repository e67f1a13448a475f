package journal_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/snapshot"
)

// build makes the content of an import.
func build(t testing.TB, m journal.Meta, pairs ...string) *snapshot.Snapshot {
	t.Helper()
	var all []popkv.Item
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, popkv.Item{Key: pairs[i], Value: pairs[i+1]})
	}
	snap, err := snapshot.Build(m.DigestKey, all)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// runImportAgainst lets meanwhile happen after an import has written its
// chunks and before it makes them visible.
func runImportAgainst(t *testing.T, meanwhile func(*journal.Journal, popkv.StoreID)) {
	synctest.Test(t, func(t *testing.T) {
		d, gate := gatedDriver()
		j := open(t, d, journal.Options{})
		id := newStoreIn(t, j, popkv.Provisioning)
		m, err := j.Meta(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		gate.hold("Stage")
		var wg sync.WaitGroup
		wg.Go(func() {
			err = j.Import(context.Background(), id, principal, build(t, m, "a", "1"), func(tx *journal.Tx) error {
				tx.Put(journal.ControlKey(id), []byte("ready"))
				return nil
			})
		})
		synctest.Wait()
		meanwhile(j, id)
		gate.release()
		wg.Wait()
		wantKind(t, err, popkv.WrongState)
		synctest.Wait()
		all := stored(t, d)
		if n := count(all, "c/") + count(all, "l/") + count(all, "i/"); n != 0 {
			t.Fatalf("%d keys are left", n)
		}
		verified(t, d)
	})
}

func TestAnImportIsInvisibleUntilItIsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, gate := gatedDriver()
		j := open(t, d, journal.Options{})
		id := newStoreIn(t, j, popkv.Provisioning)
		before := head(t, j, id)
		gate.hold("Stage")
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := j.Import(context.Background(), id, principal, build(t, before.Meta, "a", "1"), nil); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if h := head(t, j, id); h.Status != popkv.Provisioning || h.Items.Len() != 0 {
			t.Fatalf("%+v", h.Meta)
		}
		verified(t, d)
		gate.release()
		wg.Wait()
		if h := head(t, j, id); h.Status != popkv.Ready || h.Items.Len() != 1 {
			t.Fatalf("%+v", h.Meta)
		}
	})
}

func TestAnImportThatTheDriverRefusesCanBeTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, gate := gatedDriver()
		j := open(t, d, journal.Options{})
		id := newStoreIn(t, j, popkv.Provisioning)
		snap := build(t, head(t, j, id).Meta, "a", "1")
		for _, method := range []string{"Commit", "Stage"} {
			gate.next(method, memjournal.Refused)
			wantKind(t, j.Import(t.Context(), id, principal, snap, nil), popkv.Unavailable)
		}
		if err := j.Import(t.Context(), id, principal, snap, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if r := verified(t, d); r.Garbage != 0 || r.Items != 1 {
			t.Fatalf("%+v", r)
		}
	})
}

func TestAnEmptyImportMakesAnEmptyReadyStore(t *testing.T) {
	d := newDriver(nil)
	j := open(t, d, journal.Options{})
	id := newStoreIn(t, j, popkv.Provisioning)
	if err := j.Import(t.Context(), id, principal, build(t, head(t, j, id).Meta), nil); err != nil {
		t.Fatal(err)
	}
	if h := mustWrite(t, j, id, "a", "1"); h.Version != 2 || h.Meta.Items != 1 {
		t.Fatalf("%+v", h.Meta)
	}
	verified(t, d)
}
