package pebblejournal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/popkv/popkv/internal/journal"
)

// A fullDisk has no space for some files while full is set. found has a token
// after each write that met it.
type fullDisk struct {
	*faultFS
	mem   *vfs.MemFS
	full  atomic.Bool
	found chan struct{}
}

func newFullDisk(matches func(fsOp) bool) *fullDisk {
	mem := vfs.NewCrashableMem()
	f := &fullDisk{faultFS: &faultFS{FS: mem}, mem: mem, found: make(chan struct{}, 1)}
	f.set(func(op fsOp) fault {
		if !f.full.Load() || op.kind != "write" && op.kind != "create" || !matches(op) {
			return fault{}
		}
		select {
		case f.found <- struct{}{}:
		default:
		}
		return fault{err: syscall.ENOSPC}
	})
	return f
}

// await returns once the driver knows that the disk is full.
func (f *fullDisk) await(d *Driver) {
	for !d.space.stalled() {
		<-f.found
	}
}

func isLog(op fsOp) bool { return op.log() }

func isTable(op fsOp) bool { return len(op.name) > 4 && op.name[len(op.name)-4:] == ".sst" }

func putA(value string) journal.Txn {
	return journal.Txn{Ops: []journal.Op{{Key: "m/a", Value: []byte(value)}}}
}

func TestBelowTheReserveWritesAreRefusedAndReadsGoOn(t *testing.T) {
	mem := vfs.NewMem()
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 100, TotalBytes: 1000})
	clock := &fakeClock{now: time.Unix(0, 0)}
	o := options(mem)
	o.ReserveBytes, o.Now = 50, clock.Now
	d := mustOpen(t, o)
	defer d.Close()
	rev, err := d.Commit(t.Context(), putA("before"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 49, TotalBytes: 1000})
		clock.advance(spaceInterval)
		_, err = d.Commit(t.Context(), putA("full"))
		if !errors.Is(err, journal.ErrRefused) || !errors.Is(err, errFull) {
			t.Fatalf("got %v", err)
		}
		if s := d.State(); s.Mode != journal.Full || !errors.Is(s.Cause, errFull) {
			t.Fatalf("state %v", s)
		}
		stage := d.Stage(t.Context(), journal.Guard{Key: "m/a", Rev: rev}, []journal.Op{{Key: "c/a"}})
		if !errors.Is(stage, journal.ErrRefused) {
			t.Fatalf("stage: %v", stage)
		}
		if _, err := d.Check(t.Context()); !errors.Is(err, errFull) || errors.Is(err, ErrDamaged) {
			t.Fatalf("check: %v", err) // it would have to flush
		}
		if value, got, err := viewKey(d, "m/a"); string(value) != "before" || got != rev || err != nil {
			t.Fatalf("a read shows %q at %d, %v", value, got, err)
		}
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 50, TotalBytes: 1000})
		clock.advance(spaceInterval)
		if rev, err = d.Commit(t.Context(), putA("before")); err != nil {
			t.Fatalf("space is back: %v", err)
		}
		if s := d.State(); s.Mode != journal.Writable {
			t.Fatalf("state %v", s)
		}
	}
}

// Between two looks at the clock much can be written: that makes another look
// due, too.
func TestWhatIsWrittenMakesALookAtTheSpaceDue(t *testing.T) {
	mem := vfs.NewMem()
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 100, TotalBytes: 1000})
	o := options(mem)
	o.ReserveBytes, o.Now = 50, (&fakeClock{now: time.Unix(0, 0)}).Now // which stands still
	d := mustOpen(t, o)
	defer d.Close()
	if _, err := d.Commit(t.Context(), putA("x")); err != nil {
		t.Fatal(err)
	}
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 49, TotalBytes: 1000})
	written := 0
	var err error
	for err == nil && written < 2*spaceWritten {
		value := strings.Repeat("x", journal.MaxTxnBytes/2)
		_, err = d.Commit(t.Context(), putA(value))
		written += len(value)
	}
	if !errors.Is(err, errFull) || written < spaceWritten/2 {
		t.Fatalf("after %d bytes: %v", written, err)
	}
}

