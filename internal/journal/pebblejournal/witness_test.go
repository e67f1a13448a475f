package pebblejournal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/popkv/popkv/internal/journal"
)

// tailOf returns a directory as a killed process leaves it, and the name of
// the log that holds the last commits.
func tailOf(t *testing.T, load *workload) (directory, string) {
	t.Helper()
	fs := vfs.NewCrashableMem()
	d := mustOpen(t, options(fs))
	defer d.Close()
	load.fill(t, d, 20)
	files := saveDirectory(t, crash(fs, 100, 0))
	last := ""
	for name := range files {
		if strings.HasSuffix(name, ".log") && name > last {
			last = name
		}
	}
	return files, last
}

func wantDamage(t *testing.T, files directory, word string) {
	t.Helper()
	_, err := Open(testDir, options(files.restore(t)))
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), word) {
		t.Fatalf("got %v, want damage that names %q", err, word)
	}
}

func TestTheWitnessCatchesALostTail(t *testing.T) {
	var load workload
	files, log := tailOf(t, &load)
	for _, keep := range []int{len(files[log]) - 1, len(files[log]) / 2, 100, 0} {
		cut := maps.Clone(files)
		cut[log] = cut[log][:keep]
		wantDamage(t, cut, "batch")
	}
	gone := maps.Clone(files)
	delete(gone, log)
	wantDamage(t, gone, "batch")
}

func TestTheWitnessCatchesAConsistentRollback(t *testing.T) {
	fs := vfs.NewMem()
	d := mustOpen(t, options(fs))
	var load workload
	load.fill(t, d, 5)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	old := saveDirectory(t, fs)
	d = mustOpen(t, options(fs))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	mixed := saveDirectory(t, fs)
	maps.DeleteFunc(mixed, func(name string, _ []byte) bool { return strings.Contains(name, engineName) })
	for name, b := range old {
		if strings.Contains(name, engineName) {
			mixed[name] = b
		}
	}
	wantDamage(t, mixed, "batch")
	if d, err := Open(testDir, options(old.restore(t))); err != nil {
		t.Fatalf("the whole old directory is sound: %v", err)
	} else if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAnEngineThatDiffersFromItsRootIsRefused(t *testing.T) {
	key := []byte(metaKey(3))
	for name, tamper := range map[string]func(db *pebble.DB, stored []byte) error{
		"a key is gone": func(db *pebble.DB, _ []byte) error { return db.Delete(key, nil) },
		"a value differs": func(db *pebble.DB, stored []byte) error {
			return db.Set(key, append(stored, 0), nil)
		},
		"a revision differs": func(db *pebble.DB, stored []byte) error {
			stored[revBytes-1]++
			return db.Set(key, stored, nil)
		},
		"a key is new": func(db *pebble.DB, stored []byte) error { return db.Set([]byte("t/new"), stored, nil) },
		"a key has moved": func(db *pebble.DB, stored []byte) error {
			return errors.Join(db.Delete(key, nil), db.Set([]byte("m/moved"), stored, nil))
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			d := mustOpen(t, options(fs))
			var load workload
			load.fill(t, d, 5)
			// Behind the committer's back.
			stored, closer, err := d.db.Get(key)
			if err != nil {
				t.Fatal(err)
			}
			stored = slices.Clone(stored)
			if err := errors.Join(closer.Close(), tamper(d.db, stored)); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Check(t.Context()); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "add up") {
				t.Fatalf("a check of the live driver says %v", err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			wantDamage(t, saveDirectory(t, fs), "add up")
		})
	}
}

func TestWhatIsMissingIsDamageAndNamed(t *testing.T) {
	var load workload
	files := loadedDirectory(t, &load)
	for _, name := range []string{formatName, witnessName} {
		without := maps.Clone(files)
		delete(without, testDir+"/"+name)
		wantDamage(t, without, name)
	}
	engine := maps.Clone(files)
	maps.DeleteFunc(engine, func(name string, _ []byte) bool { return strings.Contains(name, engineName) })
	wantDamage(t, engine, engineName)
	blank := maps.Clone(files)
	blank[testDir+"/"+witnessName] = make([]byte, 8192)
	wantDamage(t, blank, witnessName)
}

func TestFilesOfAnotherDirectoryAreRefused(t *testing.T) {
	var load, other workload
	files, foreign := loadedDirectory(t, &load), loadedDirectory(t, &other)
	for _, part := range []string{formatName, witnessName, engineName} {
		mixed := maps.Clone(files)
		maps.DeleteFunc(mixed, func(name string, _ []byte) bool { return strings.Contains(name, part) })
		for name, b := range foreign {
			if strings.Contains(name, part) {
				mixed[name] = b
			}
		}
		wantDamage(t, mixed, "data directory is damaged")
	}
}

func TestANewerFormatIsRefused(t *testing.T) {
	var load workload
	files, _ := tailOf(t, &load)
	name := testDir + "/" + formatName
	text := strings.Replace(string(files[name]), "format 1", "format 2", 1)
	wantDamage(t, withFile(files, name, text), formatName)
	text, _, _ = strings.Cut(text, "checksum")
	fs := withFile(files, name, sealFormat(text)).restore(t)
	if _, err := Open(testDir, options(fs)); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "format 2") {
		t.Fatalf("got %v, want %v", err, ErrNewer)
	}
}

