package journal_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/snapshot"
)

// A script is what a process does before it crashes. Each step notes what it
// was told; a nil error was an acknowledgement.
type script struct {
	j        *journal.Journal
	id       popkv.StoreID
	imported popkv.StoreID
	dropped  popkv.StoreID
	states   []map[string]string // of id: states[i] after i steps
	acked    int                 // steps of id that were acknowledged
	importOK bool
	dropOK   bool
}

const (
	scriptSteps  = 12
	scriptImport = 3 << 16
)

func (s *script) run() {
	ctx := context.Background()
	err := s.j.Catalog(ctx, func(tx *journal.Tx) error {
		s.id = s.j.NewStore(tx, account, popkv.Ready)
		s.imported = s.j.NewStore(tx, account, popkv.Provisioning)
		s.dropped = s.j.NewStore(tx, account, popkv.Ready)
		for _, id := range []popkv.StoreID{s.id, s.imported, s.dropped} {
			tx.Put(journal.ControlKey(id), []byte("control"))
		}
		return nil
	})
	if err != nil {
		return
	}
	s.states = []map[string]string{{}}
	for i := range scriptSteps {
		now := map[string]string{}
		for k, v := range s.states[i] {
			now[k] = v
		}
		key, val := fmt.Sprint("key", i%3), value(i)
		switch {
		case i == 3:
			val = strings.Repeat("x", 130<<10) // a reset
		case i > 4:
			val = strings.Repeat(string(rune('a'+i)), 60<<10) // in the end, a fold
		}
		now[key] = val
		s.states = append(s.states, now)
		if _, err := write(s.j, s.id, key, val); err != nil {
			return
		}
		s.acked++
	}
	m, err := s.j.Meta(ctx, s.imported)
	if err != nil {
		return
	}
	snap, err := snapshot.Build(m.DigestKey, []popkv.Item{{Key: "a", Value: strings.Repeat("y", scriptImport)}})
	if err != nil {
		return
	}
	s.importOK = s.j.Import(ctx, s.imported, principal, snap, func(tx *journal.Tx) error {
		tx.Put(journal.ControlKey(s.imported), []byte("ready"))
		return nil
	}) == nil
	s.dropOK = s.j.Catalog(ctx, func(tx *journal.Tx) error {
		tx.Delete(journal.ControlKey(s.dropped))
		return tx.DropStore(s.dropped)
	}) == nil
}

// check compares what the next process finds with what the last one was told.
func (s *script) check(t *testing.T, d *memjournal.Driver, j *journal.Journal) {
	ctx := context.Background()
	if s.states == nil {
		return
	}
	h := head(t, j, s.id)
	steps := int(h.Version) - 1
	if steps != s.acked && steps != s.acked+1 {
		t.Fatalf("%d steps are there, %d were acknowledged", steps, s.acked)
	}
	if diff := cmp.Diff(s.states[steps], items(h)); diff != "" {
		t.Fatal(diff)
	}
	h = head(t, j, s.imported)
	control := stored(t, d)[journal.ControlKey(s.imported)]
	switch {
	case h.Status == popkv.Ready:
		if got, _ := h.Items.Get("a"); len(got) != scriptImport || !strings.Contains(string(control), "ready") {
			t.Fatal("half an import")
		}
	case s.importOK || h.Items.Len() != 0 || strings.Contains(string(control), "ready"):
		t.Fatalf("acknowledged import %v: %+v", s.importOK, h.Meta)
	}
	if _, err := j.Head(ctx, s.dropped); (err == nil) == s.dropOK && s.dropOK {
		t.Fatal("a deleted store is back")
	}
	mustWrite(t, j, s.id, "after", "1")
}

// atCall returns a fault for the n-th call that writes.
func atCall(calls *atomic.Int64, n int64, fault memjournal.Fault) func(memjournal.Call) memjournal.Fault {
	return func(c memjournal.Call) memjournal.Fault {
		if (c.Method == "Commit" || c.Method == "Stage") && calls.Add(1) == n {
			return fault
		}
		return memjournal.NoFault
	}
}

// The n-th call fails, for every n: persisted and not persisted, and nothing
// works after it. A new process on what is left finds all that was
// acknowledged, and of the rest each change whole or not at all.
func TestACrashAtAnyCallLosesNothingAcknowledged(t *testing.T) {
	for _, fault := range []memjournal.Fault{memjournal.FailedLost, memjournal.FailedApplied} {
		for n := int64(1); ; n++ {
			finished := false
			t.Run(fmt.Sprintf("fault %d at call %d", fault, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var calls atomic.Int64
					d := newDriver(atCall(&calls, n, fault))
					s := script{}
					var err error
					if s.j, err = journal.Open(context.Background(), d, journal.Options{}); err == nil {
						s.run()
						synctest.Wait()
						s.j.Close()
					}
					finished = calls.Load() < n
					calls.Store(n) // no more faults
					d = d.Restart()
					j := open(t, d, journal.Options{})
					s.check(t, d, j)
					time.Sleep(time.Minute) // of the bubble's clock: for housekeeping
					if r := verified(t, d); r.Garbage != 0 {
						t.Fatalf("%+v", r)
					}
				})
			})
			if finished || t.Failed() {
				if n < 10 {
					t.Fatalf("the script ended after %d calls", n)
				}
				break
			}
		}
	}
}

// Each single call loses its answer, and the process goes on.
func TestALostAnswerAtAnyCallIsNoticedByNobody(t *testing.T) {
	for name, fault := range unknowns {
		for n := int64(1); ; n++ {
			finished := false
			t.Run(fmt.Sprintf("%s at call %d", name, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var calls atomic.Int64
					d := newDriver(atCall(&calls, n, fault))
					s := script{j: open(t, d, journal.Options{})}
					s.run()
					if s.acked != scriptSteps || !s.importOK || !s.dropOK {
						t.Fatalf("%+v", s)
					}
					d.Land()
					s.check(t, d, s.j)
					time.Sleep(time.Minute) // of the bubble's clock: for housekeeping
					finished = calls.Load() < n
					if r := verified(t, d); r.Garbage != 0 {
						t.Fatalf("%+v", r)
					}
					if st := s.j.Stats(); st.Folds == 0 || st.Resets != 1 {
						t.Fatalf("%+v", st)
					}
				})
			})
			if finished || t.Failed() {
				break
			}
		}
	}
}
