package journal

import (
	"context"
	"sync/atomic"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/snapshot"
)

// A Head is a store at one version: what reads see and writes start from. It
// never changes.
type Head struct {
	Meta
	Items *snapshot.Snapshot // empty unless the store is READY; shadows Meta.Items, the count
}

// A store is one store in this process. It is *absent* (state nil, no flight),
// *loading* (flight), *resident* (state) or, resident or not, *in doubt*
// (doubt): a write was sent whose outcome is unknown, and none is taken until
// it is. A deleted store is absent, and loading it says that it is gone.
// Entries exist only while they are resident or pinned.
type store struct {
	id    popkv.StoreID
	meta  string                // the key of its meta
	state atomic.Pointer[state] // written under Journal.mu, read by anyone
	used  atomic.Bool           // since the eviction hand last came by
	turn  turn                  // the writer's

	doubt *attempt // held with the turn

	// Guarded by Journal.mu.
	pins   int     // calls, and a doubt, that need the entry to stay
	bytes  int64   // counted against the budget
	slot   int     // in memory.ring while bytes > 0
	flight *flight // the load under way
	floor  Rev     // states of an older meta are not published
}

// A state is what a resident store has: its head and meta's revision.
type state struct {
	head *Head
	rev  Rev
}

// A turn admits one holder at a time; others queue in order of arrival.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take waits for the turn, at most until ctx ends.
func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return popkv.Wrap(popkv.Unavailable, context.Cause(ctx), "timed out waiting for earlier writes: nothing was changed")
	}
}

func (t turn) release() { <-t }

// Head returns the store at its current version, loading it if need be. It
// fails with [popkv.StoreNotFound]; with [popkv.WrongState] for a store that
// was deleted less than 24 hours ago; with [popkv.Unavailable] when the driver
// cannot be read or the memory budget cannot be had in time; with
// [popkv.Internal] when the stored data is damaged.
func (j *Journal) Head(ctx context.Context, id popkv.StoreID) (*Head, error) {
	if st := j.resident(id); st != nil {
		return st.head, nil
	}
	s := j.pin(id)
	defer j.unpin(s)
	st, err := j.ensure(ctx, s)
	if err != nil {
		return nil, err
	}
	return st.head, nil
}

// Meta returns what is known of a store without loading its items. It fails
// like [Journal.Head].
func (j *Journal) Meta(ctx context.Context, id popkv.StoreID) (Meta, error) {
	if st := j.resident(id); st != nil {
		return st.head.Meta, nil
	}
	var m Meta
	err := j.look(ctx, func(view View) (err error) {
		m, _, err = j.readMeta(view, id)
		return err
	})
	return m, err
}

// resident returns the state of a store that is in memory. It takes no lock.
func (j *Journal) resident(id popkv.StoreID) *state {
	entry, ok := j.stores.Load(id)
	if !ok {
		return nil
	}
	s := entry.(*store)
	st := s.state.Load()
	if st != nil && !s.used.Load() {
		s.used.Store(true)
	}
	return st
}

// pin returns the store's entry and keeps it from being evicted.
func (j *Journal) pin(id popkv.StoreID) *store {
	j.mu.Lock()
	defer j.mu.Unlock()
	entry, ok := j.stores.Load(id)
	if !ok {
		entry = &store{id: id, meta: metaKey(id), turn: newTurn()}
		j.stores.Store(id, entry)
	}
	s := entry.(*store)
	s.pins++
	return s
}

// unpin undoes pin.
func (j *Journal) unpin(s *store) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s.pins--
	if s.pins > 0 {
		return
	}
	if s.state.Load() == nil {
		j.stores.Delete(s.id)
		return
	}
	j.memory.signal()
}

// publish makes st what readers see, unless a newer meta was seen already, and
// gives back what the load of it had reserved. A store that is not READY has
// nothing to keep in memory.
func (j *Journal) publish(s *store, st *state, reserved int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.memory.used -= reserved
	if st.rev < s.floor {
		j.memory.signal()
		return
	}
	s.floor = st.rev
	if st.head.Status != popkv.Ready {
		s.state.Store(nil)
		j.memory.account(s, 0)
		j.memory.signal()
		return
	}
	j.memory.account(s, costBytes(st.head))
	s.state.Store(st)
	j.evict(0)
}

// withdraw takes the store out of memory, so that the next touch loads it.
// States read or written before rev are not published any more.
func (j *Journal) withdraw(s *store, rev Rev) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s.floor = max(s.floor, rev)
	s.state.Store(nil)
	j.memory.account(s, 0)
	if s.pins == 0 {
		j.stores.CompareAndDelete(s.id, s)
	}
}

// costBytes is what a resident head takes in memory.
func costBytes(h *Head) int64 { return h.Items.MemoryBytes() + storeOverheadBytes }

// storeOverheadBytes is what a store takes beside its items.
const storeOverheadBytes = 1 << 10
