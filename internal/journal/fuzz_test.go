package journal_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// smallEstate is one store with a little of everything, for fuzzing.
func smallEstate(t testing.TB) (map[string][]byte, popkv.StoreID) {
	t.Helper()
	d := newDriver(nil)
	j := open(t, d, journal.Options{})
	id, gone := newStoreIn(t, j, popkv.Provisioning), newStore(t, j)
	if err := j.Import(context.Background(), id, principal, build(t, head(t, j, id).Meta, "a", "1"), nil); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, j, id, "b", "2")
	drop(t, j, gone)
	j.Close()
	return stored(t, d), id
}

// Whatever a record says whose checksum is right: nothing panics, and what is
// served is what verify approves of.
func FuzzStoredPayload(f *testing.F) {
	all, id := smallEstate(f)
	keys := slices.Sorted(maps.Keys(all))
	for i, key := range keys {
		f.Add(uint(i), all[key][17:len(all[key])-4])
	}
	f.Fuzz(func(t *testing.T, n uint, payload []byte) {
		key := keys[n%uint(len(keys))]
		d := newDriver(nil)
		for k, v := range all {
			if k != "!gate" {
				overwrite(t, d, k, v)
			}
		}
		j := open(t, d, journal.Options{}) // makes its own gate
		j.Close()
		was := stored(t, d)[key]
		overwrite(t, d, key, reseal(key, was, func([]byte) []byte { return payload }))
		report, err := journal.Verify(t.Context(), d, journal.VerifyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		j, err = journal.Open(t.Context(), d, journal.Options{})
		if err != nil {
			if key != "!gate" {
				t.Fatal(err)
			}
			return
		}
		defer j.Close()
		h, err := j.Head(t.Context(), id)
		if err != nil {
			if report.OK() && popkv.KindOf(err) == popkv.Internal {
				t.Fatalf("verify approved of what a load refuses: %v", err)
			}
			return
		}
		if h.Items.Len() != 0 && !strings.HasPrefix(key, "m/") {
			if diff := cmp.Diff(map[string]string{"a": "1", "b": "2"}, items(h)); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

// A backup is accepted whole or refused; only the one that was written, or one
// that says the same, is accepted.
func FuzzVerifyBackup(f *testing.F) {
	all, id := smallEstate(f)
	d := newDriver(nil)
	for k, v := range all {
		if k != "!gate" {
			overwrite(f, d, k, v)
		}
	}
	good, manifest := backup(f, d)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte("popkv backup 1\nM\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := journal.VerifyBackup(t.Context(), bytes.NewReader(b))
		if err != nil {
			if kind := popkv.KindOf(err); kind != popkv.Invalid {
				t.Fatalf("kind %d: %v", kind, err)
			}
			return
		}
		if bytes.Equal(b, good) != cmp.Equal(m, manifest) && len(m.Stores) > 0 && m.Stores[0].ID == id.String() {
			t.Fatal("another backup of the store was accepted")
		}
	})
}
