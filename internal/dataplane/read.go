package dataplane

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// Page sizes of [Service.List] (documented).
const (
	DefaultMaxResults = 10
	MaxMaxResults     = 50
)

// A Description is what DescribeKeyValueStore of the data plane tells.
type Description struct {
	Counts
	ARN           popkv.ARN
	ETag          string
	Status        popkv.Status
	FailureReason string // "" unless Status is [popkv.ImportFailure]
	Created       time.Time
	LastModified  time.Time
}

// Describe returns the store's counts, ETag and status, whatever the status.
// It does not load the items. While a store is provisioned the counts say how
// far its import had come some seconds ago; nothing of it can be read yet.
//
// Source: CloudFront KeyValueStore API, DescribeKeyValueStore (documented);
// that it answers while a store is provisioned is assumed (divergence 9), what
// it counts then as well (divergence 27).
func (s *Service) Describe(ctx context.Context, t Target) (Description, error) {
	m, err := s.journal.Meta(ctx, t.Store)
	if err != nil {
		return Description{}, err
	}
	if err := owned(&m, t); err != nil {
		return Description{}, err
	}
	counts := countsOf(&m)
	if m.Status == popkv.Provisioning {
		imported, err := s.imported(ctx, t.Store)
		if err != nil {
			return Description{}, err
		}
		// The status is read after the progress: an import that ended in
		// between must not be shown as one that has read nothing.
		if m, err = s.journal.Meta(ctx, t.Store); err != nil {
			return Description{}, err
		}
		if counts = countsOf(&m); m.Status == popkv.Provisioning {
			counts = imported
		}
	}
	return Description{
		Counts:        counts,
		ARN:           t.ARN(),
		ETag:          popkv.DataETag(m.Version),
		Status:        m.Status,
		FailureReason: m.FailureReason,
		Created:       m.Created,
		LastModified:  m.LastModified,
	}, nil
}

// imported returns how far a store's import has come. The record that says so is
// internal/controlplane's; only the two counts of it are looked at.
func (s *Service) imported(ctx context.Context, store popkv.StoreID) (Counts, error) {
	var job struct {
		Items     int   `json:"items"`
		SizeBytes int64 `json:"size_bytes"`
	}
	key := journal.ImportJobKey(store)
	err := s.journal.Scan(ctx, key, key+"\x00", 1, func(_ string, value []byte) error {
		return json.Unmarshal(value, &job)
	})
	return Counts{ItemCount: job.Items, SizeBytes: job.SizeBytes}, err
}

// A Found is an item that [Service.Get] found.
type Found struct {
	Counts
	Value []byte // read-only; shares memory with the store's snapshot
}

// Get returns the value of key. A missing key fails with [popkv.KeyNotFound];
// one too long for the quota is missing, as it cannot have been written.
//
// Source: CloudFront KeyValueStore API, GetKey (documented).
func (s *Service) Get(ctx context.Context, t Target, key string) (Found, error) {
	if err := checkKey("/Key", key); err != nil {
		return Found{}, err
	}
	head, err := s.journal.Head(ctx, t.Store)
	if err != nil {
		return Found{}, err
	}
	if err := usable(&head.Meta, t); err != nil {
		return Found{}, err
	}
	value, ok := head.Items.View(key)
	if !ok {
		return Found{}, popkv.Errorf(popkv.KeyNotFound, "Key not found")
	}
	return Found{Counts: countsOf(&head.Meta), Value: value}, nil
}

// A Page is one answer of [Service.List].
type Page struct {
	Items     []popkv.Item
	NextToken string // "" on the last page
}

// List returns up to max items in ascending byte order of their keys, from
// the start or, with a token, after the last item of the page that gave it.
// Each page shows the store as it is at that moment; a token outlives writes.
// A page is shorter than max only if it is the last. max outside 1 to 50 and
// a token that this store did not give fail with [popkv.Invalid].
//
// Source: CloudFront KeyValueStore API, ListKeys (documented); order and
// tokens are assumed (divergence 7).
func (s *Service) List(ctx context.Context, t Target, max int, token string) (Page, error) {
	if max < 1 || max > MaxMaxResults {
		return Page{}, constraint("/MaxResults", "be between 1 and "+strconv.Itoa(MaxMaxResults)+", inclusive")
	}
	after := ""
	if token != "" {
		key, ok := readToken(t.Store, token)
		if !ok {
			return Page{}, popkv.Errorf(popkv.Invalid, "NextToken is not valid for this key value store")
		}
		after = key
	}
	head, err := s.journal.Head(ctx, t.Store)
	if err != nil {
		return Page{}, err
	}
	if err := usable(&head.Meta, t); err != nil {
		return Page{}, err
	}
	var page Page
	for key, value := range head.Items.After(after) {
		if len(page.Items) == max {
			page.NextToken = makeToken(t.Store, page.Items[max-1].Key)
			break
		}
		if page.Items == nil {
			page.Items = make([]popkv.Item, 0, min(max, head.Meta.Items))
		}
		page.Items = append(page.Items, popkv.Item{Key: key, Value: value})
	}
	return page, nil
}
