package pebblejournal

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/popkv/popkv/internal/journal"
)

// An entry is what the committer knows of a key: its revision, 0 if absent,
// and its term of the root digest.
type entry struct {
	rev  journal.Rev
	term digest // zero for an absent key and for one the digest leaves out
}

// A revCache holds entries as the engine has them plus what the batch being
// built will change. It is bounded, keeps what was used last, and forgets only
// between batches, so that what it does not hold can be read from the engine.
type revCache struct {
	db     *pebble.DB
	terms  *termer
	young  map[string]entry
	old    map[string]entry
	fresh  map[string]journal.Rev // cold keys changed by the batch being built
	atMost int                    // entries of young
}

const revCacheEntries = 32 << 10 // in each of two generations: about 8 MB at most

func newRevCache(db *pebble.DB, id journal.ID) *revCache {
	return &revCache{
		db: db, terms: newTermer(id), atMost: revCacheEntries,
		young: map[string]entry{}, old: map[string]entry{}, fresh: map[string]journal.Rev{},
	}
}

// begin is called when everything earlier has been applied to the engine.
func (c *revCache) begin() {
	clear(c.fresh)
	if len(c.young) > c.atMost {
		c.old, c.young = c.young, map[string]entry{}
	}
}

// get returns the key's entry in the state that the batch being built has
// reached.
func (c *revCache) get(key string) (entry, error) {
	if cold(key) {
		if rev, ok := c.fresh[key]; ok {
			return entry{rev: rev}, nil
		}
		return c.read(key)
	}
	if e, ok := c.young[key]; ok {
		return e, nil
	}
	e, ok := c.old[key]
	if !ok {
		var err error
		if e, err = c.read(key); err != nil {
			return entry{}, err
		}
	}
	c.young[key] = e
	return e, nil
}

func (c *revCache) read(key string) (entry, error) {
	stored, closer, err := c.db.Get([]byte(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return entry{}, nil
	}
	if err != nil {
		return entry{}, readError(err)
	}
	defer closer.Close()
	rev, _, err := splitValue(stored)
	if err != nil {
		return entry{}, err
	}
	e := entry{rev: rev}
	if inRoot(key) {
		e.term = c.terms.term([]byte(key), stored)
	}
	return e, nil
}

// set notes a change of the batch being built.
func (c *revCache) set(key string, e entry) {
	if cold(key) {
		c.fresh[key] = e.rev
		return
	}
	c.young[key] = e
}
