package journal_test

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/snapshot"
)

// reseal makes a stored value anew around a payload that edit has changed, as
// the comment on envelopes draws it: damage that every checksum agrees with.
func reseal(key string, value []byte, edit func(payload []byte) []byte) []byte {
	payload := edit(slices.Clone(value[17 : len(value)-4]))
	b := append(slices.Clone(value[:17]), payload...)
	sum := binary.BigEndian.AppendUint32(nil, uint32(len(key)))
	sum = append(append(sum, key...), b...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(sum, crc32.MakeTable(crc32.Castagnoli)))
}

// editRecord is reseal of a log record.
func editRecord(t *testing.T, edit func(*snapshot.Record)) func([]byte) []byte {
	return func(payload []byte) []byte {
		rec, err := snapshot.DecodeRecord(payload)
		if err != nil {
			t.Fatal(err)
		}
		edit(rec)
		return rec.Encode()
	}
}

func logKey(id popkv.StoreID, version uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte("l/"+id.String()+"/"), version))
}

// Well-formed data that is not what was written: the checksums are right, and
// only what one record says of another tells.
func TestTamperingThatChecksumsAgreeWithIsFound(t *testing.T) {
	newDigest := func(rec *snapshot.Record) { rec.Digest[3]++ }
	otherValue := func(rec *snapshot.Record) { rec.Change.Puts[0].Value = strings.Repeat("z", 100) }
	for _, c := range []struct {
		name   string
		served bool // a load need not look at it
		tamper func(t *testing.T, e *estate, all map[string][]byte) (key string, value []byte)
	}{
		{"another value in the newest record", false, func(t *testing.T, e *estate, all map[string][]byte) (string, []byte) {
			key := logKey(e.folded, 16)
			return key, reseal(key, all[key], editRecord(t, otherValue))
		}},
		{"another value in a record of the tail", false, func(t *testing.T, e *estate, all map[string][]byte) (string, []byte) {
			key := logKey(e.folded, 15)
			return key, reseal(key, all[key], editRecord(t, otherValue))
		}},
		{"another principal in a record of history", true, func(t *testing.T, e *estate, all map[string][]byte) (string, []byte) {
			key := logKey(e.folded, 3)
			return key, reseal(key, all[key], editRecord(t, func(rec *snapshot.Record) { rec.Principal = "arn:aws:iam::1:root" }))
		}},
		{"another digest in a record", false, func(t *testing.T, e *estate, all map[string][]byte) (string, []byte) {
			key := logKey(e.folded, 16)
			return key, reseal(key, all[key], editRecord(t, newDigest))
		}},
		{"a record of another lineage", false, func(t *testing.T, e *estate, all map[string][]byte) (string, []byte) {
			key := logKey(e.imported, 2)
			return key, reseal(key, all[key], editRecord(t, func(rec *snapshot.Record) { rec.Lineage[0]++ }))
		}},
		{"a record with another commit id", false, func(t *testing.T, e *estate, all map[string][]byte) (string, []byte) {
			key := logKey(e.imported, 2)
			return key, reseal(key, all[key], editRecord(t, func(rec *snapshot.Record) { rec.CommitID[0]++ }))
		}},
		{"the record of an import is gone", true, func(t *testing.T, e *estate, all map[string][]byte) (string, []byte) {
			return logKey(e.imported, 1), nil
		}},
		{"other content in a chunk", false, func(t *testing.T, e *estate, all map[string][]byte) (string, []byte) {
			key := firstWith(all, "c/"+e.imported.String())
			return key, reseal(key, all[key], func([]byte) []byte {
				snap := build(t, journal.Meta{}, "a", "2")
				for chunk := range snapshot.Chunks(snap, 64<<10) {
					return chunk
				}
				return nil
			})
		}},
		{"another digest in meta", false, func(t *testing.T, e *estate, all map[string][]byte) (string, []byte) {
			key := "m/" + e.imported.String()
			return key, reseal(key, all[key], replaceDigest(t, all[key], e.imported))
		}},
		{"a meta that counts fewer bytes of log", true, func(t *testing.T, e *estate, all map[string][]byte) (string, []byte) {
			key := "m/" + e.waiting.String()
			return key, reseal(key, all[key], func(b []byte) []byte {
				// An empty store's log is the field before its one generation.
				at := len(b) - (16 + 1 + 32 + 1 + 6 + 1 + 1 + 32) - 2
				if b[at] != 0 || b[at+1] != 1 {
					t.Fatalf("meta's layout has changed: % x", b[at:])
				}
				b[at] = 5
				return b
			})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEstate(t)
				j := open(t, e.driver, journal.Options{})
				want := map[popkv.StoreID]map[string]string{}
				for _, id := range []popkv.StoreID{e.folded, e.imported} {
					want[id] = items(head(t, j, id))
				}
				j.Close()
				key, value := c.tamper(t, &e, stored(t, e.driver))
				overwrite(t, e.driver, key, value)
				if found := findings(t, e.driver); len(found) == 0 {
					t.Error("verify missed it")
				}
				j = open(t, e.driver, journal.Options{})
				for id, content := range want {
					h, err := j.Head(t.Context(), id)
					if !strings.Contains(key, id.String()) || c.served {
						if err != nil {
							t.Error(err)
						} else if diff := cmp.Diff(content, items(h)); diff != "" {
							t.Error(diff)
						}
						continue
					}
					wantKind(t, err, popkv.Internal)
				}
			})
		})
	}
}

