package snapshot

import (
	"iter"
	"slices"
)

// A Snapshot is the whole contents of one store at one version. It never
// changes; any number of goroutines may read it at once.
//
// It is a tree of fixed depth: the root is a row of nodes, a node a row of
// blocks, a block a run of pairs. A version shares with the one before it all
// but the root, the nodes and the blocks that the change touched. The root's
// length, and with it a small part of the cost of Apply, grows with the store:
// by one entry of 16 bytes for some 1,500 pairs.
type Snapshot struct {
	key  DigestKey
	root row[*node]
	tally
}

// A tally is what is known of a snapshot's pairs as a whole.
type tally struct {
	items     int
	sizeBytes int64
	sum       sum128
	heapBytes int64 // of all nodes
}

func (t *tally) add(key DigestKey, p pair) {
	t.items++
	t.sizeBytes += p.sizeBytes()
	t.sum = t.sum.plus(key.term(p))
}

func (t *tally) remove(key DigestKey, p pair) {
	t.items--
	t.sizeBytes -= p.sizeBytes()
	t.sum = t.sum.minus(key.term(p))
}

// Empty returns the snapshot of a store without items.
func Empty(key DigestKey) *Snapshot { return &Snapshot{key: key} }

// Len returns the number of items.
func (s *Snapshot) Len() int { return s.items }

// SizeBytes returns the UTF-8 bytes of all keys and values.
func (s *Snapshot) SizeBytes() int64 { return s.sizeBytes }

// Digest returns the content digest.
func (s *Snapshot) Digest() Digest { return s.sum.digest() }

// Key returns the key of the content digest. It is a secret of the store.
func (s *Snapshot) Key() DigestKey { return s.key }

// MemoryBytes returns the heap bytes of the snapshot, as if it shared none of
// them with another.
func (s *Snapshot) MemoryBytes() int64 {
	const self = 192
	return self + s.heapBytes + int64(len(s.root.children))*nodeBytes
}

// View returns the value of key without copying or allocating. The bytes are
// part of the snapshot: they must not be written to, and they keep their whole
// block in memory.
func (s *Snapshot) View(key string) (value []byte, ok bool) {
	if s.items == 0 {
		return nil, false
	}
	n := s.root.children[s.root.find(key)]
	b := n.children[n.find(key)]
	i, ok := b.search(key)
	if !ok {
		return nil, false
	}
	_, value = b.at(i).split()
	return slices.Clip(value), true // an append must not reach the next pair
}

// Get returns a copy of the value of key.
func (s *Snapshot) Get(key string) (value string, ok bool) {
	v, ok := s.View(key)
	return string(v), ok
}

// Has reports whether there is an item with that key.
func (s *Snapshot) Has(key string) bool {
	_, ok := s.View(key)
	return ok
}

// After returns copies of the items whose key is greater than key, in
// ascending order of their bytes. After("") is all items. Beginning costs
// about one Get, wherever in the store.
func (s *Snapshot) After(key string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for p := range s.pairs(key) {
			// One copy for both; the value's part keeps the key's alive.
			k, v := p.split()
			both := string(p[len(p)-len(v)-len(k):])
			if !yield(both[:len(k)], both[len(k):]) {
				return
			}
		}
	}
}

// pairs returns aliases of the pairs whose key is greater than after.
func (s *Snapshot) pairs(after string) iter.Seq[pair] {
	return func(yield func(pair) bool) {
		if s.items == 0 {
			return
		}
		i := s.root.find(after)
		j := s.root.children[i].find(after)
		k, found := s.root.children[i].children[j].search(after)
		if found {
			k++
		}
		for _, n := range s.root.children[i:] {
			for _, b := range n.children[j:] {
				for ; k < b.len(); k++ {
					if !yield(b.at(k)) {
						return
					}
				}
				k = 0
			}
			j = 0
		}
	}
}

// Recount computes count, size and digest anew from the items themselves: if
// they differ from Len, SizeBytes and Digest, memory is damaged.
func (s *Snapshot) Recount() (items int, sizeBytes int64, d Digest) {
	var t tally
	for p := range s.pairs("") {
		t.add(s.key, p)
	}
	return t.items, t.sizeBytes, t.sum.digest()
}

// Effective returns c without the puts that equal what is there and the
// deletes of keys that are not. It shares nothing that c's owner may change.
func (s *Snapshot) Effective(c Change) Change {
	var e Change
	for _, item := range c.Puts {
		if old, ok := s.View(item.Key); !ok || string(old) != item.Value {
			e.Puts = append(e.Puts, item)
		}
	}
	for _, key := range c.Deletes {
		if s.Has(key) {
			e.Deletes = append(e.Deletes, key)
		}
	}
	return e
}
