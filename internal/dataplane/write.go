package dataplane

import (
	"context"
	"strconv"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/snapshot"
)

// An Outcome is the store after a write.
type Outcome struct {
	Counts
	ETag string
}

// Put writes one item and returns the store as it stands afterwards.
//
// expect is the ETag that the caller last saw; if it is not current, Put
// writes nothing and fails with [popkv.StaleETag]. A value that the key
// already has makes no new version (divergence 2). When Put returns nil the
// item is durable and visible to every later read.
//
// Source: CloudFront KeyValueStore API, PutKey (documented); the order of the
// checks is assumed (divergence 13), see docs/operations/put-key.md.
func (s *Service) Put(ctx context.Context, t Target, key, value, expect string) (Outcome, error) {
	if err := checkKey("/Key", key); err != nil {
		return Outcome{}, err
	}
	if err := checkValue("/Value", value); err != nil {
		return Outcome{}, err
	}
	if err := checkExpected(expect); err != nil {
		return Outcome{}, err
	}
	change := snapshot.Change{Puts: []popkv.Item{{Key: key, Value: value}}}
	return s.commit(ctx, t, change, expect)
}

// Delete removes one key; everything else is as with [Service.Put]. A key
// that is not there makes no new version and is no failure (divergence 1).
//
// Source: CloudFront KeyValueStore API, DeleteKey (documented).
func (s *Service) Delete(ctx context.Context, t Target, key, expect string) (Outcome, error) {
	if err := checkKey("/Key", key); err != nil {
		return Outcome{}, err
	}
	if err := checkExpected(expect); err != nil {
		return Outcome{}, err
	}
	return s.commit(ctx, t, snapshot.Change{Deletes: []string{key}}, expect)
}

// Update applies puts and deletes in one step, all or nothing (documented),
// and makes one version if any of them has an effect. A key named twice,
// in one list or in both, fails with [popkv.Invalid] (divergence 3). Two
// empty lists succeed without a new version (divergence 4).
//
// Source: CloudFront KeyValueStore API, UpdateKeys (documented).
func (s *Service) Update(ctx context.Context, t Target, puts []popkv.Item, deletes []string, expect string) (Outcome, error) {
	if err := checkBatch(puts, deletes); err != nil {
		return Outcome{}, err
	}
	if err := checkExpected(expect); err != nil {
		return Outcome{}, err
	}
	return s.commit(ctx, t, snapshot.Change{Puts: puts, Deletes: deletes}, expect)
}

// checkBatch holds every key to the model and refuses one named twice.
func checkBatch(puts []popkv.Item, deletes []string) error {
	seen := make(map[string]struct{}, len(puts)+len(deletes))
	check := func(list string, i int, key string) error {
		member := "/" + list + "/" + strconv.Itoa(i) + "/Key"
		if err := checkKey(member, key); err != nil {
			return err
		}
		if _, twice := seen[key]; twice {
			return constraint(member, "be unique among Puts and Deletes")
		}
		seen[key] = struct{}{}
		return nil
	}
	for i := range puts {
		if err := check("Puts", i, puts[i].Key); err != nil {
			return err
		}
		if err := checkValue("/Puts/"+strconv.Itoa(i)+"/Value", puts[i].Value); err != nil {
			return err
		}
	}
	for i, key := range deletes {
		if err := check("Deletes", i, key); err != nil {
			return err
		}
	}
	return nil
}

// commit checks change against the current head and commits it, both in the
// store's writer turn.
func (s *Service) commit(ctx context.Context, t Target, change snapshot.Change, expect string) (Outcome, error) {
	head, err := s.journal.Update(ctx, t.Store, t.Caller.ARN(), func(head *journal.Head) (snapshot.Change, error) {
		if err := usable(&head.Meta, t); err != nil {
			return snapshot.Change{}, err
		}
		if err := s.itemQuotas(change); err != nil {
			return snapshot.Change{}, err
		}
		if expect != popkv.DataETag(head.Version) {
			return snapshot.Change{}, popkv.Errorf(popkv.StaleETag, messageStale)
		}
		// A store that is over a lowered limit may still shrink.
		if grown := growth(head.Items, change); grown > 0 && head.SizeBytes+grown > s.limits.StoreBytes {
			return snapshot.Change{}, popkv.Errorf(popkv.ItemQuota, messageStoreSize)
		}
		return change, nil
	})
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Counts: countsOf(&head.Meta), ETag: popkv.DataETag(head.Version)}, nil
}

// itemQuotas holds a change to the quotas of a batch and of each item.
func (s *Service) itemQuotas(change snapshot.Change) error {
	if len(change.Puts)+len(change.Deletes) > s.limits.UpdateKeys {
		return BatchTooLarge()
	}
	for i := range change.Puts {
		if err := s.keyQuota(change.Puts[i].Key); err != nil {
			return err
		}
		if err := s.valueQuota(change.Puts[i].Value); err != nil {
			return err
		}
	}
	for _, key := range change.Deletes {
		if err := s.keyQuota(key); err != nil {
			return err
		}
	}
	return nil
}

// growth is what change adds to the size of items, in bytes; it may be
// negative.
func growth(items *snapshot.Snapshot, change snapshot.Change) int64 {
	var n int64
	for i := range change.Puts {
		n += change.Puts[i].SizeBytes()
		n -= sizeBytes(items, change.Puts[i].Key)
	}
	for _, key := range change.Deletes {
		n -= sizeBytes(items, key)
	}
	return n
}

func sizeBytes(items *snapshot.Snapshot, key string) int64 {
	value, ok := items.View(key)
	if !ok {
		return 0
	}
	return int64(len(key)) + int64(len(value))
}
