//go:build !linux

package cfworker

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"syscall"
	"time"
)

func executable() (string, error) { return os.Executable() }

func processAttributes() *syscall.SysProcAttr { return nil }

// A processClock tells nothing here: wall time counts instead.
type processClock struct{}

func clockOf(int) processClock { return processClock{} }

func (processClock) works() bool { return false }

func (processClock) now() (time.Duration, bool) { return 0, true }

// A fuse does nothing here; the parent looks alone.
type fuse struct{}

func newFuse() (fuse, error) { return fuse{}, nil }

func (fuse) set(time.Duration) error { return nil }

func startQuietly(int) {}

func started(int) {}

func yieldProcessor(int) {}

func currentThread() int { return 0 }

// ownLook is how often a process looks after itself.
const ownLook = 5 * time.Millisecond

// limitMemory ends this process when it has more memory than so many bytes, or
// no parent any more. It is the process itself that looks, so a limit can be
// passed by what is allocated between two looks.
func limitMemory(bytes int64) error {
	debug.SetMemoryLimit(bytes * 3 / 4)
	parent := os.Getppid()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	go func() {
		for range time.Tick(ownLook) {
			if os.Getppid() != parent {
				os.Exit(1)
			}
			if metrics.Read(sample); sample[0].Value.Uint64() > uint64(bytes) {
				os.Stderr.WriteString("function worker: out of memory\n")
				os.Exit(1)
			}
		}
	}()
	return nil
}
