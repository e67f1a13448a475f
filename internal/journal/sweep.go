package journal

import (
	"context"
	"strings"

	"github.com/popkv/popkv"
)

// sweepAll looks at every store that has a log or chunks, deleted ones
// included. It runs once after the start, beside the requests, and skips from
// store to store without reading what lies between. A store that is damaged
// keeps what it has, and keeps no other from being swept.
func (j *Journal) sweepAll(ctx context.Context) error {
	for _, kind := range []string{"c/", "l/"} {
		from := kind
		for {
			var id popkv.StoreID
			var found bool
			err := j.look(ctx, func(view View) error {
				key, err := firstKey(view, from, PrefixEnd(kind))
				id, found = storeOfKey(key)
				return err
			})
			if err != nil {
				return err
			}
			if !found {
				break
			}
			if err := j.sweep(ctx, id); isDamage(err) {
				j.log.Error("a damaged store is not swept", "store", id.String(), "error", err.Error())
			} else if err != nil {
				return err
			}
			from = PrefixEnd(kind + id.String() + "/")
		}
	}
	return j.sweepTombstones(ctx)
}

// firstKey returns the first key in [from, end), or "".
func firstKey(view View, from, end string) (string, error) {
	for kv, err := range view.Scan(from, end, 1) {
		return strings.Clone(kv.Key), err
	}
	return "", nil
}

// sweep deletes what nothing refers to any more: generations that meta does
// not name and no intent protects, records older than history, and everything
// of a store that is gone. One view decides; ids are never reused and history
// never grows backwards, so it stays true.
func (j *Journal) sweep(ctx context.Context, id popkv.StoreID) error {
	var dead []string
	err := j.look(ctx, func(view View) (err error) {
		dead, err = j.unreferenced(view, id)
		return err
	})
	if err != nil || len(dead) == 0 {
		return err
	}
	return j.deleteAll(ctx, dead)
}

// deleteAll deletes keys in steps. Point deletes, not ranges: those slow reads
// of the engine's neighbouring keys down for long.
func (j *Journal) deleteAll(ctx context.Context, keys []string) error {
	for len(keys) > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n := min(len(keys), MaxOps)
		t := Txn{Guards: []Guard{j.guardGate()}}
		for _, key := range keys[:n] {
			t.Ops = append(t.Ops, Op{Kind: Delete, Key: key})
		}
		if _, err := j.send(ctx, t); err != nil {
			return j.gateMoved(ctx, err)
		}
		j.count.swept.Add(uint64(n))
		keys = keys[n:]
	}
	return nil
}

// unreferenced returns the keys of a store's log and chunks that may go.
func (j *Journal) unreferenced(view View, id popkv.StoreID) ([]string, error) {
	m, rev, err := lookupMeta(view, id)
	if err != nil {
		return nil, err
	}
	live := map[id128]bool{}
	for i := range m.Generations {
		live[m.Generations[i].ID] = true
	}
	for kv, err := range view.Scan(intentsPrefix(id), PrefixEnd(intentsPrefix(id)), 0) {
		if err != nil {
			return nil, err
		}
		if g, ok := generationOfKey(kv.Key); ok {
			live[g] = true
		}
	}
	dead, err := deadChunks(view, id, live)
	if err != nil {
		return nil, err
	}
	end := PrefixEnd(logPrefix(id))
	if rev != 0 {
		end = logKey(id, m.Generations[0].Version)
	}
	return appendKeys(dead, view, logPrefix(id), end)
}

// deadChunks skips from generation to generation.
func deadChunks(view View, id popkv.StoreID, live map[id128]bool) (dead []string, err error) {
	from, end := chunksPrefix(id), PrefixEnd(chunksPrefix(id))
	for {
		key, err := firstKey(view, from, end)
		if err != nil || key == "" {
			return dead, err
		}
		g, ok := generationOfKey(key)
		if !ok {
			return dead, damaged(key, "this is no chunk's key")
		}
		from = PrefixEnd(generationPrefix(id, g))
		if live[g] {
			continue
		}
		if dead, err = appendKeys(dead, view, generationPrefix(id, g), from); err != nil {
			return nil, err
		}
	}
}

func appendKeys(keys []string, view View, from, end string) ([]string, error) {
	for kv, err := range view.Scan(from, end, 0) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, strings.Clone(kv.Key))
	}
	return keys, nil
}

// sweepTombstones deletes those that have told their story.
func (j *Journal) sweepTombstones(ctx context.Context) error {
	var old []string
	err := j.look(ctx, func(view View) error {
		old = nil
		for kv, err := range view.Scan("t/", PrefixEnd("t/"), 0) {
			if err != nil {
				return err
			}
			deleted, err := decodeTombstone(kv.Key, kv.Value)
			if err != nil {
				continue // for a verification to report
			}
			if j.now().Sub(deleted) >= tombstoneAge {
				old = append(old, strings.Clone(kv.Key))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return j.deleteAll(ctx, old)
}
