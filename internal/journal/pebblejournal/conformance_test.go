package pebblejournal

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/journaltest"
)

const testDir = "data"

// options returns what tests use: no ballast and no reserve.
func options(fs vfs.FS) Options {
	return Options{FS: fs, ReserveBytes: -1, BallastBytes: -1}
}

func mustOpen(t testing.TB, o Options) *Driver {
	t.Helper()
	d, err := Open(testDir, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// crash returns the file system as a power cut leaves it, with a share of what
// was not synced.
func crash(fs *vfs.MemFS, percent int, seed uint64) *vfs.MemFS {
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, 0))})
}

func TestConformance(t *testing.T) {
	for name, percent := range map[string]int{"nothing unsynced survives": 0, "half survives": 50, "all survives": 100} {
		t.Run(name, func(t *testing.T) {
			journaltest.Run(t, func(t *testing.T) journaltest.Harness { return harness(t, percent) })
		})
	}
}

func harness(t *testing.T, percent int) journaltest.Harness {
	mem := vfs.NewCrashableMem()
	fs := &faultFS{FS: mem}
	d := mustOpen(t, options(fs))
	t.Cleanup(func() { closeIfSound(t, d) })
	seed := uint64(1)
	return journaltest.Harness{
		Driver: d,
		Crash: func(t *testing.T) journal.Driver {
			seed++
			after := crash(mem, percent, seed)
			closeIfSound(t, d)
			mem, fs = after, &faultFS{FS: after}
			d = mustOpen(t, options(fs))
			return d
		},
		Lose: func(t *testing.T, applied bool) {
			if percent > 0 && !applied {
				t.Skip("this power cut may keep what was not synced")
			}
			fs.set(func(op fsOp) fault {
				if op.kind == "sync" && op.log() {
					return fault{syscall.EIO, applied}
				}
				return fault{}
			})
		},
		Hold: func(*testing.T) (<-chan struct{}, func()) {
			reached, free := make(chan struct{}), make(chan struct{})
			var once sync.Once
			fs.set(func(op fsOp) fault {
				if op.kind == "sync" && op.log() {
					once.Do(func() { close(reached) })
					<-free
				}
				return fault{}
			})
			return reached, func() { close(free) }
		},
	}
}

// closeIfSound closes a driver that has not failed; a failed one leaves its
// engine behind, as it must.
func closeIfSound(t *testing.T, d *Driver) {
	t.Helper()
	if err := d.Close(); err != nil && d.latch.cause() == nil {
		t.Errorf("close: %v", err)
	}
}

func TestNothingIsLeftBehindByAClose(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	fs := vfs.NewMem()
	for range 2 {
		d := mustOpen(t, options(fs))
		if _, err := d.Commit(t.Context(), journal.Txn{Ops: []journal.Op{{Key: "m/a"}}}); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
