package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/popkv/popkv"
)

// catalogTurn serialises this process's catalog commits. Without it they would
// only make each other start again, and what a lost answer left behind could
// not be told from a later commit's.
type catalogTurn struct {
	turn  turn
	doubt *catalogCommit // held with the turn; its outcome is unknown
	open  atomic.Bool    // doubt is set, for Stats
}

// A catalogCommit is what a transaction came to.
type catalogCommit struct {
	attempt
	stores  []popkv.StoreID // whose meta it changes
	dropped []popkv.StoreID
}

// Catalog runs fn as one transaction on the catalog and the metas of stores.
// fn reads one consistent view and gathers changes; they are committed in one
// durable step, if nothing that fn read has changed. Otherwise, and after a
// view moved on, fn runs again from the start: it must have no other effect.
// It must not call Catalog. A transaction without changes commits nothing, and
// may read as much as it likes; one with changes guards at most 15 keys.
//
// fn's error ends the transaction and is returned as it is. Otherwise Catalog
// fails with [popkv.Unavailable], which says whether nothing was changed or the
// outcome is unknown, or with [popkv.Internal] for damage and misuse.
func (j *Journal) Catalog(ctx context.Context, fn func(tx *Tx) error) error {
	stamp := j.random()
	var held heldTurns
	defer held.release()
	for range maxRetries {
		// The first time no turn is held: most transactions only read. Later
		// fn runs while the catalog and the stores that it read stand still.
		tx, err := j.runTx(ctx, stamp, fn)
		if err != nil {
			return err
		}
		c, err := tx.commit()
		if err != nil || c == nil {
			return err
		}
		if !held.catalog {
			if err := held.takeCatalog(ctx, j); err != nil {
				return err
			}
		}
		err = j.commitCatalog(ctx, c)
		if !errors.Is(err, ErrGuard) || errors.Is(err, errInDoubt) {
			if err != nil {
				return unavailable(err)
			}
			return nil
		}
		j.count.conflicts.Add(1)
		if err := j.gateMoved(ctx, err); !errors.Is(err, ErrGuard) {
			return unavailable(err)
		}
		if err := held.takeStores(ctx, j, tx); err != nil {
			return err
		}
	}
	return unavailable(ErrGuard)
}

// runTx runs fn on one view, again when that moves on. fn's error is returned
// as it is.
func (j *Journal) runTx(ctx context.Context, stamp id128, fn func(tx *Tx) error) (tx *Tx, err error) {
	var fnErr error
	err = j.look(ctx, func(view View) error {
		tx = &Tx{j: j, view: view, stamp: stamp, now: j.now(), reads: map[string]Rev{}, writes: map[string][]byte{}}
		fnErr = fn(tx)
		tx.view = nil
		if fnErr == nil {
			fnErr = tx.err
		}
		if errors.Is(fnErr, ErrMoved) {
			return fnErr
		}
		return nil
	})
	if err == nil {
		err = fnErr
	}
	return tx, err
}

// commitCatalog commits with the catalog's turn held.
func (j *Journal) commitCatalog(ctx context.Context, c *catalogCommit) error {
	if err := j.clearCatalogDoubt(ctx); err != nil {
		return err
	}
	rev, err := j.settle(ctx, c.attempt)
	if errors.Is(err, errInDoubt) {
		j.catalog.doubt = c
		j.catalog.open.Store(true)
		j.log.Warn("the outcome of a catalog change is unknown; there are no others until it is")
	}
	if err == nil || errors.Is(err, errInDoubt) {
		j.settled(c, rev)
	}
	return err
}

// clearCatalogDoubt tries to learn the outcome of an earlier change. The caller
// holds the catalog's turn.
func (j *Journal) clearCatalogDoubt(ctx context.Context) error {
	before := j.catalog.doubt
	if before == nil {
		return nil
	}
	rev, err := j.resettle(ctx, before.attempt, ErrUnknown, 1)
	if errors.Is(err, errInDoubt) {
		return err
	}
	j.catalog.doubt = nil
	j.catalog.open.Store(false)
	j.settled(before, rev)
	j.log.Info("the outcome of an earlier catalog change is known", "applied", err == nil)
	return nil
}

// settled takes stores whose meta a commit has changed, or may have, out of
// memory; the next touch reads them anew.
func (j *Journal) settled(c *catalogCommit, rev Rev) {
	for _, id := range c.stores {
		if entry, ok := j.stores.Load(id); ok {
			j.withdraw(entry.(*store), rev)
		}
	}
	for _, id := range c.dropped {
		j.addChore(id, choreSweep)
	}
}

// heldTurns are the turns that one Catalog call has come to hold.
type heldTurns struct {
	j       *Journal
	catalog bool
	stores  []*store
}

func (h *heldTurns) takeCatalog(ctx context.Context, j *Journal) error {
	if err := j.catalog.turn.take(ctx); err != nil {
		return err
	}
	h.j, h.catalog = j, true
	return nil
}

// takeStores stops the writers of the stores whose meta tx read, so that a
// busy store cannot keep a transaction from ever ending. Always after the
// catalog's turn and in order of id: a writer that holds one turn waits for no
// other.
func (h *heldTurns) takeStores(ctx context.Context, j *Journal, tx *Tx) error {
	h.releaseStores()
	for _, key := range slices.Sorted(mapKeys(tx.reads)) {
		id, ok := storeOfKey(key)
		if !ok || key[0] != 'm' {
			continue
		}
		s := j.pin(id)
		if err := s.turn.take(ctx); err != nil {
			j.unpin(s)
			return err
		}
		h.stores = append(h.stores, s)
	}
	return nil
}

func (h *heldTurns) releaseStores() {
	for _, s := range h.stores {
		s.turn.release()
		h.j.unpin(s)
	}
	h.stores = nil
}

func (h *heldTurns) release() {
	h.releaseStores()
	if h.catalog {
		h.j.catalog.turn.release()
	}
}

// Scan calls fn for each catalog record with from <= key < end, in order, at
// most limit of them (0: all), as of one moment. It guards nothing. fn's error
// ends the scan and is returned as it is; fn may keep value.
func (j *Journal) Scan(ctx context.Context, from, end string, limit int, fn func(key string, value []byte) error) error {
	type record struct {
		key   string
		value []byte
	}
	var all []record
	err := j.look(ctx, func(view View) error {
		all = all[:0]
		return scanCatalog(view, from, end, limit, func(key string, value []byte) error {
			all = append(all, record{key, value})
			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, r := range all {
		if err := fn(r.key, r.value); err != nil {
			return err
		}
	}
	return nil
}

// scanCatalog hands over copies of catalog values.
func scanCatalog(view View, from, end string, limit int, fn func(key string, value []byte) error) error {
	if !isCatalogKey(from+"\x00") || end == "" {
		return popkv.Errorf(popkv.Internal, "a scan from %q to %q leaves the catalog", from, end)
	}
	for kv, err := range view.Scan(from, end, limit) {
		if err != nil {
			return err
		}
		_, payload, problem := unseal(kv.Key, kv.Value)
		if problem != "" {
			return damaged(kv.Key, problem)
		}
		if err := fn(kv.Key, slices.Clone(payload)); err != nil {
			return err
		}
	}
	return nil
}

func misuse(format string, args ...any) error {
	return popkv.Wrap(popkv.Internal, fmt.Errorf(format, args...), "internal error")
}
