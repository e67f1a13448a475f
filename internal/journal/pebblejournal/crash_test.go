package pebblejournal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/popkv/popkv/internal/journal"
)

// long reports whether the heavy loops shall run, see HACKING.md.
func long() bool { return os.Getenv("POPKV_TEST_LONG") != "" }

// newSeed differs from run to run; POPKV_SEED repeats the choices of another.
func newSeed(t testing.TB) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("POPKV_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("POPKV_SEED=%d", seed)
	return seed
}

// A workload is writers that each count their own store up: version n puts
// the meta to n and adds record n, in one guarded commit.
type workload struct {
	acked [8]atomic.Uint64 // the version that was answered last
	begun [8]atomic.Uint64 // the version that was sent last
}

func metaKey(w int) string { return fmt.Sprintf("m/%d", w) }

func recordKey(w int, version uint64) string {
	return fmt.Sprintf("l/%d/", w) + string(binary.BigEndian.AppendUint64(nil, version))
}

// step makes one commit of writer w, whose meta is at rev.
func (l *workload) step(ctx context.Context, d journal.Driver, w int, rev journal.Rev) (journal.Rev, error) {
	version := l.begun[w].Add(1)
	value := binary.BigEndian.AppendUint64(make([]byte, 100), version)
	txn := journal.Txn{
		Guards: []journal.Guard{{Key: metaKey(w), Rev: rev}},
		Ops: []journal.Op{
			{Key: metaKey(w), Value: value},
			{Key: recordKey(w, version), Value: value},
			{Key: "n/last", Value: value},
		},
	}
	if version%16 == 0 { // a fold
		txn.Ops = append(txn.Ops, journal.Op{Kind: journal.DeleteRange, Key: recordKey(w, 0), End: recordKey(w, version-8)})
	}
	rev, err := d.Commit(ctx, txn)
	switch {
	case err == nil:
		l.acked[w].Store(version)
	case errors.Is(err, journal.ErrRefused) || errors.Is(err, journal.ErrGuard):
		l.begun[w].Store(version - 1) // never applied, now or later
	}
	return rev, err
}

// run writes until ctx ends or a commit fails, and returns the failure.
func (l *workload) run(ctx context.Context, d journal.Driver, w int) error {
	var rev journal.Rev
	var err error
	for err == nil && ctx.Err() == nil {
		rev, err = l.step(context.Background(), d, w, rev)
	}
	return err
}

// fill makes n commits of each writer, one after the other.
func (l *workload) fill(t testing.TB, d journal.Driver, n int) {
	t.Helper()
	for w := range l.acked {
		var rev journal.Rev
		var err error
		for range n {
			if rev, err = l.step(t.Context(), d, w, rev); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// snapshotOf returns the counters of one kind.
func snapshotOf(counters *[8]atomic.Uint64) (values [8]uint64) {
	for i := range counters {
		values[i] = counters[i].Load()
	}
	return values
}

// errWrong is data that differs, in contrast to a read that failed.
var errWrong = errors.New("wrong data")

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errWrong}, args...)...)
}

