package dataplane

import (
	"context"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/snapshot"
)

// A Journal keeps the stores. *journal.Journal is one.
//
// Every method fails with [popkv.StoreNotFound] for a store that never
// existed, with [popkv.WrongState] for one deleted lately and with
// [popkv.Unavailable] when storage cannot answer.
type Journal interface {
	// Meta returns what is known of the store without loading its items.
	Meta(ctx context.Context, store popkv.StoreID) (journal.Meta, error)
	// Head returns the store as it stands, immutable, no older than any
	// write answered before the call.
	Head(ctx context.Context, store popkv.StoreID) (*journal.Head, error)
	// Scan calls fn for each catalog record with from <= key < end, in order.
	Scan(ctx context.Context, from, end string, limit int, fn func(key string, value []byte) error) error
	// Update runs change on the current head while the store's writer turn
	// is held and commits what it returns; it may run change again. The
	// returned head is durable. A change without effect commits nothing and
	// returns the head as it is; an error of change is returned as it is.
	Update(ctx context.Context, store popkv.StoreID, principal string, change func(*journal.Head) (snapshot.Change, error)) (*journal.Head, error)
}

// Options tune a [Service]. Start from [popkv.DefaultLimits]: the zero Limits
// allow nothing.
type Options struct {
	Limits popkv.Limits
	Now    func() time.Time // for the request rate only; nil: time.Now
}

// A Service answers the six operations. It may be used concurrently.
type Service struct {
	journal  Journal
	limits   popkv.Limits
	throttle *throttle // nil: no rate limit
}

// New returns a Service on j.
func New(j Journal, o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Service{journal: j, limits: o.Limits}
	if o.Limits.RequestsPerSecond > 0 {
		s.throttle = newThrottle(o.Limits.RequestsPerSecond, o.Now)
	}
	return s
}

// A Target is a store that a caller may address: what [Service.Open] returns
// and every operation takes. Opening reads no state, so the store need not
// exist.
type Target struct {
	Caller popkv.Caller
	Store  popkv.StoreID
}

// ARN is the store's ARN in its one canonical spelling.
func (t Target) ARN() popkv.ARN { return popkv.StoreARN(t.Caller.Account, t.Store) }

// Open returns the store that arn names. An ARN of anything but a store fails
// with [popkv.Invalid], one of another account than the caller's with
// [popkv.Denied] (assumed: there is no cross-account access).
func (s *Service) Open(caller popkv.Caller, arn popkv.ARN) (Target, error) {
	id, ok := arn.StoreID()
	if !ok {
		return Target{}, popkv.Errorf(popkv.Invalid, "the ARN does not name a key value store: the form is arn:aws:cloudfront::ACCOUNT:key-value-store/ID")
	}
	if arn.Account != caller.Account {
		return Target{}, popkv.Errorf(popkv.Denied, "the key value store belongs to another account than the caller")
	}
	return Target{Caller: caller, Store: id}, nil
}

// Throttle counts one request of the account. It fails with [popkv.Throttled]
// when the account has made more than RequestsPerSecond, which is off by
// default (divergence 18).
func (s *Service) Throttle(account string) error {
	if s.throttle == nil || s.throttle.allow(account) {
		return nil
	}
	return popkv.Errorf(popkv.Throttled, "Rate exceeded")
}

// Counts is a store's size after an operation.
type Counts struct {
	ItemCount int
	SizeBytes int64 // UTF-8 bytes of all keys and values, no overhead (observed)
}

func countsOf(m *journal.Meta) Counts { return Counts{ItemCount: m.Items, SizeBytes: m.SizeBytes} }

// owned fails as if the store did not exist when it is another account's, so
// that an ARN with the caller's account and a foreign id tells nothing.
func owned(m *journal.Meta, t Target) error {
	if m.Account != t.Caller.Account {
		return popkv.Errorf(popkv.StoreNotFound, "Key-Value-Store not found")
	}
	return nil
}

// usable fails with [popkv.WrongState] unless the store's items can be read
// and written: only DescribeKeyValueStore answers for a store that is being
// provisioned or whose import failed (assumed, divergence 9).
func usable(m *journal.Meta, t Target) error {
	if err := owned(m, t); err != nil {
		return err
	}
	if m.Status != popkv.Ready {
		return popkv.Errorf(popkv.WrongState, "Key-Value-Store was not in expected state")
	}
	return nil
}
