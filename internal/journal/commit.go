package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/snapshot"
)

// maxRecordBytes is the longest plain record. A longer change becomes a reset:
// a new generation, and a record that names it.
const maxRecordBytes = 64 << 10

// maxRetries bounds how often a change starts again because another process
// or the other plane was faster.
const maxRetries = 16

// errOvertaken: the store has moved on, and the step no longer fits it.
var errOvertaken = fmt.Errorf("%w: the store has moved on", ErrGuard)

// Update changes the items of a store. change runs on the current head while
// the store's writer turn is held, so what it compares (an ETag, a quota)
// still holds when its result is committed; it may run again after another
// process wrote first, and must not call the journal. Its error is returned as
// it is.
//
// What change returns is reduced to what has an effect; if that is nothing,
// nothing is committed and the head is returned as it is. Otherwise it becomes
// one record, and Update returns the new head once that is durable.
//
// Update fails like [Journal.Head], and with [popkv.WrongState] when a store
// with a change is not READY. [popkv.Unavailable] says in its message whether
// nothing was changed or the outcome is unknown; in the latter case the store
// takes no writes until it is known.
//
// ctx bounds the wait for earlier writers and for the load. Once the write is
// handed to the driver, Update waits for its outcome.
func (j *Journal) Update(ctx context.Context, id popkv.StoreID, principal string, change func(*Head) (snapshot.Change, error)) (*Head, error) {
	s := j.pin(id)
	defer j.unpin(s)
	if err := s.turn.take(ctx); err != nil {
		return nil, err
	}
	defer s.turn.release()
	if err := j.clearDoubt(ctx, s); err != nil {
		return nil, unavailable(err)
	}
	for range maxRetries {
		st, err := j.ensure(ctx, s)
		if err != nil {
			return nil, err
		}
		c, err := change(st.head)
		if err != nil {
			return nil, err
		}
		c = st.head.Items.Effective(c)
		if c.Empty() {
			return st.head, nil
		}
		if st.head.Status != popkv.Ready {
			return nil, wrongState()
		}
		next, err := j.write(ctx, s, st, principal, c)
		if err == nil {
			return next.head, nil
		}
		if !errors.Is(err, errOvertaken) {
			return nil, unavailable(err)
		}
		j.count.conflicts.Add(1)
	}
	return nil, unavailable(errOvertaken)
}

// write commits an effective change as the version after st.
func (j *Journal) write(ctx context.Context, s *store, st *state, principal string, c snapshot.Change) (*state, error) {
	items := st.head.Items.Apply(c)
	rec := j.record(&st.head.Meta, principal, items)
	rec.Kind, rec.Change = snapshot.Plain, c
	raw := rec.Encode()
	if len(raw) > maxRecordBytes {
		rec.Kind, rec.Change = snapshot.Reset, snapshot.Change{}
		return j.reset(ctx, s, st, rec, items)
	}
	return j.advance(ctx, s, st, step{
		stamp: rec.CommitID,
		ops:   []Op{putRecord(rec, raw)},
		next: func(h *Head) (*Head, bool) {
			return &Head{h.Meta.after(rec, raw), items}, fits(rec, h)
		},
	})
}

// record drafts the record that follows m and leaves items behind; its kind is
// the caller's.
func (j *Journal) record(m *Meta, principal string, items *snapshot.Snapshot) *snapshot.Record {
	return &snapshot.Record{
		Store:     m.Store,
		Lineage:   m.Lineage,
		Version:   m.Version + 1,
		Time:      later(j.now(), m.RecordTime),
		Principal: principal,
		CommitID:  j.random(),
		Items:     items.Len(),
		SizeBytes: items.SizeBytes(),
		Prev:      m.Chain,
		Digest:    items.Digest(),
	}
}

// fits reports whether rec may be the next record of a store that is at h now.
func fits(rec *snapshot.Record, h *Head) bool {
	return h.Chain == rec.Prev && h.Status == popkv.Ready
}

// later keeps record times from running backwards when the clock does.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// putRecord stores a record's bytes as they were made.
func putRecord(rec *snapshot.Record, raw []byte) Op {
	key := logKey(rec.Store, rec.Version)
	return Op{Kind: Put, Key: key, Value: seal(key, rec.CommitID, raw)}
}

func putMeta(key string, m *Meta, stamp id128) Op {
	return Op{Kind: Put, Key: key, Value: seal(key, stamp, m.encode())}
}

// A step rewrites a store's meta in one commit, with what goes along.
type step struct {
	stamp  id128
	guards []Guard // beside the gate's and meta's
	ops    []Op    // beside meta's
	// next makes the head that follows h; false: the step does not fit h.
	next func(h *Head) (*Head, bool)
}

// advance commits a step on st and publishes the result. The guard is meta's
// revision; when that has moved and the step still fits (a change of status, a
// fold), meta is made anew and sent with the same bytes of the record. The
// caller holds the writer's turn.
//
// It fails with errOvertaken, or as [Journal.settle] does; after errInDoubt
// the store is in doubt.
func (j *Journal) advance(ctx context.Context, s *store, st *state, p step) (*state, error) {
	for range maxRetries {
		head, fits := p.next(st.head)
		if !fits {
			return nil, errOvertaken
		}
		a := attempt{stamp: p.stamp, txn: Txn{
			Guards: append([]Guard{j.guardGate(), {Key: s.meta, Rev: st.rev}}, p.guards...),
			Ops:    append([]Op{putMeta(s.meta, &head.Meta, p.stamp)}, p.ops...),
		}}
		rev, err := j.settle(ctx, a)
		if err == nil {
			j.count.commits.Add(1)
			next := &state{head, rev}
			j.publish(s, next, 0)
			if foldDue(&head.Meta) {
				j.addChore(s.id, choreFold)
			}
			return next, nil
		}
		if errors.Is(err, errInDoubt) {
			j.raiseDoubt(s, a)
			return nil, err
		}
		if !errors.Is(err, ErrGuard) {
			return nil, err
		}
		gateRev := j.gateRev.Load()
		fresh, err := j.refresh(ctx, s, st)
		if err != nil {
			return nil, err
		}
		if fresh.rev == st.rev && gateRev == j.gateRev.Load() {
			return nil, fmt.Errorf("%w: the intent of the new generation is gone", ErrRefused)
		}
		st = fresh
	}
	return nil, ErrGuard
}

// raiseDoubt keeps an attempt of unknown outcome, and the store's entry with
// it. The caller holds the turn.
func (j *Journal) raiseDoubt(s *store, a attempt) {
	s.doubt = &a
	j.pin(s.id)
	j.count.inDoubt.Add(1)
	j.addChore(s.id, choreSettle)
	j.log.Warn("the outcome of a write is unknown; the store takes no writes until it is", "store", s.id.String())
}

// clearDoubt tries to learn the outcome of an earlier write. The caller holds
// the turn.
func (j *Journal) clearDoubt(ctx context.Context, s *store) error {
	if s.doubt == nil {
		return nil
	}
	rev, err := j.resettle(ctx, *s.doubt, ErrUnknown, 1)
	if errors.Is(err, errInDoubt) {
		return err
	}
	// Applied or not, what is in memory may be behind.
	j.withdraw(s, rev)
	s.doubt = nil
	j.unpin(s)
	j.count.inDoubt.Add(-1)
	j.log.Info("the outcome of an earlier write is known", "store", s.id.String(), "applied", err == nil)
	return nil
}
