package journal_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
)

// An estate is some of everything that a journal keeps.
type estate struct {
	driver   *memjournal.Driver
	folded   popkv.StoreID // history with folds
	reset    popkv.StoreID // history with resets
	imported popkv.StoreID
	waiting  popkv.StoreID // PROVISIONING
	deleted  popkv.StoreID
}

// newEstate must run in a bubble: it waits for housekeeping.
func newEstate(t testing.TB) estate {
	t.Helper()
	e := estate{driver: newDriver(nil)}
	j, err := journal.Open(context.Background(), e.driver, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	e.folded, e.reset, e.deleted = newStore(t, j), newStore(t, j), newStore(t, j)
	fill(t, j, e.folded, "key", 12, 60<<10)
	synctest.Wait()
	fill(t, j, e.folded, "kex", 3, 100)
	mustWrite(t, j, e.reset, "a", "1")
	mustWrite(t, j, e.reset, "b", strings.Repeat("x", 70<<10))
	mustWrite(t, j, e.reset, "c", "1")
	mustWrite(t, j, e.reset, "b", strings.Repeat("y", 70<<10))
	mustWrite(t, j, e.deleted, "a", "1")
	drop(t, j, e.deleted)
	e.imported, e.waiting = newStoreIn(t, j, popkv.Provisioning), newStoreIn(t, j, popkv.Provisioning)
	if err := j.Import(context.Background(), e.imported, principal, build(t, head(t, j, e.imported).Meta, "a", "1"), nil); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, j, e.imported, "b", "1")
	catalog(t, j, func(tx *journal.Tx) error {
		tx.Put(journal.NameKey(account, "name"), []byte(e.folded.String()))
		tx.Put(journal.ImportJobKey(e.waiting), []byte("job"))
		tx.Put(journal.AccessKeyKey("AKIA"), []byte("secret"))
		tx.Put(journal.PolicyKey(account, "user", "policy"), []byte("{}"))
		tx.Put(journal.FunctionKey(account, "f"), []byte("code"))
		tx.Put(journal.CounterKey(account), []byte("2"))
		return nil
	})
	catalog(t, j, func(tx *journal.Tx) error { tx.Delete(journal.CounterKey(account)); return nil }) // makes !mark
	synctest.Wait()
	return e
}

// some returns a few keys of every kind, always the first and last.
func some(all map[string][]byte) (keys []string) {
	kinds := map[byte][]string{}
	for key := range all {
		kinds[key[0]] = append(kinds[key[0]], key)
	}
	for _, of := range kinds {
		slices.Sort(of)
		for i, key := range of {
			if i == 0 || i == len(of)-1 || i%max(1, len(of)/5) == 0 {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

func findings(t *testing.T, d journal.Driver) []journal.Finding {
	t.Helper()
	r, err := journal.Verify(context.Background(), d, journal.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Findings
}

func TestVerifyCountsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(t)
		r := verified(t, e.driver)
		r.SizeBytes = 0
		want := journal.Report{
			Stores: 4, Records: 15 + 4 + 2, Items: 15 + 3 + 2, CatalogRecords: 4 + 5,
			Generations: r.Generations, Findings: []journal.Finding{},
		}
		if diff := cmp.Diff(want, r); diff != "" || r.Generations < 7 {
			t.Fatal(diff)
		}
	})
}

func TestVerifyFindsEveryFlippedBit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(t)
		all := stored(t, e.driver)
		seed := newSeed(t)
		dice := rand.New(rand.NewPCG(seed, 0))
		for _, key := range some(all) {
			for range 3 {
				flipped := bytes.Clone(all[key])
				bit := dice.IntN(8 * len(flipped))
				flipped[bit/8] ^= 1 << (bit % 8)
				overwrite(t, e.driver, key, flipped)
				found := findings(t, e.driver)
				if len(found) == 0 {
					t.Errorf("seed %d: bit %d of %q was not missed", seed, bit, key)
				}
				if id := e.storeOf(key); id != "" && (len(found) == 0 || found[0].Store != id) {
					t.Errorf("bit %d of %q: %+v does not name the store", bit, key, found)
				}
			}
			overwrite(t, e.driver, key, all[key])
		}
		verified(t, e.driver)
	})
}

