package journal_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/snapshot"
)

func TestEachEffectiveWriteIsOneVersion(t *testing.T) {
	j := open(t, newDriver(nil), journal.Options{})
	id := newStore(t, j)
	if h := head(t, j, id); h.Version != 1 || h.Items.Len() != 0 || h.Created != h.LastModified {
		t.Fatalf("a new store: %+v", h.Meta)
	}
	h := mustWrite(t, j, id, "a", "1", "b", "2")
	if h.Version != 2 || h.Meta.Items != 2 || h.SizeBytes != 4 {
		t.Fatalf("after two keys in one write: %+v", h.Meta)
	}
	if again := mustWrite(t, j, id, "b", "2"); again != h {
		t.Fatalf("a write without effect made version %d", again.Version)
	}
	h, err := j.Update(t.Context(), id, principal, func(*journal.Head) (snapshot.Change, error) {
		return snapshot.Change{Deletes: []string{"a", "never"}}, nil
	})
	if err != nil || h.Version != 3 {
		t.Fatal(h, err)
	}
	if diff := cmp.Diff(map[string]string{"b": "2"}, items(head(t, j, id))); diff != "" {
		t.Fatal(diff)
	}
}

func TestTheChangesErrorIsReturnedAsItIs(t *testing.T) {
	j := open(t, newDriver(nil), journal.Options{})
	id := newStore(t, j)
	want := errors.New("no")
	_, err := j.Update(t.Context(), id, principal, func(*journal.Head) (snapshot.Change, error) {
		return snapshot.Change{}, want
	})
	if err != want {
		t.Fatal(err)
	}
}

func TestADeletedStoreIsInTheWrongStateForADayAndThenUnknown(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	j := open(t, newDriver(nil), journal.Options{Now: func() time.Time { return now }})
	id := newStore(t, j)
	mustWrite(t, j, id, "a", "1")
	_, err := j.Head(t.Context(), popkv.StoreID{1})
	wantKind(t, err, popkv.StoreNotFound)
	drop(t, j, id)
	for _, c := range []struct {
		after time.Duration
		kind  popkv.Kind
	}{{0, popkv.WrongState}, {24*time.Hour - time.Millisecond, popkv.WrongState}, {time.Millisecond, popkv.StoreNotFound}} {
		now = now.Add(c.after)
		_, err := j.Head(t.Context(), id)
		wantKind(t, err, c.kind)
		_, err = j.Meta(t.Context(), id)
		wantKind(t, err, c.kind)
		_, err = write(j, id, "a", "2")
		wantKind(t, err, c.kind)
	}
}

func TestAStoreThatIsNotReadyTakesNoWrites(t *testing.T) {
	j := open(t, newDriver(nil), journal.Options{})
	for _, status := range []popkv.Status{popkv.Provisioning, popkv.ImportFailure} {
		id := newStoreIn(t, j, status)
		_, err := write(j, id, "a", "1")
		wantKind(t, err, popkv.WrongState)
		if h := head(t, j, id); h.Status != status || h.Items.Len() != 0 {
			t.Fatalf("%+v", h.Meta)
		}
	}
}

// The status is compared in the commit, like the version.
func TestAStoreThatStopsBeingReadyMeanwhileTakesNoWrites(t *testing.T) {
	for name, size := range map[string]int{"a record": 1, "a reset": 100 << 10} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, g := gatedDriver()
				j, other := open(t, d, journal.Options{}), open(t, d, journal.Options{})
				id := newStore(t, j)
				before := head(t, j, id)
				synctest.Wait()
				g.hold("Commit")
				written := make(chan error)
				go func() {
					_, err := write(j, id, "a", strings.Repeat("x", size))
					written <- err
				}()
				synctest.Wait() // the record is on its way, or the reset's intent
				g.passNext()
				catalog(t, other, func(tx *journal.Tx) error { return tx.SetStatus(id, popkv.ImportFailure, "") })
				g.release()
				wantKind(t, <-written, popkv.WrongState)
				if m := head(t, other, id).Meta; m.Version != before.Version || m.Items != 0 {
					t.Fatalf("%+v", m)
				}
			})
		})
	}
}

func TestARestartFindsEverything(t *testing.T) {
	d := newDriver(nil)
	j := open(t, d, journal.Options{})
	id := newStore(t, j)
	for i := range 10 {
		mustWrite(t, j, id, value(i), "x", "same", value(i))
	}
	want := head(t, j, id)
	j.Close()
	got := head(t, open(t, d.Restart(), journal.Options{}), id)
	if diff := cmp.Diff(want.Meta, got.Meta); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff(items(want), items(got)); diff != "" {
		t.Fatal(diff)
	}
}

func TestImportFillsAStoreInOneStep(t *testing.T) {
	d := newDriver(nil)
	j := open(t, d, journal.Options{})
	id := newStoreIn(t, j, popkv.Provisioning)
	before, err := j.Meta(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	snap, err := snapshot.Build(before.DigestKey, []popkv.Item{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}})
	if err != nil {
		t.Fatal(err)
	}
	err = j.Import(context.Background(), id, principal, snap, func(tx *journal.Tx) error {
		tx.Put(journal.ControlKey(id), []byte("second version"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h := head(t, j, id)
	if h.Status != popkv.Ready || h.Version != 1 || !h.LastModified.Equal(h.Created) || h.Meta.Items != 2 {
		t.Fatalf("%+v", h.Meta)
	}
	mustWrite(t, j, id, "c", "3")
	j.Close()
	h = head(t, open(t, d.Restart(), journal.Options{}), id)
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "2", "c": "3"}, items(h)); diff != "" || h.Version != 2 {
		t.Fatal(h.Version, diff)
	}
	wantKind(t, j.Import(t.Context(), id, principal, snap, nil), popkv.WrongState)
}
