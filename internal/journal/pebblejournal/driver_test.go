package pebblejournal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/journaltest"
)

// After a failed sync nothing is acknowledged, what was under way is unknown,
// what waited was refused, and a restart finds all that was acknowledged.
func TestAfterAFailedSyncNothingIsAcknowledged(t *testing.T) {
	for _, persisted := range []bool{false, true} {
		t.Run(fmt.Sprintf("persisted %v", persisted), func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			fs := &faultFS{FS: mem}
			d := mustOpen(t, options(fs))
			before, err := d.Commit(t.Context(), putA("before"))
			if err != nil {
				t.Fatal(err)
			}
			v, err := d.View(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			var once atomic.Bool // one sync fails; all later ones would succeed
			fs.set(func(op fsOp) fault {
				if op.kind == "sync" && op.log() && once.CompareAndSwap(false, true) {
					return fault{syscall.EIO, persisted}
				}
				return fault{}
			})
			var wg sync.WaitGroup
			wg.Go(func() {
				for e, err := range d.Watch(t.Context(), "", before) {
					if err == nil || !errors.Is(err, journal.ErrFailed) {
						t.Errorf("watch yields %v, %v", e, err)
					}
				}
			})
			for range 32 {
				wg.Go(func() {
					_, err := d.Commit(context.Background(), putA("after"))
					if !errors.Is(err, journal.ErrFailed) && !errors.Is(err, journal.ErrRefused) {
						t.Errorf("a commit around a failed sync answers %v", err)
					}
				})
			}
			wg.Wait()
			for name, call := range map[string]func() error{
				"Commit": func() error { _, err := d.Commit(t.Context(), putA("after")); return err },
				"Stage": func() error {
					return d.Stage(t.Context(), journal.Guard{Key: "m/a", Rev: before}, []journal.Op{{Key: "c/a"}})
				},
				"Revs":     func() error { _, err := d.Revs(t.Context(), []string{"m/a"}); return err },
				"View":     func() error { _, err := d.View(t.Context()); return err },
				"View.Get": func() error { _, _, err := v.Get("m/a"); return err },
				"Check":    func() error { _, err := d.Check(t.Context()); return err },
				"Close":    d.Close,
			} {
				if err := call(); !errors.Is(err, journal.ErrFailed) && !(name != "Close" && errors.Is(err, journal.ErrRefused)) {
					t.Errorf("%s answers %v", name, err)
				}
			}
			if s := d.State(); s.Mode != journal.Failed || !errors.Is(s.Cause, syscall.EIO) {
				t.Errorf("state %v", s)
			}
			d = mustOpen(t, options(crash(mem, 0, 0)))
			defer d.Close()
			want := "before"
			if persisted {
				want = "after"
			}
			if value, _, err := viewKey(d, "m/a"); string(value) != want || err != nil {
				t.Errorf("after a restart %q, %v, want %q", value, err, want)
			}
		})
	}
}

func TestAPanicOfTheEngineIsAFailure(t *testing.T) {
	fs := &faultFS{FS: vfs.NewMem()}
	d := mustOpen(t, options(fs))
	defer d.Close()
	d.write.Lock()
	d.write.revs.db = nil // as a bug would
	d.write.Unlock()
	_, err := d.Commit(t.Context(), journal.Txn{Guards: []journal.Guard{{Key: "m/unread"}}, Ops: []journal.Op{{Key: "m/a"}}})
	if !errors.Is(err, journal.ErrFailed) || d.State().Mode != journal.Failed {
		t.Fatalf("got %v in state %v", err, d.State())
	}
}

