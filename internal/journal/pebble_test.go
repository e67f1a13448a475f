package journal_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/pebblejournal"
)

func openPebble(t testing.TB, dir string) *pebblejournal.Driver {
	t.Helper()
	d, err := pebblejournal.Open(dir, pebblejournal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// The journal on the default driver, from the first write to a restored backup.
func TestALifeOnDisk(t *testing.T) {
	dir := t.TempDir()
	d := openPebble(t, dir)
	j := open(t, d, journal.Options{HistoryVersions: 50})
	id, gone := newStore(t, j), newStore(t, j)
	imported := newStoreIn(t, j, popkv.Provisioning)
	fill(t, j, id, "key", 12, 50<<10)
	mustWrite(t, j, id, "big", strings.Repeat("x", 200<<10))
	mustWrite(t, j, gone, "a", "1")
	if err := j.Import(t.Context(), imported, principal, build(t, head(t, j, imported).Meta, "a", "1"), nil); err != nil {
		t.Fatal(err)
	}
	drop(t, j, gone)
	want := []*journal.Head{head(t, j, id), head(t, j, imported)}
	j.Close()
	d.Close()

	d = openPebble(t, dir)
	j = open(t, d, journal.Options{})
	for _, w := range want {
		got := head(t, j, w.Store)
		if diff := cmp.Diff(items(w), items(got)); diff != "" || got.Version != w.Version || got.Chain != w.Chain {
			t.Fatal(diff, got.Meta)
		}
	}
	_, err := j.Head(t.Context(), gone)
	wantKind(t, err, popkv.WrongState)
	var b bytes.Buffer
	if _, err := j.Backup(t.Context(), &b, journal.BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	j.Close()
	verified(t, d)

	restored := openPebble(t, t.TempDir())
	if _, err := journal.RestoreTo(t.Context(), &b, restored, journal.RestoreOptions{}); err != nil {
		t.Fatal(err)
	}
	verified(t, restored)
	j = open(t, restored, journal.Options{})
	if got := mustWrite(t, j, id, "after", "1"); got.Version < want[0].Version+1<<40 {
		t.Fatalf("version %d", got.Version)
	}
	j.Close()
}

// Once everything is quiet nothing is left that no meta names.
func TestNoGarbageStaysOnDisk(t *testing.T) {
	d := openPebble(t, t.TempDir())
	j := open(t, d, journal.Options{HistoryVersions: 5})
	id := newStore(t, j)
	for range 4 {
		fill(t, j, id, "key", 8, 50<<10)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		if r := verified(t, d); r.Garbage == 0 && j.Stats().Folds > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", j.Stats())
		}
		mustWrite(t, j, id, "n", time.Now().String())
	}
	j.Close()
}

func fullStore(t testing.TB, j *journal.Journal, pairs int) popkv.StoreID {
	t.Helper()
	id := newStoreIn(t, j, popkv.Provisioning)
	m, err := j.Meta(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	size := 5<<20/pairs - 20
	for i := range pairs {
		all = append(all, "path/to/"+strings.Repeat("0", 3)+value(i), strings.Repeat("v", max(1, size)))
	}
	if err := j.Import(context.Background(), id, principal, build(t, m, all...), nil); err != nil {
		t.Fatal(err)
	}
	return id
}

// BenchmarkFirstTouch loads a full 5 MB store of small pairs.
func BenchmarkFirstTouch(b *testing.B) {
	d := openPebble(b, b.TempDir())
	j := open(b, d, journal.Options{})
	id := fullStore(b, j, 58909)
	for range 100 { // a log tail
		mustWrite(b, j, id, "k", time.Now().String())
	}
	j.Close()
	for b.Loop() {
		j := open(b, d, journal.Options{})
		head(b, j, id)
		b.StopTimer()
		j.Close()
		b.StartTimer()
	}
}

// BenchmarkImport writes a full 5 MB store that is in memory already.
func BenchmarkImport(b *testing.B) {
	j := open(b, openPebble(b, b.TempDir()), journal.Options{})
	var all []string
	for i := range 58909 {
		all = append(all, "path/to/000"+value(i), strings.Repeat("v", 68))
	}
	for b.Loop() {
		b.StopTimer()
		id := newStoreIn(b, j, popkv.Provisioning)
		m, _ := j.Meta(context.Background(), id)
		snap := build(b, m, all...)
		b.StartTimer()
		if err := j.Import(context.Background(), id, principal, snap, nil); err != nil {
			b.Fatal(err)
		}
	}
	j.Close()
}
