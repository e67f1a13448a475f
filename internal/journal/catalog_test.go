package journal_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
)

func catalog(t testing.TB, j *journal.Journal, fn func(tx *journal.Tx) error) {
	t.Helper()
	if err := j.Catalog(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func TestATransactionReadsItsOwnChangesAndCommitsThemTogether(t *testing.T) {
	d := newDriver(nil)
	j := open(t, d, journal.Options{})
	catalog(t, j, func(tx *journal.Tx) error {
		tx.Put(journal.CounterKey(account), []byte("1"))
		tx.Put(journal.NameKey(account, "one"), nil) // an empty value is a value
		tx.Put(journal.NameKey(account, "gone"), []byte("x"))
		tx.Delete(journal.NameKey(account, "gone"))
		for key, want := range map[string]bool{"one": true, "gone": false, "never": false} {
			if _, ok, err := tx.Get(journal.NameKey(account, key)); err != nil || ok != want {
				t.Errorf("%s: %v, %v", key, ok, err)
			}
		}
		return nil
	})
	want := map[string]string{"n/" + account + "/one": "", "q/" + account: "1"}
	got := map[string]string{}
	for _, span := range []string{"n/", "q/"} {
		err := j.Scan(t.Context(), span, journal.PrefixEnd(span), 0, func(key string, value []byte) error {
			got[key] = string(value)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestATransactionWithoutChangesCommitsNothing(t *testing.T) {
	d, gate := gatedDriver()
	j := open(t, d, journal.Options{})
	commits := gate.count("Commit")
	catalog(t, j, func(tx *journal.Tx) error {
		for i := range 100 { // more than a commit could guard
			if _, _, err := tx.Get("q/" + strconv.Itoa(i)); err != nil {
				return err
			}
		}
		tx.Delete("q/0")
		return nil
	})
	want := errors.New("no")
	err := j.Catalog(t.Context(), func(tx *journal.Tx) error {
		tx.Put("q/1", nil)
		return want
	})
	if err != want || gate.count("Commit") != commits {
		t.Fatal(err, gate.count("Commit")-commits)
	}
}

func TestMisuseOfATransactionFailsIt(t *testing.T) {
	j := open(t, newDriver(nil), journal.Options{})
	for name, fn := range map[string]func(tx *journal.Tx) error{
		"a key of the journal's own": func(tx *journal.Tx) error { tx.Put("m/x", nil); return nil },
		"a key without a name":       func(tx *journal.Tx) error { tx.Delete("n/"); return nil },
		"a read outside the catalog": func(tx *journal.Tx) error { tx.Get("!gate"); return nil },
		"too many guards": func(tx *journal.Tx) error {
			for i := range 16 {
				tx.Put("q/"+strconv.Itoa(i), nil)
			}
			return nil
		},
		"a scan of everything": func(tx *journal.Tx) error { return tx.Scan("", "", 0, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			wantKind(t, j.Catalog(t.Context(), fn), popkv.Internal)
		})
	}
	catalog(t, j, func(tx *journal.Tx) error {
		for i := range 15 {
			tx.Put("q/"+strconv.Itoa(i), nil)
		}
		return nil
	})
}

func TestConcurrentTransactionsAreSerialised(t *testing.T) {
	const workers, each = 16, 10
	j := open(t, newDriver(nil), journal.Options{})
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				err := j.Catalog(context.Background(), func(tx *journal.Tx) error {
					value, _, err := tx.Get(journal.CounterKey(account))
					n, _ := strconv.Atoi(string(value))
					tx.Put(journal.CounterKey(account), []byte(strconv.Itoa(n+1)))
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	catalog(t, j, func(tx *journal.Tx) error {
		if value, _, _ := tx.Get(journal.CounterKey(account)); string(value) != strconv.Itoa(workers*each) {
			t.Errorf("counted %s", value)
		}
		return nil
	})
}

// A store is associated with a function, or deleted, never both: both compare
// the control record.
func TestAssociatingAndDeletingCannotBothWin(t *testing.T) {
	inUse, noStore := errors.New("in use"), errors.New("no store")
	for round := range 50 {
		d := newDriver(nil)
		j := open(t, d, journal.Options{})
		id := newStore(t, j)
		mustWrite(t, j, id, "a", "1")
		var associated, deleted error
		var wg sync.WaitGroup
		wg.Go(func() {
			associated = j.Catalog(context.Background(), func(tx *journal.Tx) error {
				m, ok, err := tx.Meta(id)
				if err != nil {
					return err
				}
				if _, there, _ := tx.Get(journal.ControlKey(id)); !ok || !there || m.Status != popkv.Ready {
					return noStore
				}
				tx.Put(journal.ControlKey(id), []byte("used by f"))
				tx.Put(journal.FunctionKey(account, "f"), []byte(id.String()))
				return nil
			})
		})
		wg.Go(func() {
			deleted = j.Catalog(context.Background(), func(tx *journal.Tx) error {
				value, _, err := tx.Get(journal.ControlKey(id))
				if err != nil {
					return err
				}
				if string(value) == "used by f" {
					return inUse
				}
				tx.Delete(journal.ControlKey(id))
				return tx.DropStore(id)
			})
		})
		wg.Go(func() { write(j, id, "a", fmt.Sprint(round)) })
		wg.Wait()
		switch {
		case associated == nil && deleted == inUse:
		case associated == noStore && deleted == nil:
		default:
			t.Fatalf("associated: %v, deleted: %v", associated, deleted)
		}
		_, err := j.Head(t.Context(), id)
		if (err == nil) != (associated == nil) {
			t.Fatalf("associated: %v, the store: %v", associated, err)
		}
		verified(t, d)
		j.Close()
	}
}

// A store that is written to without pause must not keep a transaction that
// reads its meta from ever ending.
func TestATransactionEndsBesideABusyStore(t *testing.T) {
	j := open(t, newDriver(nil), journal.Options{})
	id := newStore(t, j)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := write(j, id, "k", fmt.Sprintf("%d/%d", w, n)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 50 {
		catalog(t, j, func(tx *journal.Tx) error {
			m, _, err := tx.Meta(id)
			tx.Put(journal.ControlKey(id), []byte(m.Status))
			return err
		})
	}
	close(stop)
	wg.Wait()
}

func TestAChangeOfStatusDoesNotTouchTheVersion(t *testing.T) {
	d := newDriver(nil)
	j := open(t, d, journal.Options{})
	id := newStoreIn(t, j, popkv.Provisioning)
	before := head(t, j, id)
	catalog(t, j, func(tx *journal.Tx) error {
		return tx.SetStatus(id, popkv.ImportFailure, "Datasource is not valid JSON")
	})
	after := head(t, j, id)
	want := before.Meta
	want.Status, want.FailureReason = popkv.ImportFailure, "Datasource is not valid JSON"
	if diff := cmp.Diff(want, after.Meta); diff != "" {
		t.Fatal(diff)
	}
	drop(t, j, id)
	err := j.Catalog(t.Context(), func(tx *journal.Tx) error { return tx.SetStatus(id, popkv.Ready, "") })
	wantKind(t, err, popkv.WrongState)
	err = j.Catalog(t.Context(), func(tx *journal.Tx) error { return tx.DropStore(id) })
	wantKind(t, err, popkv.WrongState)
}

func TestAnImportIntoAStoreThatIsDeletedMeanwhileLeavesNothing(t *testing.T) {
	runImportAgainst(t, func(j *journal.Journal, id popkv.StoreID) { drop(t, j, id) })
}

func TestAnImportIntoAStoreThatFailedMeanwhileLeavesNothing(t *testing.T) {
	runImportAgainst(t, func(j *journal.Journal, id popkv.StoreID) {
		catalog(t, j, func(tx *journal.Tx) error { return tx.SetStatus(id, popkv.ImportFailure, "cancelled") })
	})
}

func TestTheWrongDigestKeyIsRefused(t *testing.T) {
	j := open(t, newDriver(nil), journal.Options{})
	id := newStoreIn(t, j, popkv.Provisioning)
	m, err := j.Meta(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	m.DigestKey[0]++
	wantKind(t, j.Import(t.Context(), id, principal, build(t, m, "a", "1"), nil), popkv.Internal)
}

// Whenever a transaction that read a store's meta commits, the store is written
// to first, unless its writers are made to wait.
func TestATransactionIsNotStarvedByWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j *journal.Journal
		var id popkv.StoreID
		var wg sync.WaitGroup
		interfere := func(c memjournal.Call) memjournal.Fault {
			if c.Method != "Commit" || j == nil || len(c.Txn.Ops) == 0 || !strings.HasPrefix(c.Txn.Ops[0].Key, "k/") {
				return memjournal.NoFault
			}
			done := make(chan struct{})
			wg.Go(func() {
				defer close(done)
				if _, err := write(j, id, "k", time.Now().String()); err != nil {
					t.Error(err)
				}
			})
			select {
			case <-done:
			case <-time.After(time.Second): // of the bubble's clock: the write must wait
			}
			return memjournal.NoFault
		}
		running := open(t, newDriver(interfere), journal.Options{})
		id = newStore(t, running)
		j = running
		catalog(t, j, func(tx *journal.Tx) error {
			m, _, err := tx.Meta(id)
			tx.Put(journal.ControlKey(id), []byte(m.Status))
			return err
		})
		wg.Wait()
	})
}
