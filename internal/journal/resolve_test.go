package journal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/snapshot"
)

// unknowns are the ways in which an answer gets lost.
var unknowns = map[string]memjournal.Fault{
	"lost":    memjournal.UnknownLost,
	"applied": memjournal.UnknownApplied,
	"later":   memjournal.UnknownLater,
}

func TestALostAnswerOfAWriteIsResolved(t *testing.T) {
	for name, fault := range unknowns {
		for n := 1; n <= 3; n++ {
			t.Run(fmt.Sprintf("%s %d times", name, n), func(t *testing.T) {
				d, gate := gatedDriver()
				j := open(t, d, journal.Options{})
				id := newStore(t, j)
				mustWrite(t, j, id, "a", "0")
				faults := make([]memjournal.Fault, n)
				for i := range faults {
					faults[i] = fault
				}
				gate.next("Commit", faults...)
				if h := mustWrite(t, j, id, "a", "1"); h.Version != 3 {
					t.Fatalf("version %d", h.Version)
				}
				d.Land()
				if h := mustWrite(t, j, id, "a", "2"); h.Version != 4 {
					t.Fatalf("version %d", h.Version)
				}
				d.Land()
				if r := verified(t, d); r.Records != 3 {
					t.Fatalf("%+v", r)
				}
				if s := j.Stats(); s.Resolved != 1 || s.InDoubt != 0 {
					t.Fatalf("%+v", s)
				}
			})
		}
	}
}

func TestWhileInDoubtAStoreTakesNoWrites(t *testing.T) {
	for name, fault := range unknowns {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, gate := gatedDriver()
				j := open(t, d, journal.Options{})
				id, other := newStore(t, j), newStore(t, j)
				mustWrite(t, j, id, "a", "0")
				gate.all("Commit", fault)
				for range 3 {
					_, err := write(j, id, "a", "1")
					wantKind(t, err, popkv.Unavailable)
					if !strings.Contains(popkv.Message(err), "unknown") {
						t.Fatal(err)
					}
				}
				if s := j.Stats(); s.InDoubt != 1 {
					t.Fatalf("%+v", s)
				}
				if got := items(head(t, j, id)); got["a"] != "0" {
					t.Fatalf("a read while in doubt: %v", got)
				}
				gate.all("Commit", memjournal.NoFault)
				mustWrite(t, j, other, "a", "1")
				// The write in doubt comes first, whatever became of it; then ours.
				h := mustWrite(t, j, id, "b", "1")
				d.Land()
				want := map[string]string{"a": "1", "b": "1"}
				if diff := cmp.Diff(want, items(h)); diff != "" || h.Version != 4 {
					t.Fatal(h.Version, diff)
				}
				if s := j.Stats(); s.InDoubt != 0 {
					t.Fatalf("%+v", s)
				}
				verified(t, d)
			})
		})
	}
}

// Without another write, housekeeping learns what became of one.
func TestADoubtDoesNotLastOnceTheDriverAnswers(t *testing.T) {
	for name, fault := range unknowns {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, gate := gatedDriver()
				j := open(t, d, journal.Options{})
				id, other := newStore(t, j), newStore(t, j)
				gate.all("Commit", fault)
				_, err := write(j, id, "a", "1")
				wantKind(t, err, popkv.Unavailable)
				wantKind(t, j.Catalog(t.Context(), func(tx *journal.Tx) error { return tx.DropStore(other) }), popkv.Unavailable)
				if s := j.Stats(); s.InDoubt != 2 {
					t.Fatalf("%+v", s)
				}
				gate.all("Commit", memjournal.NoFault)
				time.Sleep(time.Minute) // of the bubble's clock
				if s := j.Stats(); s.InDoubt != 0 {
					t.Fatalf("%+v", s)
				}
				if h := head(t, j, id); h.Version != 2 {
					t.Fatalf("version %d", h.Version)
				}
				_, err = j.Head(t.Context(), other)
				wantKind(t, err, popkv.WrongState)
			})
		})
	}
}

func TestAWriteInDoubtIsDecidedByARestart(t *testing.T) {
	for name, fault := range unknowns {
		t.Run(name, func(t *testing.T) {
			d, gate := gatedDriver()
			j := open(t, d, journal.Options{})
			id := newStore(t, j)
			gate.all("Commit", fault)
			_, err := write(j, id, "a", "1")
			wantKind(t, err, popkv.Unavailable)
			gate.all("Commit", memjournal.NoFault)
			d = d.Restart()
			j = open(t, d, journal.Options{})
			want := uint64(1)
			if fault == memjournal.UnknownApplied {
				want = 2
			}
			if h := head(t, j, id); h.Version != want {
				t.Fatalf("version %d, want %d", h.Version, want)
			}
			mustWrite(t, j, id, "b", "1")
			verified(t, d)
		})
	}
}

func TestARefusedWriteChangesNothingAndSaysSo(t *testing.T) {
	d, gate := gatedDriver()
	j := open(t, d, journal.Options{})
	id := newStore(t, j)
	gate.next("Commit", memjournal.Refused)
	_, err := write(j, id, "a", "1")
	wantKind(t, err, popkv.Unavailable)
	if !strings.Contains(popkv.Message(err), "nothing was changed") {
		t.Fatal(err)
	}
	if h := mustWrite(t, j, id, "a", "1"); h.Version != 2 {
		t.Fatalf("version %d", h.Version)
	}
}