func firstWith(all map[string][]byte, prefix string) string {
	var keys []string
	for key := range all {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys[0]
}

// replaceDigest changes the content digest within a stored meta.
func replaceDigest(t *testing.T, value []byte, id popkv.StoreID) func([]byte) []byte {
	t.Helper()
	d := newDriver(nil)
	key := "m/" + id.String()
	j := open(t, d, journal.Options{})
	overwrite(t, d, key, value)
	m, err := j.Meta(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return func(payload []byte) []byte {
		at := strings.Index(string(payload), string(m.Digest[:]))
		payload[at]++
		return payload
	}
}

// An intent that vanishes (its lease ran out) takes the generation with it.
func TestAResetWithoutItsIntentFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, gate := gatedDriver()
		j := open(t, d, journal.Options{})
		id := newStore(t, j)
		mustWrite(t, j, id, "a", "1")
		gate.hold("Commit")
		gate.passNext() // of the intent; the one that names the generation waits
		done := make(chan error)
		go func() {
			_, err := write(j, id, "big", strings.Repeat("x", 70<<10))
			done <- err
		}()
		synctest.Wait()
		gate.passNext()
		overwrite(t, d, firstWith(stored(t, d), "i/"), nil)
		gate.release()
		wantKind(t, <-done, popkv.Unavailable)
		if h := mustWrite(t, j, id, "b", "1"); h.Version != 3 {
			t.Fatalf("version %d", h.Version)
		}
		synctest.Wait()
		if r := verified(t, d); r.Garbage != 0 {
			t.Fatalf("%+v", r)
		}
	})
}

func TestWritesDuringAFoldStayInTheTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, gate := gatedDriver()
		j := open(t, d, journal.Options{})
		id := newStore(t, j)
		gate.hold("Stage")
		fill(t, j, id, "key", 6, 50<<10)
		synctest.Wait()
		fill(t, j, id, "later", 3, 50<<10)
		gate.release()
		synctest.Wait()
		h := head(t, j, id)
		if s := j.Stats(); s.Folds != 1 || h.LogBytes < 100<<10 {
			t.Fatalf("%+v, %+v", s, h.Meta)
		}
		verified(t, d)
		j.Close()
		if diff := cmp.Diff(items(h), items(head(t, open(t, d.Restart(), journal.Options{}), id))); diff != "" {
			t.Fatal(diff)
		}
	})
}

// The store is deleted between a load's view and its end.
func TestALoadThatADeletionOvertakesIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, gate := gatedDriver()
		j := open(t, d, journal.Options{})
		id := newStore(t, j)
		mustWrite(t, j, id, "a", "1")
		j.Close()
		j = open(t, d, journal.Options{})
		synctest.Wait()
		gate.hold("View.Scan") // of the log tail
		done := make(chan error)
		go func() {
			_, err := j.Head(t.Context(), id)
			done <- err
		}()
		synctest.Wait()
		drop(t, j, id)
		gate.release()
		if err := <-done; err != nil {
			t.Fatal(err) // it began before the deletion
		}
		_, err := j.Head(t.Context(), id)
		wantKind(t, err, popkv.WrongState)
	})
}

func TestOnlyReadyStoresAreKeptInMemory(t *testing.T) {
	j := open(t, newDriver(nil), journal.Options{})
	head(t, j, newStoreIn(t, j, popkv.Provisioning))
	head(t, j, newStoreIn(t, j, popkv.ImportFailure))
	if s := j.Stats(); s.ResidentStores != 0 || s.ResidentBytes != 0 {
		t.Fatalf("%+v", s)
	}
}

// Meta was rewritten behind the journal's back, and then the driver fails: the
// write is refused, but what is in memory is still served.
func TestAFailureWhileLookingAgainLeavesAStoreReadable(t *testing.T) {
	d, gate := gatedDriver()
	j := open(t, d, journal.Options{})
	id := newStore(t, j)
	mustWrite(t, j, id, "a", "1")
	key := "m/" + id.String()
	overwrite(t, d, key, stored(t, d)[key])
	gate.next("View", memjournal.FailedLost)
	_, err := write(j, id, "a", "2")
	wantKind(t, err, popkv.Unavailable)
	if got := items(head(t, j, id)); got["a"] != "1" {
		t.Fatal(got)
	}
}
