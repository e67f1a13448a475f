package journal_test

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/snapshot"
)

// before returns a driver that calls do once, just before the first commit
// that matches, as if another process had been faster. Its own commits match
// nothing.
func before(matches func(journal.Txn) bool, do func(*memjournal.Driver)) *memjournal.Driver {
	var once sync.Once
	var d *memjournal.Driver
	d = newDriver(func(c memjournal.Call) memjournal.Fault {
		if c.Method == "Commit" && len(c.Txn.Guards) > 0 && matches(c.Txn) {
			once.Do(func() { do(d) })
		}
		return memjournal.NoFault
	})
	return d
}

// changes reports whether a transaction has an op of a kind on a kind of key.
func changes(t journal.Txn, kind journal.OpKind, prefix string) bool {
	for _, op := range t.Ops {
		if op.Kind == kind && strings.HasPrefix(op.Key, prefix) {
			return true
		}
	}
	return false
}

// anyWith returns a key that begins with prefix, or "".
func anyWith(all map[string][]byte, prefix string) string {
	for key := range all {
		if strings.HasPrefix(key, prefix) {
			return key
		}
	}
	return ""
}

// names reports whether a transaction makes meta name a generation.
func names(t journal.Txn) bool {
	return changes(t, journal.Put, "m/") && changes(t, journal.Delete, "i/")
}

// An intent that vanishes at the last moment takes the generation with it: the
// sweeper may have seen that it is gone.
func TestAFoldWithoutItsIntentFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := ""
		d := before(names, func(d *memjournal.Driver) {
			lost = anyWith(stored(t, d), "i/")
			overwrite(t, d, lost, nil)
		})
		j := open(t, d, journal.Options{})
		id := newStore(t, j)
		fill(t, j, id, "key", 6, 50<<10)
		time.Sleep(time.Minute) // of the bubble's clock: it is tried again
		h := head(t, j, id)
		if lost == "" || len(h.Generations) != 2 || strings.HasSuffix(lost, popkv.StoreID(h.Generations[1].ID).String()) {
			t.Fatalf("without the intent %q: %+v", lost, h.Generations)
		}
		if r := verified(t, d); r.Garbage != 0 {
			t.Fatalf("%+v", r)
		}
	})
}

func TestAnImportWithoutItsIntentFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := before(names, func(d *memjournal.Driver) { overwrite(t, d, anyWith(stored(t, d), "i/"), nil) })
		j := open(t, d, journal.Options{})
		id := newStoreIn(t, j, popkv.Provisioning)
		items := build(t, head(t, j, id).Meta, "a", "1")
		wantKind(t, j.Import(t.Context(), id, principal, items, nil), popkv.Unavailable)
		if h := head(t, j, id); h.Status != popkv.Provisioning {
			t.Fatalf("%+v", h.Meta)
		}
		if err := j.Import(t.Context(), id, principal, items, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if r := verified(t, d); r.Garbage != 0 || r.Items != 1 {
			t.Fatalf("%+v", r)
		}
	})
}

// A process whose gate has moved neither begins a generation nor deletes
// anything.
func TestAMovedGateFencesTheSweeperAndDrafts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		move := func(d *memjournal.Driver) { overwrite(t, d, "!gate", binary.BigEndian.AppendUint32(nil, 7)) }

		d := before(func(t journal.Txn) bool { return changes(t, journal.Delete, "l/") }, move)
		j := open(t, d, journal.Options{})
		id := newStore(t, j)
		mustWrite(t, j, id, "a", "1")
		drop(t, j, id)
		time.Sleep(time.Minute)
		if anyWith(stored(t, d), "l/") == "" || j.Stats().Swept != 0 {
			t.Errorf("the log was swept: %+v", j.Stats())
		}

		d = before(func(t journal.Txn) bool { return changes(t, journal.Put, "i/") }, move)
		j = open(t, d, journal.Options{})
		id = newStore(t, j)
		_, err := write(j, id, "big", strings.Repeat("x", 100<<10))
		wantKind(t, err, popkv.Internal)
		for _, prefix := range []string{"i/", "c/", "l/"} {
			if key := anyWith(stored(t, d), prefix); key != "" {
				t.Errorf("%q was written", key)
			}
		}
	})
}