// checkWorkload says what a recovered driver lost or split. Versions up to
// acked must be there, and none after begun.
func checkWorkload(ctx context.Context, d *Driver, acked, begun [8]uint64) error {
	v, err := d.View(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	for w := range acked {
		value, rev, err := v.Get(metaKey(w))
		if err != nil {
			return err
		}
		version := uint64(0)
		if rev != 0 {
			version = binary.BigEndian.Uint64(value[100:])
		}
		if version < acked[w] || version > begun[w] {
			return wrong("writer %d is at version %d: %d was acknowledged, %d was sent", w, version, acked[w], begun[w])
		}
		next := uint64(1)
		if version >= 16 {
			next = version/16*16 - 8
		}
		for kv, err := range v.Scan(recordKey(w, 0), fmt.Sprintf("l/%d0", w), 0) {
			if err != nil {
				return err
			}
			if n := binary.BigEndian.Uint64([]byte(kv.Key[len(kv.Key)-8:])); n != next {
				return wrong("writer %d has record %d where %d should be, at version %d", w, n, next, version)
			}
			next++
		}
		if next != version+1 {
			return wrong("writer %d has records up to %d at version %d", w, next-1, version)
		}
	}
	return nil
}

// powerCuts writes under load, cuts the power n times with each share of
// unsynced data kept, and returns the first loss it finds.
func powerCuts(t *testing.T, n int, change func(*Options)) error {
	seed := newSeed(t)
	mem := vfs.NewCrashableMem()
	o := options(mem)
	o.memTableBytes = 64 << 10 // so that flushes and compactions run all the time
	change(&o)
	d := mustOpen(t, o)
	defer d.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var load workload
	var writers sync.WaitGroup
	for w := range load.acked {
		writers.Go(func() {
			if err := load.run(ctx, d, w); err != nil {
				t.Error(err)
			}
		})
	}
	defer writers.Wait()
	defer cancel()
	for i := range n {
		// Let some commits pass, so that each cut finds another state.
		for target := load.acked[0].Load() + seed%7 + 1; load.acked[0].Load() < target && !t.Failed(); {
			if _, err := d.Commit(ctx, journal.Txn{}); err != nil {
				return err
			}
		}
		acked := snapshotOf(&load.acked)
		after := crash(mem, []int{0, 50, 100}[i%3], seed+uint64(i))
		begun := snapshotOf(&load.begun)
		if err := recoverTwice(t, o, after, seed+uint64(i), acked, begun); err != nil {
			return fmt.Errorf("cut %d: %w", i, err)
		}
	}
	return nil
}

// recoverTwice opens what a power cut left, and opens it again after another
// cut, in the middle of the first recovery.
func recoverTwice(t *testing.T, o Options, mem *vfs.MemFS, seed uint64, acked, begun [8]uint64) error {
	fs := &faultFS{FS: mem}
	var mu sync.Mutex
	var again *vfs.MemFS
	left := seed % 60
	fs.set(func(fsOp) fault {
		mu.Lock()
		defer mu.Unlock()
		if left--; left == 0 {
			again = crash(mem, 50, seed)
		}
		return fault{}
	})
	for _, fs := range []vfs.FS{fs, nil} {
		if fs == nil {
			if again == nil {
				break
			}
			fs = again
		}
		o.FS = fs
		d, err := Open(testDir, o)
		if err != nil {
			return err
		}
		err = checkWorkload(t.Context(), d, acked, begun)
		if err := errors.Join(err, d.Close()); err != nil {
			return err
		}
	}
	return nil
}

func TestAPowerCutLosesNothingAcknowledged(t *testing.T) {
	rounds := 1
	if long() {
		rounds = 60
	}
	for range rounds {
		if err := powerCuts(t, 60, func(*Options) {}); err != nil {
			t.Fatal(err)
		}
	}
}

// The negative control: the same test finds the loss when nothing is synced.
func TestWithoutSyncAPowerCutLosesData(t *testing.T) {
	err := powerCuts(t, 30, func(o *Options) { o.noSync = true })
	if err == nil {
		t.Fatal("nothing was lost: the test cannot fail")
	}
	t.Log(err)
}

// cutEverywhere runs script on a file system and cuts the power at each of
// its operations, several times where chance decides what is kept.
func cutEverywhere(t *testing.T, start *vfs.MemFS, script func(vfs.FS), check func(left *vfs.MemFS, at string)) {
	seed := newSeed(t)
	for _, percent := range []int{0, 50, 50, 50, 50, 100} {
		seed++
		mem := crash(start, 0, 0)
		fs := &faultFS{FS: mem}
		var mu sync.Mutex
		var lefts []*vfs.MemFS
		var ats []string
		fs.set(func(op fsOp) fault {
			switch op.kind {
			case "read", "stat", "list", "open":
				return fault{} // nothing changed since the last one
			}
			mu.Lock()
			defer mu.Unlock()
			lefts = append(lefts, crash(mem, percent, seed+uint64(len(lefts))))
			ats = append(ats, fmt.Sprintf("before operation %d, %s %s, keeping %d %%", len(ats), op.kind, op.name, percent))
			return fault{}
		})
		script(fs)
		fs.set(nil)
		if len(lefts) < 10 {
			t.Fatalf("only %d operations", len(lefts))
		}
		for i, left := range lefts {
			check(left, ats[i])
		}
	}
}

func TestAPowerCutDuringTheFirstStartLeavesAnUsableDirectory(t *testing.T) {
	script := func(fs vfs.FS) {
		d := mustOpen(t, options(fs))
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cutEverywhere(t, vfs.NewCrashableMem(), script, func(left *vfs.MemFS, at string) {
		d, err := Open(testDir, options(left))
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		if _, err := d.Commit(t.Context(), journal.Txn{Ops: []journal.Op{{Key: "m/a"}}}); err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		if err := d.Close(); err != nil {
			t.Fatalf("%s: %v", at, err)
		}
	})
}

func TestAPowerCutDuringAStartLosesNothing(t *testing.T) {
	mem := vfs.NewCrashableMem()
	o := options(mem)
	o.memTableBytes = 64 << 10
	d := mustOpen(t, o)
	defer d.Close()
	var load workload
	load.fill(t, d, 50)
	acked := snapshotOf(&load.acked)
	script := func(fs vfs.FS) {
		o := o
		o.FS = fs
		d := mustOpen(t, o)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cutEverywhere(t, mem, script, func(left *vfs.MemFS, at string) {
		o := o
		o.FS = left
		d, err := Open(testDir, o)
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		if err := errors.Join(checkWorkload(t.Context(), d, acked, acked), d.Close()); err != nil {
			t.Fatalf("%s: %v", at, err)
		}
	})
}
