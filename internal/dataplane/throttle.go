package dataplane

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A throttle is one token bucket per account, each as deep as one second's
// allowance. Accounts come from verified requests, so there are as many
// buckets as accounts with keys.
type throttle struct {
	perSecond int
	now       func() time.Time

	mu      sync.Mutex
	buckets map[string]*rate.Limiter
}

func newThrottle(perSecond int, now func() time.Time) *throttle {
	return &throttle{perSecond: perSecond, now: now, buckets: map[string]*rate.Limiter{}}
}

func (t *throttle) allow(account string) bool {
	t.mu.Lock()
	bucket, ok := t.buckets[account]
	if !ok {
		bucket = rate.NewLimiter(rate.Limit(t.perSecond), t.perSecond)
		t.buckets[account] = bucket
	}
	t.mu.Unlock()
	return bucket.AllowN(t.now(), 1)
}
