package cfworker

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// executable is this very program, even if its file was replaced since it was
// started.
func executable() (string, error) { return "/proc/self/exe", nil }

// processAttributes make a process that dies with the thread that started it
// and does not get the terminal's signals.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// A processClock tells the processor time of another process, all threads
// together.
type processClock struct{ id int32 }

func clockOf(pid int) processClock {
	// The kernel's encoding of "scheduler time of process": see
	// clock_getcpuclockid(3) and linux/posix-timers.h.
	const processSched = 2
	return processClock{^int32(pid)<<3 | processSched}
}

func (processClock) works() bool { return true }

// now is false for a process that is gone.
func (c processClock) now() (time.Duration, bool) {
	var ts unix.Timespec
	if err := unix.ClockGettime(c.id, &ts); err != nil {
		return 0, false
	}
	return time.Duration(ts.Nano()), true
}

// A fuse ends this process when it has used some processor time, whether or not
// the parent gets a processor to look: a timer of the kernel that sends SIGKILL.
type fuse struct{ timer int32 }

func newFuse() (fuse, error) {
	// struct sigevent of linux/siginfo.h; 0 is SIGEV_SIGNAL.
	event := struct {
		value          uint64
		signal, notify int32
		_              [48]byte
	}{signal: int32(unix.SIGKILL)}
	var f fuse
	_, _, errno := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_PROCESS_CPUTIME_ID,
		uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&f.timer)))
	if errno != 0 {
		return f, os.NewSyscallError("timer_create", errno)
	}
	return f, nil
}

// set lights the fuse; 0 puts it out.
func (f fuse) set(d time.Duration) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
	_, _, errno := unix.Syscall6(unix.SYS_TIMER_SETTIME, uintptr(f.timer), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("timer_settime", errno)
	}
	return nil
}

// startQuietly lets a process start with a low priority: that takes as much of a
// processor as hundreds of calls. It does nothing unless this process may undo
// it, which takes the right CAP_SYS_NICE.
func startQuietly(pid int) {
	if base, may := ownPriority(); may {
		_ = unix.Setpriority(unix.PRIO_PGRP, pid, min(base+10, 19))
	}
}

// started undoes startQuietly.
func started(pid int) {
	if base, may := ownPriority(); may {
		_ = unix.Setpriority(unix.PRIO_PGRP, pid, base)
	}
}

// ownPriority returns the nice value of this process, and whether it may raise
// another's to it.
var ownPriority = sync.OnceValues(func() (nice int, mayRaise bool) {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, os.Getpid()) // 20 - nice
	if err != nil {
		return 0, false
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, false
	}
	return 20 - raw, data[0].Effective&(1<<unix.CAP_SYS_NICE) != 0
})

// yieldProcessor makes a thread the last in line for a processor, for the rest of
// its life: to take that back needs rights. It runs when nothing else wants to,
// and whatever wakes up takes the processor from it at once, which a low priority
// alone does not promise. That it fails matters little.
func yieldProcessor(thread int) {
	if thread <= 0 {
		return // 0 is the calling one
	}
	_ = unix.SchedSetAttr(thread, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
}

// currentThread is the thread that the caller is locked to.
func currentThread() int { return unix.Gettid() }

// limitMemory lets this process have no more than so many bytes of memory,
// counting what it has.
//
// RLIMIT_AS is useless here: Go and the C library reserve more than a gigabyte
// of addresses without using them. RLIMIT_DATA counts only pages that are
// private and writable, which Go's heap becomes as it grows, in steps of 4 MiB;
// what is reserved at the start (arenas of the C library, stacks of threads) is
// measured and added. A thread that starts later costs 8 MiB of the limit,
// which it hardly uses. The kernel checks it when memory is mapped, so nothing
// can outrun it, as it could outrun a look at the resident size: with limits
// from 32 to 256 MiB the peak was at most 8 MiB more. A cgroup would do as
// well, but needs rights that popkv does not have everywhere.
//
// Go's own soft limit stands below it, so that garbage is collected before the
// process dies.
func limitMemory(bytes int64) error {
	debug.SetMemoryLimit(bytes * 3 / 4)
	// If the machine runs out of memory, let it take this process first.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	mapped, err := statusBytes("VmData")
	if err != nil {
		return err
	}
	resident, err := statusBytes("VmRSS")
	if err != nil {
		return err
	}
	limit := uint64(mapped + max(minGrowth, bytes-resident))
	return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: limit, Max: limit})
}

// minGrowth is what a worker needs to run anything at all.
const minGrowth = 32 << 20

// statusBytes reads a number of /proc/self/status.
func statusBytes(name string) (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(status, []byte("\n"+name+":"))
	rest, _, found := bytes.Cut(rest, []byte(" kB\n"))
	kilobytes, err := strconv.ParseInt(string(bytes.TrimSpace(rest)), 10, 64)
	if !found || err != nil {
		return 0, fmt.Errorf("no %s in /proc/self/status", name)
	}
	return kilobytes << 10, nil
}
