//go:build !linux

package cfjs

import "time"

// A Thread stands in for a thread, whose processor time this system tells only
// the thread itself: it counts wall time.
type Thread struct{ start time.Time }

// CurrentThread returns the calling thread, which the caller must have locked
// itself to.
func CurrentThread() Thread { return Thread{start: time.Now()} }

var processStart = time.Now()

// processUsed is the wall time since the process began.
func processUsed() time.Duration { return time.Since(processStart) }

// Used is the wall time since the thread was asked for.
func (c Thread) Used() time.Duration { return time.Since(c.start) }