func (e *estate) storeOf(key string) string {
	for _, id := range []popkv.StoreID{e.folded, e.reset, e.imported, e.waiting, e.deleted} {
		if strings.HasPrefix(key[1:], "/"+id.String()) {
			return id.String()
		}
	}
	return ""
}

func TestVerifyFindsWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(t)
		all := stored(t, e.driver)
		for _, key := range some(all) {
			if !strings.Contains("mlck", key[:1]) {
				continue // nothing of the journal's refers to it
			}
			overwrite(t, e.driver, key, nil)
			if len(findings(t, e.driver)) == 0 {
				t.Errorf("%q was not missed", key)
			}
			overwrite(t, e.driver, key, all[key])
		}
		verified(t, e.driver)
	})
}

func TestVerifyFindsWhatStrayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(t)
		all := stored(t, e.driver)
		keys := some(all)
		for i, key := range keys[1:] {
			overwrite(t, e.driver, key, all[keys[i]])
			if len(findings(t, e.driver)) == 0 {
				t.Errorf("the value of %q under %q was not noticed", keys[i], key)
			}
			overwrite(t, e.driver, key, all[key])
		}
		for _, key := range []string{"x/unknown", "zz", "l/short", "c/" + e.folded.String() + "/odd", "m/short"} {
			overwrite(t, e.driver, key, []byte("anything"))
			if len(findings(t, e.driver)) == 0 {
				t.Errorf("%q was not noticed", key)
			}
			overwrite(t, e.driver, key, nil)
		}
		verified(t, e.driver)
	})
}

func TestVerifyFindsAMetaThatFellBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(t)
		before := stored(t, e.driver)
		j := open(t, e.driver, journal.Options{})
		mustWrite(t, j, e.folded, "later", "1")
		j.Close()
		key := "m/" + e.folded.String()
		overwrite(t, e.driver, key, before[key])
		found := findings(t, e.driver)
		if len(found) != 1 || !strings.Contains(found[0].Problem, "newer than meta") {
			t.Fatalf("%+v", found)
		}
	})
}

func TestVerifyAsksTheOwnersOfCatalogRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(t)
		asked := 0
		r, err := journal.Verify(t.Context(), e.driver, journal.VerifyOptions{
			Check: func(key string, value []byte, exists func(string) bool) string {
				asked++
				if strings.HasPrefix(key, "n/") && !exists(journal.ControlKey(e.deleted)) {
					return "the name of a store that is gone"
				}
				return ""
			},
		})
		if err != nil || asked != r.CatalogRecords {
			t.Fatal(err, asked)
		}
		want := []journal.Finding{{Record: "n/" + account + "/name", Problem: "the name of a store that is gone"}}
		if diff := cmp.Diff(want, r.Findings); diff != "" {
			t.Fatal(diff)
		}
	})
}

// What is damaged is never served: a store is as it was written, or an error
// that names the record.
func TestDamageIsNeverServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(t)
		all := stored(t, e.driver)
		want := map[popkv.StoreID]map[string]string{}
		j := open(t, e.driver, journal.Options{})
		for _, id := range []popkv.StoreID{e.folded, e.reset, e.imported} {
			want[id] = items(head(t, j, id))
		}
		j.Close()
		served, refused := 0, 0
		for _, key := range some(all) {
			if !strings.Contains("mlc", key[:1]) {
				continue
			}
			for _, bad := range [][]byte{nil, flip(all[key], len(all[key])/2), all[key][:len(all[key])-1]} {
				overwrite(t, e.driver, key, bad)
				j := open(t, e.driver, journal.Options{})
				for id, content := range want {
					h, err := j.Head(t.Context(), id)
					switch {
					case err == nil:
						served++
						if diff := cmp.Diff(content, items(h)); diff != "" {
							t.Errorf("damage in %q was served: %s", key, diff)
						}
					case bad == nil && key == "m/"+id.String():
						wantKind(t, err, popkv.StoreNotFound)
					default:
						refused++
						wantKind(t, err, popkv.Internal)
						if !strings.Contains(err.Error(), "damaged record") || !strings.Contains(err.Error(), id.String()) {
							t.Errorf("the error does not name the record: %v", err)
						}
					}
				}
				j.Close()
				overwrite(t, e.driver, key, all[key])
			}
		}
		if served == 0 || refused == 0 {
			t.Fatalf("%d served, %d refused", served, refused)
		}
	})
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