// The log finds no space: what is under way becomes unknown after a second,
// what comes is refused at once, reads go on, and when space returns the held
// write continues and nothing was lost.
func TestALogWithoutSpaceIsWaitedOut(t *testing.T) {
	fs := newFullDisk(isLog)
	clock := &fakeClock{now: time.Unix(0, 0)}
	o := options(fs)
	o.Now = clock.Now
	d := mustOpen(t, o)
	defer d.Close()
	for round := range 3 {
		before, after := fmt.Sprint("before ", round), fmt.Sprint("after ", round)
		if _, err := d.Commit(t.Context(), putA(before)); err != nil {
			t.Fatal(err)
		}
		fs.full.Store(true)
		answer := make(chan error)
		go func() {
			_, err := d.Commit(context.Background(), putA("held"))
			answer <- err
		}()
		fs.await(d)
		if s := d.State(); s.Mode != journal.Full {
			t.Fatalf("state %v", s)
		}
		if _, err := d.Commit(t.Context(), putA("refused")); !errors.Is(err, journal.ErrRefused) {
			t.Fatalf("while the disk is full: %v", err)
		}
		clock.advance(fullPatience)
		if err := <-answer; !errors.Is(err, journal.ErrUnknown) || !errors.Is(err, errFull) {
			t.Fatalf("held for a second: %v", err)
		}
		if value, _, err := viewKey(d, "m/a"); string(value) != before || err != nil {
			t.Fatalf("a read shows %q, %v", value, err)
		}
		fs.full.Store(false)
		awaitSpace(t, d, clock)
		if value, _, err := viewKey(d, "m/a"); string(value) != "held" || err != nil {
			t.Fatalf("the held commit was lost: %q, %v", value, err)
		}
		if _, err := d.Commit(t.Context(), putA(after)); err != nil {
			t.Fatal(err)
		}
		left, err := Open(testDir, options(crash(fs.mem, 0, 0)))
		if err != nil {
			t.Fatal(err)
		}
		if value, _, err := viewKey(left, "m/a"); string(value) != after || err != nil {
			t.Fatalf("after a power cut: %q, %v", value, err)
		}
		if err := left.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// awaitSpace returns once a commit is taken again.
func awaitSpace(t *testing.T, d *Driver, clock *fakeClock) {
	t.Helper()
	for range 100000 {
		clock.advance(fullMemory)
		_, err := d.Commit(t.Context(), journal.Txn{Ops: []journal.Op{{Key: "m/probe"}}})
		if err == nil {
			return
		}
		if !errors.Is(err, journal.ErrRefused) && !errors.Is(err, journal.ErrUnknown) {
			t.Fatal(err)
		}
	}
	t.Fatal("space is back, but commits are not")
}

// A partial write is continued where it stopped.
func TestAPartialWriteIsContinued(t *testing.T) {
	mem := vfs.NewMem()
	if err := mem.MkdirAll("e", 0o700); err != nil {
		t.Fatal(err)
	}
	short := &shortFS{FS: mem}
	l := newLatch(options(nil).withDefaults().Logger)
	s := newSpace(mem, "e", options(mem).withDefaults())
	s.bePatient()
	g := &guardFS{FS: short, dir: "e", latch: l, space: s}
	f, err := g.Create("e/000001.log", categoryPopkv)
	if err != nil {
		t.Fatal(err)
	}
	n, err := f.Write([]byte("all of it"))
	if err := errors.Join(err, f.Close(), l.cause()); n != 9 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if b, err := mem.UnsafeGetFileDataBuffer("e/000001.log"); string(b) != "all of it" || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
}

// A shortFS writes two bytes at a time and finds no space for the rest.
type shortFS struct{ vfs.FS }

func (s *shortFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.Create(name, c)
	return &shortFile{f}, err
}

type shortFile struct{ vfs.File }

func (f *shortFile) Write(p []byte) (int, error) {
	if len(p) <= 2 {
		return f.File.Write(p)
	}
	n, err := f.File.Write(p[:2])
	return n, errors.Join(err, syscall.ENOSPC)
}

// Tables find no space: commits stop when the memory is full of what cannot be
// flushed, and come back with the space.
func TestTablesWithoutSpaceRecover(t *testing.T) {
	fs := newFullDisk(isTable)
	clock := &fakeClock{now: time.Unix(0, 0)}
	o := options(fs)
	o.Now = clock.Now
	o.memTableBytes = 64 << 10
	d := mustOpen(t, o)
	defer d.Close()
	var load workload
	fs.full.Store(true)
	var rev journal.Rev
	var failure error
	for failure == nil {
		var next journal.Rev
		answered := make(chan struct{})
		go func() {
			next, failure = load.step(context.Background(), d, 0, rev)
			close(answered)
		}()
		for waiting := true; waiting; {
			select {
			case <-answered:
				waiting = false
			case <-fs.found:
				clock.advance(fullPatience)
			}
		}
		if failure == nil {
			rev = next
		}
	}
	if !errors.Is(failure, journal.ErrRefused) && !errors.Is(failure, journal.ErrUnknown) {
		t.Fatal(failure)
	}
	if err := checkWorkload(t.Context(), d, snapshotOf(&load.acked), snapshotOf(&load.begun)); err != nil {
		t.Fatalf("reads on a full disk: %v", err)
	}
	fs.full.Store(false)
	awaitSpace(t, d, clock)
	if err := checkWorkload(t.Context(), d, snapshotOf(&load.acked), snapshotOf(&load.begun)); err != nil {
		t.Fatal(err)
	}
	if s := d.State(); s.Mode != journal.Writable {
		t.Fatalf("state %v", s)
	}
}

func TestTheBallastIsGivenUpAndPutBack(t *testing.T) {
	fs := newFullDisk(isLog)
	roomy := vfs.DiskUsage{AvailBytes: 1000, TotalBytes: 1000}
	fs.mem.TestingSetDiskUsage(roomy)
	clock := &fakeClock{now: time.Unix(0, 0)}
	o := options(fs)
	o.BallastBytes, o.Now = 100, clock.Now
	d := mustOpen(t, o)
	defer d.Close()
	ballast := func() bool {
		_, err := fs.Stat(testDir + "/" + ballastName)
		return err == nil
	}
	if !ballast() {
		t.Fatal("no ballast at first")
	}
	fs.full.Store(true)
	answer := make(chan error)
	go func() {
		_, err := d.Commit(context.Background(), putA("held"))
		answer <- err
	}()
	fs.await(d)
	if ballast() {
		t.Fatal("the ballast was not given up")
	}
	fs.full.Store(false)
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
	awaitSpace(t, d, clock)
	clock.advance(spaceInterval)
	if d.State(); !ballast() {
		t.Fatal("the ballast was not put back")
	}
}

func TestAStartOnAFullDiskUsesTheBallast(t *testing.T) {
	mem := vfs.NewMem()
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1000, TotalBytes: 1000})
	o := options(mem)
	o.BallastBytes, o.ReserveBytes = 100, 200
	d := mustOpen(t, o)
	if _, err := d.Commit(t.Context(), putA("x")); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1, TotalBytes: 1000})
	d = mustOpen(t, o)
	defer d.Close()
	if _, err := mem.Stat(testDir + "/" + ballastName); err == nil {
		t.Fatal("the ballast is still there")
	}
	if value, _, err := viewKey(d, "m/a"); string(value) != "x" || err != nil {
		t.Fatalf("a read shows %q, %v", value, err)
	}
	if _, err := d.Commit(t.Context(), putA("y")); !errors.Is(err, journal.ErrRefused) {
		t.Fatalf("got %v", err)
	}
}

