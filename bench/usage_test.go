package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// A usage is what a process has used since it began.
type usage struct {
	CPU      time.Duration // user and system
	RSSBytes int64         // now
}

func ownUsage() (usage, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return usage{}, err
	}
	rss, err := residentBytes(os.Getpid())
	return usage{CPU: time.Duration(u.Utime.Nano() + u.Stime.Nano()), RSSBytes: rss}, err
}

// residentBytes is what a process holds of the machine's memory.
func residentBytes(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	line, _, _ := bytes.Cut(rest, []byte("kB"))
	kib, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 64)
	return kib << 10, err
}
