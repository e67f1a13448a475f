package cfjs

import (
	"time"

	"golang.org/x/sys/unix"
)

// A cpuClock tells the processor time of one thread, to any thread.
type cpuClock struct{ id int32 }

// currentThread returns the clock of the calling thread, which the caller must
// have locked itself to.
func currentThread() cpuClock {
	// The kernel's encoding of "scheduler time of thread": see
	// clock_getcpuclockid(3) and linux/posix-timers.h.
	const perThreadSched = 4 | 2
	return cpuClock{id: ^int32(unix.Gettid())<<3 | perThreadSched}
}

func (c cpuClock) now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(c.id, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