func TestASecondProcessIsSentToTheEndpoint(t *testing.T) {
	dir := t.TempDir()
	o := options(nil)
	d, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	wantLocked := func(err error) {
		t.Helper()
		if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "--endpoint") || !strings.Contains(err.Error(), dir) {
			t.Fatalf("got %v", err)
		}
	}
	_, err = Open(dir, o)
	wantLocked(err)
	if _, err := d.Commit(t.Context(), putA("x")); err != nil {
		t.Fatalf("the first is disturbed: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}

	child := exec.Command(os.Args[0], "-test.run=^TestHelperHoldsTheLock$")
	child.Env = append(os.Environ(), "POPKV_TEST_HOLD="+dir)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	_, err = Open(dir, o)
	wantLocked(err)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	if err := child.Wait(); err == nil {
		t.Fatal("the other process was not killed")
	}
	d, err = Open(dir, o)
	if err != nil {
		t.Fatalf("the other process is dead: %v", err)
	}
	defer d.Close()
	if value, _, err := viewKey(d, "m/a"); string(value) != "x" || err != nil {
		t.Fatalf("%q, %v", value, err)
	}
}

// TestHelperHoldsTheLock is the other process of the test above.
func TestHelperHoldsTheLock(t *testing.T) {
	dir := os.Getenv("POPKV_TEST_HOLD")
	if dir == "" {
		t.Skip("only for a child process")
	}
	if _, err := Open(dir, options(nil)); err != nil {
		t.Fatal(err)
	}
	fmt.Println("held")
	_, _ = io.ReadAll(os.Stdin) // until the parent kills this process
}

func TestOtherProcessesCannotReadTheDirectory(t *testing.T) {
	dir := t.TempDir() + "/new"
	d, err := Open(dir, options(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
}

// While a sync is held up, the queue takes what it may and refuses the rest.
func TestAFullQueueRefuses(t *testing.T) {
	fs := &faultFS{FS: vfs.NewMem()}
	d := mustOpen(t, options(fs))
	defer d.Close()
	reached, free := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fs.set(func(op fsOp) fault {
		if op.kind == "sync" && op.log() {
			once.Do(func() { close(reached) })
			<-free
		}
		return fault{}
	})
	value := make([]byte, journal.MaxTxnBytes/2)
	var wg sync.WaitGroup
	var taken, refused atomic.Int64
	commit := func(value []byte) {
		_, err := d.Commit(context.Background(), journal.Txn{Ops: []journal.Op{{Key: "m/a", Value: value}}})
		switch {
		case err == nil:
			taken.Add(1)
		case errors.Is(err, journal.ErrRefused):
			refused.Add(1)
		default:
			t.Error(err)
		}
	}
	wg.Go(func() { commit(nil) })
	<-reached
	const callers = 2*queueBytes/(journal.MaxTxnBytes/2) + 100
	for range callers {
		wg.Go(func() { commit(value) })
	}
	for refused.Load() == 0 {
		if d.State().Mode != journal.Writable {
			t.Fatal("a full queue is not a full disk")
		}
	}
	close(free)
	wg.Wait()
	if taken.Load() < queueBytes/int64(len(value))/2 || taken.Load()+refused.Load() != callers+1 {
		t.Fatalf("%d were taken, %d refused, of %d", taken.Load(), refused.Load(), callers+1)
	}
}

// The conformance suite with a cache of two revisions: nearly everything is
// read back from the engine.
func TestConformanceWithoutACache(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) journaltest.Harness {
		h := harness(t, 0)
		forget := func(d journal.Driver) journal.Driver {
			w := &d.(*Driver).write
			w.Lock()
			defer w.Unlock()
			w.revs.atMost = 2
			return d
		}
		forget(h.Driver)
		crash := h.Crash
		h.Crash = func(t *testing.T) journal.Driver { return forget(crash(t)) }
		return h
	})
}

// The root digest that commits keep up is the one a recount finds, whatever
// the cache holds.
func TestTheRootDigestIsKeptUp(t *testing.T) {
	seed := newSeed(t)
	rng := rand.New(rand.NewPCG(seed, 3))
	d := mustOpen(t, options(vfs.NewMem()))
	defer d.Close()
	for i := range 400 {
		if i%50 == 0 {
			d.write.Lock()
			d.write.revs.atMost = 1 + rng.IntN(40)
			d.write.Unlock()
		}
		var txn journal.Txn
		for range 1 + rng.IntN(4) {
			kind := []string{"m", "k", "n", "l", "c", "i", "t", "!gate"}[rng.IntN(8)]
			op := journal.Op{Kind: journal.OpKind(rng.IntN(3)), Key: fmt.Sprintf("%s/%02d", kind, rng.IntN(30)), Value: []byte{byte(i)}}
			op.End = op.Key + "5"
			if next := append(txn.Ops, op); (journal.Txn{Ops: next}).Check() == nil {
				txn.Ops = next
			}
		}
		if _, err := d.Commit(t.Context(), txn); err != nil {
			t.Fatal(err)
		}
		if sum, err := recount(d.db, d.id); err != nil || sum != d.write.head.digest {
			t.Fatalf("after commit %d the keys add up to %v, the root says %v: %v", i, sum, d.write.head.digest, err)
		}
	}
}

func TestTheEngineIsSetUpAsDecided(t *testing.T) {
	d := mustOpen(t, Options{FS: vfs.NewMem()})
	defer d.Close()
	o := d.engineOptions()
	if engineFormat != 24 || d.db.FormatMajorVersion() != 24 {
		t.Errorf("engine format %v", d.db.FormatMajorVersion())
	}
	if o.MemTableSize != 16<<20 || o.WALBytesPerSync != 0 || o.WALMinSyncInterval != nil || o.WALFailover != nil ||
		o.Experimental.ValueSeparationPolicy != nil || o.DisableAutomaticCompactions || o.DisableWAL {
		t.Errorf("options %+v", o)
	}
	for i := range o.Levels {
		if o.Levels[i].FilterPolicy != bloom.FilterPolicy(10) {
			t.Errorf("level %d has filter %v", i, o.Levels[i].FilterPolicy)
		}
	}
	if d.o.ReserveBytes != 64<<20 || d.o.BallastBytes != 16<<20 {
		t.Errorf("reserve %d, ballast %d", d.o.ReserveBytes, d.o.BallastBytes)
	}
}

// What the engine calls fatal fails the driver and does not return to it.
func TestAFatalErrorOfTheEngineLatches(t *testing.T) {
	d := mustOpen(t, options(vfs.NewMem()))
	returned := make(chan struct{})
	go func() {
		engineLogger{d.latch}.Fatalf("no way on: %d", 7)
		close(returned)
	}()
	<-d.latch.tripped
	if s := d.State(); s.Mode != journal.Failed || !strings.Contains(s.Cause.Error(), "no way on: 7") {
		t.Fatalf("state %v", s)
	}
	select {
	case <-returned:
		t.Fatal("Fatalf returned")
	default:
	}
	// Damage that a read meets is not fatal: the default would be.
	sound := mustOpen(t, options(vfs.NewMem()))
	defer sound.Close()
	sound.engineOptions().EventListener.DataCorruption(pebble.DataCorruptionInfo{Path: "x.sst", Details: errors.New("flip")})
	if s := sound.State(); s.Mode != journal.Writable {
		t.Fatalf("state %v", s)
	}
}

func TestCloseWaitsForViews(t *testing.T) {
	d := mustOpen(t, options(vfs.NewMem()))
	if _, err := d.Commit(t.Context(), putA("x")); err != nil {
		t.Fatal(err)
	}
	v, err := d.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- d.Close() }()
	<-d.closing
	if value, _, err := v.Get("m/a"); string(value) != "x" || err != nil {
		t.Fatalf("a view of a closing driver shows %q, %v", value, err)
	}
	select {
	case <-closed:
		t.Fatal("closed before the view")
	default:
	}
	v.Close()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
}

// An import stages at the disk's pace: it syncs as it goes.
func TestStageSyncsAsItGoes(t *testing.T) {
	fs := &faultFS{FS: vfs.NewMem()}
	d := mustOpen(t, options(fs))
	defer d.Close()
	var syncs atomic.Int64
	fs.set(func(op fsOp) fault {
		if op.kind == "sync" && op.log() {
			syncs.Add(1)
		}
		return fault{}
	})
	rev, err := d.Commit(t.Context(), journal.Txn{Ops: []journal.Op{{Key: "i/g"}}})
	if err != nil {
		t.Fatal(err)
	}
	var chunks []journal.Op
	for i := range 5 * stageSyncBytes / (64 << 10) {
		chunks = append(chunks, journal.Op{Key: fmt.Sprintf("c/g/%04d", i), Value: make([]byte, 64<<10)})
	}
	if err := d.Stage(t.Context(), journal.Guard{Key: "i/g", Rev: rev}, chunks); err != nil {
		t.Fatal(err)
	}
	if n := syncs.Load(); n < 5 {
		t.Fatalf("%d syncs for %d bytes", n, 5*stageSyncBytes)
	}
}