func TestAFailedDriverLeavesResidentStoresReadable(t *testing.T) {
	for _, fault := range []memjournal.Fault{memjournal.FailedLost, memjournal.FailedApplied} {
		d, gate := gatedDriver()
		j := open(t, d, journal.Options{})
		id, cold := newStore(t, j), newStore(t, j)
		mustWrite(t, j, id, "a", "0")
		gate.next("Commit", fault)
		for range 2 {
			_, err := write(j, id, "a", "1")
			wantKind(t, err, popkv.Unavailable)
			if !errors.Is(err, journal.ErrFailed) || !strings.Contains(popkv.Message(err), "failed") {
				t.Fatal(err)
			}
		}
		if j.State().Mode != journal.Failed {
			t.Fatal(j.State())
		}
		if got := items(head(t, j, id)); got["a"] != "0" {
			t.Fatal(got)
		}
		_, err := j.Head(t.Context(), cold)
		wantKind(t, err, popkv.Unavailable)
		wantKind(t, j.Catalog(t.Context(), func(tx *journal.Tx) error {
			tx.Put("q/1", nil)
			return nil
		}), popkv.Unavailable)
	}
}

func TestALostAnswerOfACatalogChangeIsResolved(t *testing.T) {
	for name, fault := range unknowns {
		for what, change := range map[string]func(tx *journal.Tx){
			"put a new record":    func(tx *journal.Tx) { tx.Put("q/new", []byte("1")) },
			"replace a record":    func(tx *journal.Tx) { tx.Put("q/old", []byte("1")) },
			"delete a record":     func(tx *journal.Tx) { tx.Delete("q/old") },
			"read, put, delete":   func(tx *journal.Tx) { tx.Get("q/x"); tx.Put("q/new", []byte("1")); tx.Delete("q/old") },
			"delete and put back": func(tx *journal.Tx) { tx.Delete("q/old"); tx.Put("q/old", []byte("1")) },
		} {
			t.Run(what+" "+name, func(t *testing.T) {
				d, gate := gatedDriver()
				j := open(t, d, journal.Options{})
				put := func(tx *journal.Tx) error { tx.Put("q/old", []byte("0")); return nil }
				if err := j.Catalog(t.Context(), put); err != nil {
					t.Fatal(err)
				}
				gate.next("Commit", fault, fault)
				runs := 0
				if err := j.Catalog(t.Context(), func(tx *journal.Tx) error { runs++; change(tx); return nil }); err != nil {
					t.Fatal(err)
				}
				if runs != 1 {
					t.Errorf("the function ran %d times for one commit", runs)
				}
				after := stored(t, d)
				d.Land()
				if diff := cmp.Diff(after, stored(t, d)); diff != "" {
					t.Fatal("it landed twice", diff)
				}
			})
		}
	}
}

func TestWhileInDoubtTheCatalogTakesNoChanges(t *testing.T) {
	for name, fault := range unknowns {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, gate := gatedDriver()
				j := open(t, d, journal.Options{})
				id := newStore(t, j)
				mustWrite(t, j, id, "a", "1")
				deletion := func(tx *journal.Tx) error { return tx.DropStore(id) }
				gate.all("Commit", fault)
				wantKind(t, j.Catalog(t.Context(), deletion), popkv.Unavailable)
				other := func(tx *journal.Tx) error { tx.Put("q/1", []byte("1")); return nil }
				wantKind(t, j.Catalog(t.Context(), other), popkv.Unavailable)
				if s := j.Stats(); s.InDoubt != 1 {
					t.Fatalf("%+v", s)
				}
				gate.all("Commit", memjournal.NoFault)
				if err := j.Catalog(t.Context(), other); err != nil {
					t.Fatal(err)
				}
				// The deletion came first.
				_, err := j.Head(t.Context(), id)
				wantKind(t, err, popkv.WrongState)
				if s := j.Stats(); s.InDoubt != 0 {
					t.Fatalf("%+v", s)
				}
				d.Land()
				_, err = write(j, id, "a", "2")
				wantKind(t, err, popkv.WrongState)
			})
		})
	}
}

func TestLostAnswersOfBulkWritesAreResolved(t *testing.T) {
	big := strings.Repeat("x", 300<<10)
	for name, fault := range unknowns {
		for _, method := range []string{"Commit", "Stage"} {
			// One fault at each call that the bulk write makes.
			for n := range 4 {
				t.Run(fmt.Sprintf("%s of %s %d", name, method, n), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						d, gate := gatedDriver()
						j := open(t, d, journal.Options{})
						id := newStore(t, j)
						imported := newStoreIn(t, j, popkv.Provisioning)
						m, err := j.Meta(t.Context(), imported)
						if err != nil {
							t.Fatal(err)
						}
						snap, err := snapshot.Build(m.DigestKey, []popkv.Item{{Key: "a", Value: big}})
						if err != nil {
							t.Fatal(err)
						}
						faults := make([]memjournal.Fault, n+1)
						faults[n] = fault
						gate.next(method, faults...)
						if h := mustWrite(t, j, id, "a", big); h.Version != 2 {
							t.Fatalf("version %d", h.Version)
						}
						gate.next(method, faults...)
						if err := j.Import(context.Background(), imported, principal, snap, nil); err != nil {
							t.Fatal(err)
						}
						d.Land()
						synctest.Wait()
						for _, id := range []popkv.StoreID{id, imported} {
							if got, _ := head(t, j, id).Items.Get("a"); got != big {
								t.Fatal("the content is not there")
							}
						}
						if r := verified(t, d); r.Garbage != 0 || r.Records != 2 {
							t.Fatalf("%+v", r)
						}
					})
				})
			}
		}
	}
}