func withFile(d directory, name, contents string) directory {
	changed := maps.Clone(d)
	changed[name] = []byte(contents)
	return changed
}

// What the witness file cannot record must not be acknowledged.
func TestAFailedWitnessFailsTheDriver(t *testing.T) {
	for _, kind := range []string{"write", "sync"} {
		t.Run(kind, func(t *testing.T) {
			fs := &faultFS{FS: vfs.NewMem()}
			d := mustOpen(t, options(fs))
			defer d.Close()
			fs.set(func(op fsOp) fault {
				if op.kind == kind && op.name == witnessName {
					return fault{err: syscall.EIO}
				}
				return fault{}
			})
			_, err := d.Commit(t.Context(), journal.Txn{Ops: []journal.Op{{Key: "m/a"}}})
			if kind == "sync" { // it happens later, on a timer
				if err != nil {
					t.Fatal(err)
				}
				d.witness.syncLater()
				_, err = d.Commit(t.Context(), journal.Txn{Ops: []journal.Op{{Key: "m/a"}}})
			}
			if !errors.Is(err, journal.ErrFailed) || d.State().Mode != journal.Failed {
				t.Fatalf("got %v in state %v", err, d.State())
			}
		})
	}
}

// One of the two slots is always synced, whatever tears the other one.
func TestTheWitnessSurvivesATornSlot(t *testing.T) {
	fs := vfs.NewCrashableMem()
	d := mustOpen(t, options(fs))
	defer d.Close()
	for i := range 20 {
		if _, err := d.Commit(t.Context(), journal.Txn{Ops: []journal.Op{{Key: "m/a"}}}); err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			d.witness.syncLater()
		}
		slot := d.witness.slot
		left := crash(fs, 100, 0)
		f, err := left.OpenReadWrite(testDir+"/"+witnessName, categoryPopkv)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt([]byte("torn"), int64(slot)*witnessStride+20)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		seen, err := readWitness(left, testDir, d.id)
		if err != nil || seen.sequence > d.write.head.sequence || seen.sequence+3 < d.write.head.sequence {
			t.Fatalf("commit %d: the witness says %d of %d: %v", i, seen.sequence, d.write.head.sequence, err)
		}
	}
}