// At most four stores are loaded at once, however many are wanted.
func TestLoadsAtOnceAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, gate := gatedDriver()
		j := open(t, d, journal.Options{})
		var ids []popkv.StoreID
		for range 10 {
			ids = append(ids, newStore(t, j))
		}
		j.Close()
		j = open(t, d, journal.Options{})
		synctest.Wait()
		gate.hold("View.Get")
		before := gate.count("View.Get")
		var wg sync.WaitGroup
		for _, id := range ids {
			wg.Go(func() { head(t, j, id) })
		}
		synctest.Wait()
		if n := gate.count("View.Get") - before; n != 4 {
			t.Errorf("%d loads at once", n)
		}
		gate.release()
		wg.Wait()
	})
}

// A store in doubt stays in memory, whatever else is wanted there: what is in
// doubt would be forgotten with it.
func TestAStoreInDoubtIsNotEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, gate := gatedDriver()
		j := open(t, d, journal.Options{MemoryBudgetBytes: 100 << 10})
		id, others := newStore(t, j), []popkv.StoreID{newStore(t, j), newStore(t, j), newStore(t, j)}
		for _, id := range others {
			mustWrite(t, j, id, "big", strings.Repeat("x", 30<<10))
		}
		mustWrite(t, j, id, "a", "0")
		gate.all("Commit", memjournal.UnknownLater)
		_, err := write(j, id, "a", "1")
		wantKind(t, err, popkv.Unavailable)
		evicted := j.Stats().Evictions
		for range 5 {
			for _, id := range others {
				head(t, j, id)
			}
		}
		if j.Stats().Evictions == evicted {
			t.Fatal("the budget is too large")
		}
		gate.all("Commit", memjournal.NoFault)
		if h := mustWrite(t, j, id, "b", "1"); h.Version != 4 || items(h)["a"] != "1" {
			t.Fatalf("version %d, %v", h.Version, items(h))
		}
		if s := j.Stats(); s.InDoubt != 0 {
			t.Fatalf("%+v", s)
		}
	})
}

// Who joins a load after a deletion was answered does not get what the load
// had read before it.
func TestWhoJoinsALoadAfterADeletionLearnsOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, gate := gatedDriver()
		j := open(t, d, journal.Options{})
		id := newStore(t, j)
		mustWrite(t, j, id, "a", "1")
		j.Close()
		j = open(t, d, journal.Options{})
		synctest.Wait()
		gate.hold("View.Scan") // of the log tail
		first := make(chan error)
		go func() { _, err := j.Head(t.Context(), id); first <- err }()
		synctest.Wait()
		drop(t, j, id)
		joined := make(chan error)
		go func() { _, err := j.Head(t.Context(), id); joined <- err }()
		synctest.Wait()
		gate.release()
		if err := <-first; err != nil {
			t.Fatal(err) // it began before the deletion
		}
		wantKind(t, <-joined, popkv.WrongState)
	})
}

// A client that hangs up while its write is on the way does not end the write.
func TestAClientThatHangsUpDoesNotEndItsWrite(t *testing.T) {
	j := open(t, newDriver(nil), journal.Options{})
	id := newStore(t, j)
	ctx, cancel := context.WithCancelCause(t.Context())
	h, err := j.Update(ctx, id, principal, func(*journal.Head) (snapshot.Change, error) {
		cancel(errors.New("gone"))
		return snapshot.Change{Puts: []popkv.Item{{Key: "a", Value: "1"}}}, nil
	})
	if err != nil || h.Version != 2 {
		t.Fatal(h, err)
	}
}
