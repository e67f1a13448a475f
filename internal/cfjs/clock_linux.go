package cfjs

import (
	"time"

	"golang.org/x/sys/unix"
)

// A Thread is a thread of the system. It tells its processor time to any thread.
type Thread struct{ id int32 }

// CurrentThread returns the calling thread, which the caller must have locked
// itself to.
func CurrentThread() Thread {
	// The kernel's encoding of "scheduler time of thread": see
	// clock_getcpuclockid(3) and linux/posix-timers.h.
	const perThreadSched = 4 | 2
	return Thread{id: ^int32(unix.Gettid())<<3 | perThreadSched}
}

// processUsed is the processor time that this process has used so far.
func processUsed() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// Used is the processor time that the thread has used so far.
func (c Thread) Used() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(c.id, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
