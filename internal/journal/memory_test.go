package journal_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
)

func TestOneLoadServesAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, gate := gatedDriver()
		j := open(t, d, journal.Options{})
		id := newStore(t, j)
		synctest.Wait()
		gate.hold("View.Get")
		heads := make([]*journal.Head, 20)
		var wg sync.WaitGroup
		for i := range heads {
			wg.Go(func() { heads[i], _ = j.Head(context.Background(), id) })
		}
		synctest.Wait()
		gate.release()
		wg.Wait()
		for _, h := range heads {
			if h == nil || h != heads[0] {
				t.Fatal("not all got the head of one load")
			}
		}
		if s := j.Stats(); s.Loads != 1 {
			t.Fatalf("%+v", s)
		}
	})
}

func TestReadersAndWritersShareATinyBudget(t *testing.T) {
	const stores, rounds = 8, 30
	d := newDriver(nil)
	j := open(t, d, journal.Options{MemoryBudgetBytes: 100 << 10, LoadWait: time.Minute})
	ids := make([]popkv.StoreID, stores)
	for i := range ids {
		ids[i] = newStore(t, j)
		mustWrite(t, j, ids[i], "big", strings.Repeat("x", 20<<10))
	}
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			for n := range rounds {
				if _, err := write(j, ids[i], "n", fmt.Sprint(n)); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			seen := uint64(0)
			for n := range rounds {
				h, err := j.Head(context.Background(), ids[(i+n)%stores])
				if err != nil {
					t.Error(err)
					return
				}
				if n%stores == 0 && h.Version < seen {
					t.Errorf("version %d after %d", h.Version, seen)
				}
				if n%stores == 0 {
					seen = h.Version
				}
			}
		})
	}
	wg.Wait()
	s := j.Stats()
	if s.Evictions == 0 || s.Loads == 0 || s.ResidentBytes > 110<<10 {
		t.Fatalf("%+v", s)
	}
	for _, id := range ids {
		if h := head(t, j, id); h.Version != rounds+2 {
			t.Fatalf("version %d", h.Version)
		}
	}
	verified(t, d)
}

func TestAStoreInUseIsNotTheOneEvicted(t *testing.T) {
	d := newDriver(nil)
	j := open(t, d, journal.Options{MemoryBudgetBytes: 100 << 10})
	hot, others := newStore(t, j), []popkv.StoreID{newStore(t, j), newStore(t, j), newStore(t, j)}
	for _, id := range append(others, hot) {
		mustWrite(t, j, id, "big", strings.Repeat("x", 30<<10))
	}
	head(t, j, hot)
	before := j.Stats().Loads
	const rounds = 10
	for range rounds {
		for _, id := range others {
			head(t, j, hot)
			head(t, j, id)
		}
	}
	if loads := j.Stats().Loads - before; loads > rounds*3 {
		t.Fatalf("%d loads of the others in %d rounds", loads, rounds)
	}
}

func TestALoadWaitsForMemoryAndNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, gate := gatedDriver()
		j := open(t, d, journal.Options{MemoryBudgetBytes: 64 << 10})
		busy, cold := newStore(t, j), newStore(t, j)
		mustWrite(t, j, cold, "big", strings.Repeat("x", 30<<10))
		mustWrite(t, j, busy, "big", strings.Repeat("x", 50<<10)) // evicts cold
		if s := j.Stats(); s.Evictions != 1 {
			t.Fatalf("%+v", s)
		}
		gate.hold("Commit")
		var wg sync.WaitGroup
		wg.Go(func() { mustWrite(t, j, busy, "n", "1") }) // pinned meanwhile
		synctest.Wait()
		began := time.Now()
		_, err := j.Head(t.Context(), cold)
		wantKind(t, err, popkv.Unavailable)
		if waited := time.Since(began); waited != 2*time.Second {
			t.Fatalf("waited %v", waited)
		}
		wg.Go(func() { head(t, j, cold) }) // waits, and gets it when the write ends
		synctest.Wait()
		gate.release()
		wg.Wait()
	})
}

func TestAStoreBeyondTheBudgetIsRefusedAndHarmsNoOther(t *testing.T) {
	d := newDriver(nil)
	j := open(t, d, journal.Options{})
	huge, small := newStore(t, j), newStore(t, j)
	mustWrite(t, j, huge, "big", strings.Repeat("x", 60<<10))
	mustWrite(t, j, small, "a", "1")
	j.Close()
	j = open(t, d.Restart(), journal.Options{MemoryBudgetBytes: 40 << 10, LoadWait: time.Millisecond})
	_, err := j.Head(t.Context(), huge)
	wantKind(t, err, popkv.Unavailable)
	if m, err := j.Meta(t.Context(), huge); err != nil || m.Items != 1 {
		t.Fatal(m, err)
	}
	if got := items(head(t, j, small)); got["a"] != "1" {
		t.Fatal(got)
	}
}

func TestAViewThatMovesOnIsTakenAnew(t *testing.T) {
	for _, method := range []string{"View.Get", "View.Scan"} {
		d, gate := gatedDriver()
		j := open(t, d, journal.Options{})
		id := newStore(t, j)
		mustWrite(t, j, id, "a", "1")
		j.Close()
		d = d.Restart()
		j = open(t, d, journal.Options{})
		gate.next(method, memjournal.UnknownLost, memjournal.UnknownLost)
		if got := items(head(t, j, id)); got["a"] != "1" {
			t.Fatal(got)
		}
	}
}

func TestOpenReadsOneRecordWhateverIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, gate := gatedDriver()
		j := open(t, d, journal.Options{})
		for range 20 {
			mustWrite(t, j, newStore(t, j), "a", "1")
		}
		j.Close()
		d = d.Restart()
		gate.hold("View.Scan") // the sweep after the start
		gets := gate.count("View.Get")
		j = open(t, d, journal.Options{})
		if n := gate.count("View.Get") - gets; n != 1 {
			t.Fatalf("Open read %d records", n)
		}
		gate.release()
	})
}
