package cfworker

import (
	"sync"
	"time"

	"github.com/popkv/popkv"
)

// When a function is refused. AWS throttles a function after repeated overruns
// and for about ten minutes (observed); the numbers are assumed. New code has a
// clean record.
const (
	breakerStrikes = 3                // overruns until the function is refused
	breakerPause   = 10 * time.Second // the first refusal; each further overrun doubles it
	breakerMax     = 10 * time.Minute // the longest refusal, and how long an overrun is remembered
	breakerRecords = 1024             // functions remembered before old ones are swept
)

// A breaker refuses functions that exceeded their limits lately.
type breaker struct {
	now func() time.Time

	mu      sync.Mutex
	records map[breakerKey]*overruns
}

// A breakerKey is one version of one function.
type breakerKey struct {
	function string
	hash     programHash
}

// overruns is the record of one function.
type overruns struct {
	count  int
	last   time.Time
	refuse time.Time // until then
}

func newBreaker(now func() time.Time) *breaker {
	return &breaker{now: now, records: map[breakerKey]*overruns{}}
}

// admit fails with [popkv.Throttled] while the call's function is refused.
func (b *breaker) admit(c Call) error {
	if c.Function == "" {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.records[breakerKey{c.Function, c.Program.hash}]; r != nil && b.now().Before(r.refuse) {
		return popkv.Errorf(popkv.Throttled, "the function is refused for a while because it exceeded its limits")
	}
	return nil
}

// record takes note of a call that was stopped or cost a process.
func (b *breaker) record(c Call) {
	if c.Function == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	key := breakerKey{c.Function, c.Program.hash}
	r := b.records[key]
	if r == nil || now.Sub(r.last) > breakerMax {
		b.sweep(now)
		r = &overruns{}
		b.records[key] = r
	}
	r.count++
	r.last = now
	if r.count >= breakerStrikes {
		r.refuse = now.Add(min(breakerMax, breakerPause<<min(r.count-breakerStrikes, 10)))
	}
}

// sweep forgets what has no effect any more, when there is much to remember.
func (b *breaker) sweep(now time.Time) {
	if len(b.records) < breakerRecords {
		return
	}
	for key, r := range b.records {
		if now.Sub(r.last) > breakerMax {
			delete(b.records, key)
		}
	}
}