// A start does not wait for space: it says that there is none, and succeeds
// when there is some.
func TestAStartWithoutSpaceSaysSo(t *testing.T) {
	for name, matches := range map[string]func(fsOp) bool{
		"none at all":  func(fsOp) bool { return true },
		"for the log":  isLog,
		"for a table":  isTable,
		"for manifest": func(op fsOp) bool { return strings.HasPrefix(op.name, "MANIFEST") },
	} {
		t.Run(name, func(t *testing.T) {
			var load workload
			fs := newFullDisk(matches)
			d := mustOpen(t, options(fs))
			load.fill(t, d, 10)
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			fs.full.Store(true)
			if _, err := Open(testDir, options(fs)); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, ErrDamaged) {
				t.Fatalf("got %v", err)
			}
			fs.full.Store(false)
			d = mustOpen(t, options(fs))
			defer d.Close()
			if err := checkWorkload(t.Context(), d, snapshotOf(&load.acked), snapshotOf(&load.begun)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Closing does not wait for space for tables either, with commits stuck behind
// them.
func TestCloseDoesNotWaitForTables(t *testing.T) {
	fs := newFullDisk(isTable)
	o := options(fs)
	o.memTableBytes = 64 << 10
	d := mustOpen(t, o)
	fs.full.Store(true)
	var load workload
	var wg sync.WaitGroup
	for w := range load.acked {
		wg.Go(func() {
			err := load.run(t.Context(), d, w)
			if !errors.Is(err, journal.ErrRefused) && !errors.Is(err, journal.ErrFailed) {
				t.Errorf("a commit on a full disk answers %v", err)
			}
		})
	}
	fs.await(d)
	if err := d.Close(); err != nil && !errors.Is(err, journal.ErrFailed) {
		t.Fatal(err)
	}
	wg.Wait()
	fs.full.Store(false)
	d, err := Open(testDir, options(crash(fs.mem, 0, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := checkWorkload(t.Context(), d, snapshotOf(&load.acked), snapshotOf(&load.begun)); err != nil {
		t.Fatal(err)
	}
}

// Closing does not wait for space: what is held is given up as failed.
func TestCloseDoesNotWaitForSpace(t *testing.T) {
	fs := newFullDisk(isLog)
	d := mustOpen(t, options(fs))
	if _, err := d.Commit(t.Context(), putA("before")); err != nil {
		t.Fatal(err)
	}
	fs.full.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := d.Commit(context.Background(), putA("held")); err == nil || errors.Is(err, journal.ErrRefused) {
			t.Errorf("a held commit answers %v", err)
		}
	})
	fs.await(d)
	if err := d.Close(); !errors.Is(err, journal.ErrFailed) {
		t.Fatalf("close: %v", err)
	}
	wg.Wait()
	fs.full.Store(false)
	d, err := Open(testDir, options(crash(fs.mem, 0, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if value, _, err := viewKey(d, "m/a"); string(value) != "before" || err != nil {
		t.Fatalf("%q, %v", value, err)
	}
}

// A sync that finds no space is a failed sync like any other: trying again
// would succeed without the data.
func TestASyncWithoutSpaceIsAFailure(t *testing.T) {
	fs := &faultFS{FS: vfs.NewMem()}
	d := mustOpen(t, options(fs))
	defer d.Close()
	var once atomic.Bool
	fs.set(func(op fsOp) fault {
		if op.kind == "sync" && op.log() && once.CompareAndSwap(false, true) {
			return fault{err: syscall.ENOSPC}
		}
		return fault{}
	})
	if _, err := d.Commit(t.Context(), putA("x")); !errors.Is(err, journal.ErrFailed) {
		t.Fatalf("got %v", err)
	}
	if s := d.State(); s.Mode != journal.Failed {
		t.Fatalf("state %v", s)
	}
}
