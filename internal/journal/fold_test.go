package journal_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/snapshot"
)

func count(all map[string][]byte, prefix string) (n int) {
	for key := range all {
		if strings.HasPrefix(key, prefix) {
			n++
		}
	}
	return n
}

func TestAFoldKeepsContentAndHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(nil)
		j := open(t, d, journal.Options{})
		id := newStore(t, j)
		fill(t, j, id, "key", 600, 1000) // twice the log that asks for a fold
		synctest.Wait()
		if s := j.Stats(); s.Folds == 0 {
			t.Fatalf("%+v", s)
		}
		want := head(t, j, id)
		if want.LogBytes > 256<<10 || len(want.Generations) < 2 {
			t.Fatalf("after a fold: %+v", want.Meta)
		}
		r := verified(t, d)
		if r.Records != 600 || r.Garbage != 0 {
			t.Fatalf("%+v", r)
		}
		j.Close()
		got := head(t, open(t, d.Restart(), journal.Options{}), id)
		if diff := cmp.Diff(items(want), items(got)); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(want.Meta, got.Meta); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestHistoryIsTrimmedByVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const versions = 100
		d := newDriver(nil)
		j := open(t, d, journal.Options{HistoryVersions: versions})
		id := newStore(t, j)
		for range 8 {
			fill(t, j, id, "key", 300, 1000)
			synctest.Wait()
		}
		h := head(t, j, id)
		kept := h.Version - h.Generations[0].Version
		if kept < versions || kept > 4*300 {
			t.Fatalf("history of %d versions, want %d or a little more", kept, versions)
		}
		r := verified(t, d)
		if r.Garbage != 0 || uint64(r.Records) > kept+1 {
			t.Fatalf("%d records for %d versions: %+v", r.Records, kept, r)
		}
		if n := len(h.Generations); n > 3 {
			t.Fatalf("%d generations", n)
		}
	})
}

func TestHistoryIsTrimmedByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(nil)
		j := open(t, d, journal.Options{HistoryAge: time.Hour})
		id := newStore(t, j)
		for range 4 {
			fill(t, j, id, "key", 300, 1000)
			synctest.Wait()
			time.Sleep(40 * time.Minute)
		}
		h := head(t, j, id)
		if age := time.Since(h.Generations[0].Time); age < time.Hour || age > 3*time.Hour {
			t.Fatalf("history reaches back %v", age)
		}
		if r := verified(t, d); r.Garbage != 0 {
			t.Fatalf("%+v", r)
		}
	})
}

// Folds that history does not begin with cost space: only one of them is kept
// on the way, however many there were.
func TestFoldsInBetweenAreNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(nil)
		j := open(t, d, journal.Options{HistoryVersions: 1 << 20})
		id := newStore(t, j)
		for round := range 6 {
			fill(t, j, id, string(rune('a'+round)), 300, 1000+500*round)
			synctest.Wait()
		}
		if h := head(t, j, id); j.Stats().Folds < 5 || len(h.Generations) != 3 {
			t.Fatalf("%d folds, %d generations", j.Stats().Folds, len(h.Generations))
		}
		if r := verified(t, d); r.Records != 1800 || r.Garbage != 0 {
			t.Fatalf("%+v", r)
		}
	})
}

// However little history is wanted, the newest record stays: it is the evidence
// of a write whose answer was lost.
func TestTheNewestRecordIsNeverTrimmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(nil)
		j := open(t, d, journal.Options{HistoryVersions: 1, HistoryAge: time.Nanosecond})
		id := newStore(t, j)
		for range 3 {
			fill(t, j, id, "key", 300, 1000)
			time.Sleep(time.Hour)
			synctest.Wait()
			newest := mustWrite(t, j, id, "big", strings.Repeat(time.Now().String(), 5000)) // a reset, and a sweep
			time.Sleep(time.Hour)
			synctest.Wait()
			records, found := 0, false
			for key := range stored(t, d) {
				if strings.HasPrefix(key, "l/"+id.String()) {
					records++
					found = found || binary.BigEndian.Uint64([]byte(key[len(key)-8:])) == newest.Version
				}
			}
			if !found || records > 300 || j.Stats().Folds == 0 {
				t.Fatalf("the newest is there: %v, of %d records, %+v", found, records, j.Stats())
			}
		}
	})
}

func TestABigChangeIsAReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(nil)
		j := open(t, d, journal.Options{})
		id := newStore(t, j)
		mustWrite(t, j, id, "small", "1")
		var pairs []string
		for i := range 50 {
			pairs = append(pairs, value(i), strings.Repeat("x", 1500))
		}
		h := mustWrite(t, j, id, pairs...)
		if h.Version != 3 || h.Meta.Items != 51 || h.LastModified.Before(h.Created) {
			t.Fatalf("%+v", h.Meta)
		}
		if s := j.Stats(); s.Resets != 1 {
			t.Fatalf("%+v", s)
		}
		mustWrite(t, j, id, "small", "2")
		for key, value := range stored(t, d) {
			if strings.HasPrefix(key, "l/") && len(value) > 64<<10 {
				t.Fatalf("a record of %d bytes", len(value))
			}
		}
		synctest.Wait()
		if all := stored(t, d); count(all, "i/") != 0 {
			t.Fatal("an intent is left")
		}
		verified(t, d)
		want := items(head(t, j, id))
		j.Close()
		if diff := cmp.Diff(want, items(head(t, open(t, d.Restart(), journal.Options{}), id))); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestManyResetsShortenHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(nil)
		j := open(t, d, journal.Options{})
		id := newStore(t, j)
		for i := range 20 {
			mustWrite(t, j, id, "a", strings.Repeat(string(rune('a'+i)), 70<<10))
			mustWrite(t, j, id, "b", value(i))
		}
		synctest.Wait()
		if n := len(head(t, j, id).Generations); n != 8 {
			t.Fatalf("%d generations", n)
		}
		if r := verified(t, d); r.Garbage != 0 {
			t.Fatalf("%+v", r)
		}
	})
}

func TestADroppedStoreIsSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(nil)
		j := open(t, d, journal.Options{})
		kept, gone := newStore(t, j), newStore(t, j)
		for _, id := range []popkv.StoreID{kept, gone} {
			fill(t, j, id, "key", 300, 1000)
		}
		synctest.Wait()
		drop(t, j, gone)
		synctest.Wait()
		all := stored(t, d)
		for _, prefix := range []string{"m/", "l/", "c/", "k/", "i/"} {
			if n := count(all, prefix+gone.String()); n != 0 {
				t.Errorf("%d keys of kind %s are left", n, prefix)
			}
		}
		if count(all, "t/"+gone.String()) != 1 || count(all, "l/"+kept.String()) != 300 {
			t.Error("the tombstone or another store's records are gone")
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if count(stored(t, d), "t/") != 0 {
			t.Error("the tombstone is still there")
		}
		verified(t, d)
	})
}

func TestWhatACrashLeftIsSweptAfterTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(nil)
		j := open(t, d, journal.Options{})
		id := newStore(t, j)
		fill(t, j, id, "key", 10, 100)
		j.Close()
		gone := popkv.NewStoreID()
		for _, key := range []string{
			"c/" + id.String() + "/" + gone.String() + "/\x00\x00\x00\x00",
			"c/" + gone.String() + "/" + gone.String() + "/\x00\x00\x00\x00",
			"l/" + gone.String() + "/\x00\x00\x00\x00\x00\x00\x00\x02",
		} {
			overwrite(t, d, key, []byte("left behind"))
		}
		if r := verified(t, d); r.Garbage != 3 {
			t.Fatalf("%+v", r)
		}
		d = d.Restart()
		open(t, d, journal.Options{})
		synctest.Wait()
		if r := verified(t, d); r.Garbage != 0 || r.Records != 10 {
			t.Fatalf("%+v", r)
		}
	})
}

// One damaged store must not keep garbage of all others for ever.
func TestADamagedStoreDoesNotStopTheSweepOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(nil)
		j := open(t, d, journal.Options{})
		ids := []popkv.StoreID{newStore(t, j), newStore(t, j), newStore(t, j)}
		slices.SortFunc(ids, func(a, b popkv.StoreID) int { return strings.Compare(a.String(), b.String()) })
		for _, id := range ids {
			mustWrite(t, j, id, "a", "1")
		}
		synctest.Wait()
		j.Close()
		drop(t, j, ids[2]) // nobody sweeps
		key := "m/" + ids[0].String()
		overwrite(t, d, key, flip(stored(t, d)[key], 30))
		damaged := "t/" + ids[1].String() // before the other tombstone
		overwrite(t, d, damaged, flip(stored(t, d)["t/"+ids[2].String()], 18))
		j = open(t, d, journal.Options{})
		time.Sleep(25 * time.Hour) // of the bubble's clock
		if key := anyWith(stored(t, d), "t/"+ids[2].String()); key != "" {
			t.Errorf("%q is still there", key)
		}
		if key := anyWith(stored(t, d), "l/"+ids[2].String()); key != "" {
			t.Fatalf("%q is still there", key)
		}
		if anyWith(stored(t, d), "l/"+ids[0].String()) == "" {
			t.Fatal("the damaged store lost its log")
		}
	})
}

func TestAFoldThatAResetOvertakesIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, gate := gatedDriver()
		j := open(t, d, journal.Options{})
		id := newStore(t, j)
		gate.hold("Stage") // of the fold
		fill(t, j, id, "key", 300, 1000)
		synctest.Wait()
		gate.passNext() // of the reset: the fold's waits on
		big := strings.Repeat("x", 70<<10)
		mustWrite(t, j, id, "big", big)
		gate.release()
		synctest.Wait()
		h := head(t, j, id)
		if got, _ := h.Items.Get("big"); got != big || h.Version != 302 {
			t.Fatalf("version %d", h.Version)
		}
		if r := verified(t, d); r.Garbage != 0 {
			t.Fatalf("%+v", r)
		}
	})
}

func TestRecordTimesNeverRunBackwards(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	j := open(t, newDriver(nil), journal.Options{Now: func() time.Time { return now }})
	id := newStore(t, j)
	now = now.Add(-time.Hour)
	if h := mustWrite(t, j, id, "a", "1"); h.LastModified.Before(h.Created) {
		t.Fatalf("%+v", h.Meta)
	}
	now = now.Add(2 * time.Hour)
	h := mustWrite(t, j, id, "a", "2")
	if !h.LastModified.Equal(now) {
		t.Fatalf("%+v", h.Meta)
	}
	if _, err := j.Update(t.Context(), id, principal, func(*journal.Head) (snapshot.Change, error) {
		now = now.Add(time.Hour)
		return snapshot.Change{Deletes: []string{"never"}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if again := head(t, j, id); again.LastModified != h.LastModified {
		t.Fatal("a write without effect changed LastModified")
	}
}