// A power cut leaves the witness a second behind, and no more: what a commit
// noted is synced by a timer.
func TestTheWitnessIsSyncedAfterACommit(t *testing.T) {
	fs := vfs.NewCrashableMem()
	d := mustOpen(t, options(fs))
	defer d.Close()
	for range 3 {
		if _, err := d.Commit(t.Context(), putA("x")); err != nil {
			t.Fatal(err)
		}
		d.witness.mu.Lock()
		due := d.witness.timer != nil && d.witness.timer.Reset(0) // now
		d.witness.mu.Unlock()
		if !due {
			t.Fatal("no sync is to come")
		}
		for synced := false; !synced; {
			d.witness.mu.Lock()
			synced = d.witness.timer == nil
			d.witness.mu.Unlock()
			runtime.Gosched()
		}
		seen, err := readWitness(crash(fs, 0, 0), testDir, d.id)
		if err != nil || seen != d.witness.last {
			t.Fatalf("a power cut leaves %v of %v: %v", seen, d.witness.last, err)
		}
	}
}

func TestCheckReadsWhatIsOnDiskWhileServing(t *testing.T) {
	fs := vfs.NewMem()
	o := options(fs)
	o.memTableBytes = 64 << 10
	d := mustOpen(t, o)
	defer d.Close()
	var load workload
	load.fill(t, d, 40)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() {
		_, rev, err := viewKey(d, metaKey(0))
		for err == nil && ctx.Err() == nil {
			rev, err = load.step(context.Background(), d, 0, rev)
		}
		stopped <- err
	}()
	for range 5 {
		report, err := d.Check(t.Context())
		if err != nil || report.Tables == 0 || report.Bytes == 0 || report.Batch == 0 {
			t.Fatalf("%+v, %v", report, err)
		}
	}
	cancel()
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if names, err := fs.List(testDir + "/" + checkName); err == nil {
		t.Fatalf("a check left %v behind", names)
	}
}

func TestAStartRemovesWhatACheckLeftBehind(t *testing.T) {
	fs := vfs.NewMem()
	if err := mustOpen(t, options(fs)).Close(); err != nil {
		t.Fatal(err)
	}
	if err := fs.MkdirAll(testDir+"/"+checkName, 0o700); err != nil {
		t.Fatal(err)
	}
	defer mustOpen(t, options(fs)).Close()
	if names, err := fs.List(testDir + "/" + checkName); err == nil {
		t.Fatalf("%v is still there", names)
	}
}

func TestCheckNamesTheFileOfAFlippedBit(t *testing.T) {
	var load workload
	fs := &flipFS{FS: loadedDirectory(t, &load).restore(t)}
	d := mustOpen(t, options(fs))
	defer d.Close()
	if err := d.db.Compact(t.Context(), []byte("a"), []byte("z"), false); err != nil {
		t.Fatal(err)
	}
	report, err := d.Check(t.Context()) // flushes, and so makes the last table
	if err != nil {
		t.Fatal(err)
	}
	levels, err := d.db.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	tables := 0
	for _, table := range slices.Concat(levels...) {
		tables++
		base := fmt.Sprintf("%06d.sst", table.FileNum)
		fs.flip(base, int64(table.Size/2))
		if _, err := d.Check(t.Context()); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), base) {
			t.Fatalf("a flipped bit in %s: %v", base, err)
		}
	}
	if tables == 0 || tables != report.Tables {
		t.Fatalf("%d tables, and Check has read %d", tables, report.Tables)
	}
	fs.flip("", 0)
	if _, err := d.Check(t.Context()); err != nil {
		t.Fatalf("all is well again: %v", err)
	}
}

// A flipFS shows one file with a flipped bit.
type flipFS struct {
	vfs.FS
	mu   sync.Mutex
	base string
	at   int64
}

func (f *flipFS) flip(base string, at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.base, f.at = base, at
}

func (f *flipFS) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, o...)
	return &flipFile{file, f, f.PathBase(name)}, err
}

type flipFile struct {
	vfs.File
	fs   *flipFS
	base string
}

func (f *flipFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(p, at)
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if i := f.fs.at - at; f.base == f.fs.base && i >= 0 && i < int64(n) {
		p[i] ^= 1
	}
	return n, err
}

func viewKey(d *Driver, key string) ([]byte, journal.Rev, error) {
	v, err := d.View(context.Background())
	if err != nil {
		return nil, 0, err
	}
	defer v.Close()
	return v.Get(key)
}