func TestVerifyWhileServing(t *testing.T) {
	j := open(t, newDriver(nil), journal.Options{HistoryVersions: 10})
	ids := []popkv.StoreID{newStore(t, j), newStore(t, j)}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			write(j, ids[n%2], value(n%20), strings.Repeat(string(rune('a'+n%26)), 20<<10))
		}
	}()
	for range 5 {
		calls := 0
		r, err := j.Verify(t.Context(), journal.VerifyOptions{Progress: func(done, total int) { calls++ }})
		if err != nil || !r.OK() || calls != r.Stores || r.Stores != 2 {
			t.Fatal(err, r, calls)
		}
	}
	close(stop)
	<-done
}

func TestAGateThatIsNotOursIsRefused(t *testing.T) {
	d := newDriver(nil)
	j := open(t, d, journal.Options{})
	newStore(t, j)
	j.Close()
	other := newDriver(nil)
	for key, value := range stored(t, d) {
		overwrite(t, other, key, value)
	}
	_, err := journal.Open(t.Context(), other, journal.Options{})
	wantKind(t, err, popkv.Unavailable)
	if !strings.Contains(err.Error(), "another data directory") {
		t.Fatal(err)
	}
	overwrite(t, d, "!gate", flip(stored(t, d)["!gate"], 20))
	_, err = journal.Open(t.Context(), d, journal.Options{})
	wantKind(t, err, popkv.Internal)
}

func TestAMovedGateFencesAnOlderProcess(t *testing.T) {
	d := newDriver(nil)
	j := open(t, d, journal.Options{})
	id := newStore(t, j)
	mustWrite(t, j, id, "a", "1")
	gate := stored(t, d)["!gate"]
	overwrite(t, d, "!gate", gate) // the same gate, rewritten: all go on
	if h := mustWrite(t, j, id, "a", "2"); h.Version != 3 {
		t.Fatalf("version %d", h.Version)
	}
	newStore(t, j)
	overwrite(t, d, "!gate", binary.BigEndian.AppendUint32(nil, 7))
	_, err := write(j, id, "a", "3")
	wantKind(t, err, popkv.Internal)
	err = j.Catalog(t.Context(), func(tx *journal.Tx) error { tx.Put("q/1", nil); return nil })
	wantKind(t, err, popkv.Internal)
	if got := items(head(t, j, id)); got["a"] != "2" {
		t.Fatal(got)
	}
}

func TestDamagedMemoryIsFoundAndReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t, newDriver(nil), journal.Options{Logger: slog.New(slog.DiscardHandler)})
		id := newStore(t, j)
		mustWrite(t, j, id, "a", "right")
		alias, _ := head(t, j, id).Items.View("a")
		copy(alias, "wrong")
		r, err := j.Verify(t.Context(), journal.VerifyOptions{})
		if err != nil || len(r.Findings) != 1 || !strings.HasPrefix(r.Findings[0].Problem, "in memory") {
			t.Fatal(r, err)
		}
		time.Sleep(time.Minute) // of the bubble's clock: for the scrub
		if got := items(head(t, j, id)); got["a"] != "right" {
			t.Fatal(got)
		}
	})
}

// What a migration or a newer version leaves in the gate stops an older
// process at its next write.
func TestASealedOrNewerGateStopsWrites(t *testing.T) {
	for name, c := range map[string]struct {
		at   int // in the gate's payload
		to   byte
		says string
	}{
		"sealed": {-1, 1, "sealed"},
		"newer":  {2, 9, "newer popkv"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDriver(nil)
			j := open(t, d, journal.Options{})
			id := newStore(t, j)
			mustWrite(t, j, id, "a", "1")
			overwrite(t, d, "!gate", reseal("!gate", stored(t, d)["!gate"], func(b []byte) []byte {
				b[(c.at+len(b))%len(b)] = c.to
				return b
			}))
			_, err := write(j, id, "a", "2")
			wantKind(t, err, popkv.Unavailable)
			if !strings.Contains(popkv.Message(err), c.says) {
				t.Fatal(err)
			}
			_, err = j.Head(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			_, err = journal.Open(t.Context(), d, journal.Options{})
			wantKind(t, err, popkv.Unavailable)
		})
	}
}
