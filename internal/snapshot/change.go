package snapshot

import (
	"slices"
	"strings"

	"github.com/popkv/popkv"
)

// A Change is what one write does to a store: all puts and deletes take effect
// together. It names no key twice and no empty key; the caller has validated
// that, and a Change that does otherwise makes Apply and Encode panic.
type Change struct {
	Puts    []popkv.Item
	Deletes []string
}

// Empty reports whether the change does nothing to any snapshot.
func (c Change) Empty() bool { return len(c.Puts) == 0 && len(c.Deletes) == 0 }

// sorted returns the change with puts and deletes in ascending order of key,
// without touching c's own slices.
func (c Change) sorted() Change {
	byKey := func(a, b popkv.Item) int { return strings.Compare(a.Key, b.Key) }
	if !slices.IsSortedFunc(c.Puts, byKey) {
		c.Puts = slices.Clone(c.Puts)
		slices.SortFunc(c.Puts, byKey)
	}
	if !slices.IsSorted(c.Deletes) {
		c.Deletes = slices.Clone(c.Deletes)
		slices.Sort(c.Deletes)
	}
	return c
}

// valid reports whether a sorted change names no empty key and no key twice.
func (c Change) valid() bool {
	last := ""
	for len(c.Puts) > 0 || len(c.Deletes) > 0 {
		var key string
		if len(c.Deletes) == 0 || len(c.Puts) > 0 && c.Puts[0].Key < c.Deletes[0] {
			key, c.Puts = c.Puts[0].Key, c.Puts[1:]
		} else {
			key, c.Deletes = c.Deletes[0], c.Deletes[1:]
		}
		if key <= last {
			return false
		}
		last = key
	}
	return true
}

// An op is one key of a change and the pair it gets; a nil pair deletes.
type op struct {
	key string
	put pair
}

// ops returns the change as one list in ascending order of key.
func (c Change) ops() []op {
	ops := make([]op, 0, len(c.Puts)+len(c.Deletes))
	for _, item := range c.Puts {
		ops = append(ops, op{item.Key, newPair(item)})
	}
	for _, key := range c.Deletes {
		ops = append(ops, op{key, nil})
	}
	slices.SortFunc(ops, func(a, b op) int { return strings.Compare(a.key, b.key) })
	for i := range ops {
		if ops[i].key == "" || i > 0 && ops[i].key == ops[i-1].key {
			panic("snapshot: a change names an empty key or a key twice")
		}
	}
	return ops
}
