//go:build !linux

package cfjs

import "time"

// A cpuClock stands in for the processor time of a thread, which this system
// tells only the thread itself: it counts wall time.
type cpuClock struct{ start time.Time }

func currentThread() cpuClock { return cpuClock{start: time.Now()} }

func (c cpuClock) now() time.Duration { return time.Since(c.start) }
