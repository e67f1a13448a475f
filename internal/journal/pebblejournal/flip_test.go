package pebblejournal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// directory is the files of a data directory in memory.
type directory map[string][]byte

// saveDirectory reads all files below testDir.
func saveDirectory(t testing.TB, fs vfs.FS) directory {
	t.Helper()
	files := directory{}
	var walk func(dir string)
	walk = func(dir string) {
		names, err := fs.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			name = fs.PathJoin(dir, name)
			info, err := fs.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if info.IsDir() {
				walk(name)
				continue
			}
			f, err := fs.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(f)
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			files[name] = b
		}
	}
	walk(testDir)
	return files
}

// restore returns a new file system with the files.
func (d directory) restore(t testing.TB) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewMem()
	for name, b := range d {
		if err := fs.MkdirAll(fs.PathDir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := fs.Create(name, categoryPopkv)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write(append([]byte(nil), b...))
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

// kindsOf groups the files that have contents by what they are.
func (d directory) kindsOf(t testing.TB) map[string][]string {
	kinds := map[string][]string{}
	for name, b := range d {
		base := name[strings.LastIndex(name, "/")+1:]
		kind, _, _ := strings.Cut(base, "-")
		if i := strings.LastIndex(base, "."); i >= 0 {
			kind = base[i:]
		}
		if len(b) > 0 {
			kinds[kind] = append(kinds[kind], name)
		}
	}
	return kinds
}

// loadedDirectory returns a directory under load whose process was killed: several tables,
// a manifest of many edits, a log that was not closed.
func loadedDirectory(t testing.TB, load *workload) directory {
	t.Helper()
	fs := vfs.NewCrashableMem()
	o := options(fs)
	o.memTableBytes = 32 << 10
	d := mustOpen(t, o)
	defer d.Close()
	load.fill(t, d, 60)
	return saveDirectory(t, crash(fs, 100, 0))
}

// verdictOn opens a directory and reads and checks all of it. It returns what
// was reported, or else what is silently wrong.
func verdictOn(ctx context.Context, o Options, acked [8]uint64) (reported, silent error) {
	d, err := Open(testDir, o)
	if err != nil {
		return err, nil
	}
	read := checkWorkload(ctx, d, acked, acked)
	_, checked := d.Check(ctx)
	reported = errors.Join(checked, d.Close())
	switch {
	case read == nil || reported != nil:
		return reported, nil
	case !errors.Is(read, errWrong) || strings.Contains(read.Error(), "record"):
		// The read says so itself; and records that are missing are found by
		// their store's hashes when it is loaded.
		return read, nil
	}
	return nil, read
}

func flips() int {
	if long() {
		return 1000
	}
	return 50
}

func TestNoFlippedBitGoesUnnoticed(t *testing.T) {
	seed := newSeed(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	var load workload
	files := loadedDirectory(t, &load)
	acked := snapshotOf(&load.acked)
	kinds := files.kindsOf(t)
	for _, kind := range []string{"FORMAT", "witness", "MANIFEST", "OPTIONS", ".log", ".sst"} {
		names := kinds[kind]
		if len(names) == 0 {
			t.Fatalf("no file of kind %s in %v", kind, kinds)
		}
		t.Run(kind, func(t *testing.T) {
			found := map[string]int{}
			for range flips() {
				name := names[rng.IntN(len(names))]
				bit := rng.IntN(len(files[name]) * 8)
				reported, silent := verdictOn(t.Context(), options(files.flip(name, bit).restore(t)), acked)
				if silent != nil {
					t.Fatalf("bit %d of %s: %v", bit, name, silent)
				}
				found[fmt.Sprint("reported: ", reported != nil)]++
			}
			t.Log(found)
		})
	}
}

// flip returns a copy with one bit changed.
func (d directory) flip(name string, bit int) directory {
	changed := directory{}
	for n, b := range d {
		changed[n] = b
	}
	b := append([]byte(nil), d[name]...)
	b[bit/8] ^= 1 << (bit % 8)
	changed[name] = b
	return changed
}

// The negative control: with nothing to compare the engine with, a damaged
// manifest or log loses data in silence.
func TestWithoutTheWitnessAFlippedBitGoesUnnoticed(t *testing.T) {
	seed := newSeed(t)
	rng := rand.New(rand.NewPCG(seed, 2))
	var load workload
	files := loadedDirectory(t, &load)
	acked := snapshotOf(&load.acked)
	kinds := files.kindsOf(t)
	for range 2000 {
		names := append(kinds["MANIFEST"], kinds[".log"]...)
		name := names[rng.IntN(len(names))]
		bit := rng.IntN(len(files[name]) * 8)
		o := options(files.flip(name, bit).restore(t))
		o.noWitness = true
		d, err := Open(testDir, o)
		if err != nil {
			continue
		}
		wrong := checkWorkload(t.Context(), d, acked, acked)
		closeIfSound(t, d)
		if wrong != nil {
			t.Logf("bit %d of %s: %v", bit, name, wrong)
			return
		}
	}
	t.Fatal("no flip went unnoticed: the test cannot fail")
}
