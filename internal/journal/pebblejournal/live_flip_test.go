package pebblejournal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/popkv/popkv/internal/journal"
)

// Bits flip in the files of a driver that is running, and its caches still
// have what they had. A check reports each flip, or a start on the files finds
// all of what was acknowledged.
func TestNoBitFlippedUnderARunningDriverPassesACheck(t *testing.T) {
	seed := newSeed(t)
	rng := rand.New(rand.NewPCG(seed, 4))
	fs := vfs.NewCrashableMem()
	o := options(fs)
	o.memTableBytes = 64 << 10
	d := mustOpen(t, o)
	defer func() { d.Close() }()
	var load workload
	revs := fillAll(t, d, &load, 60)
	flipped := "" // the last flip, if it was reported: it is there no more
	step := func(t *testing.T, w int) {
		rev, err := load.step(t.Context(), d, w, revs[w])
		if errors.Is(err, ErrDamaged) && flipped != "" {
			// The engine met the flip itself, in a compaction, and remembers.
			t.Logf("%s: reported by the engine too", flipped)
			d.Close()
			d = mustOpen(t, o)
			revs = revisions(t, d)
			rev, err = load.step(t.Context(), d, w, revs[w])
		}
		if err != nil {
			t.Fatal(err)
		}
		revs[w] = rev
	}
	if err := checkWorkload(t.Context(), d, snapshotOf(&load.acked), snapshotOf(&load.begun)); err != nil {
		t.Fatal(err) // and the caches are warm
	}
	for _, kind := range []string{"FORMAT", "witness", "MANIFEST", "OPTIONS", ".log", ".sst"} {
		t.Run(kind, func(t *testing.T) {
			found := map[string]int{}
			for range liveFlips() {
				for w := range revs { // so that the log has something
					step(t, w)
				}
				files := saveDirectory(t, crash(fs, 100, 0))
				names := files.kindsOf(t)[kind]
				if kind == ".sst" {
					names = slices.DeleteFunc(names, unfinished(t, d))
				}
				slices.Sort(names)
				name := names[rng.IntN(len(names))]
				bit := rng.IntN(len(files[name]) * 8)
				flipInPlace(t, fs, name, bit)
				flipped = ""
				_, err := d.Check(t.Context())
				if err != nil {
					flipped = fmt.Sprintf("bit %d of %s", bit, name)
					if !errors.Is(err, ErrDamaged) {
						t.Fatalf("bit %d of %s: %v", bit, name, err)
					}
					flipInPlace(t, fs, name, bit)
				} else {
					acked := snapshotOf(&load.acked)
					reported, silent := verdictOn(t.Context(), options(crash(fs, 100, 0)), acked)
					if err := errors.Join(reported, silent); err != nil {
						t.Fatalf("bit %d of %s passed the check: %v", bit, name, err)
					}
				}
				found[fmt.Sprint("reported: ", err != nil)]++
			}
			t.Log(found)
			if _, err := d.Check(t.Context()); err != nil {
				t.Fatalf("all is well again: %v", err)
			}
		})
	}
}

// liveFlips is how many bits of each kind of file flip. Each takes a check and a
// start.
func liveFlips() int {
	if long() {
		return 200
	}
	return 50
}

// unfinished tells the tables that the engine does not use: it may be writing
// them, and use them after a check.
func unfinished(t testing.TB, d *Driver) func(name string) bool {
	levels, err := d.db.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, table := range slices.Concat(levels...) {
		used[fmt.Sprintf("%s/%s/%06d.sst", testDir, engineName, table.FileNum)] = true
	}
	return func(name string) bool { return !used[name] }
}

// fillAll is fill, and returns the writers' revisions.
func fillAll(t testing.TB, d *Driver, load *workload, n int) [8]journal.Rev {
	t.Helper()
	load.fill(t, d, n)
	return revisions(t, d)
}

func revisions(t testing.TB, d *Driver) (revs [8]journal.Rev) {
	t.Helper()
	for w := range revs {
		_, rev, err := viewKey(d, metaKey(w))
		if err != nil {
			t.Fatal(err)
		}
		revs[w] = rev
	}
	return revs
}

// flipInPlace changes a bit of a file that may be open, unless the engine has
// just deleted it.
func flipInPlace(t testing.TB, fs vfs.FS, name string, bit int) {
	t.Helper()
	old, err := fs.Open(name)
	if oserror.IsNotExist(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	var b [1]byte
	if _, err := old.ReadAt(b[:], int64(bit/8)); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1 << (bit % 8)
	f, err := fs.OpenReadWrite(name, categoryPopkv)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b[:], int64(bit/8)); err != nil {
		t.Fatal(err)
	}
}

// Commits that come while a check flushes lie in the log that it copies. The
// engine drops them in silence when their last bytes are damaged.
func TestACheckSeesTheLogEndEarly(t *testing.T) {
	mem := vfs.NewCrashableMem()
	fs := &faultFS{FS: mem}
	d := mustOpen(t, options(fs))
	defer d.Close()
	if _, err := d.Commit(t.Context(), putA("before")); err != nil {
		t.Fatal(err)
	}
	reached, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fs.set(func(op fsOp) fault {
		if op.kind == "create" && isTable(op) {
			once.Do(func() { close(reached); <-release })
		}
		return fault{}
	})
	checked := make(chan error)
	go func() { _, err := d.Check(context.Background()); checked <- err }()
	<-reached
	if _, err := d.Commit(t.Context(), putA("meanwhile")); err != nil {
		t.Fatal(err)
	}
	files := saveDirectory(t, crash(mem, 100, 0))
	logs := files.kindsOf(t)[".log"]
	log := slices.Max(logs)
	end := bytes.LastIndex(files[log], []byte("meanwhile"))
	if end < 0 {
		t.Fatalf("the commit is not in %s of %v", log, logs)
	}
	flipInPlace(t, mem, log, end*8)
	close(release)
	if err := <-checked; !errors.Is(err, ErrDamaged) {
		t.Fatalf("got %v", err)
	}
	flipInPlace(t, mem, log, end*8)
	if _, err := d.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}
