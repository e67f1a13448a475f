package snapshot

import (
	"iter"
	"slices"
	"strings"

	"github.com/popkv/popkv"
)

// A Snapshot is the whole contents of one store at one version. It never
// changes; any number of goroutines may read it at once.
type Snapshot struct {
	key       DigestKey
	sizeBytes int64
	sum       sum128
	all       []pair
}

// Empty returns the snapshot of a store without items.
func Empty(key DigestKey) *Snapshot { return &Snapshot{key: key} }

// Len returns the number of items.
func (s *Snapshot) Len() int { return len(s.all) }

// SizeBytes returns the UTF-8 bytes of all keys and values.
func (s *Snapshot) SizeBytes() int64 { return s.sizeBytes }

// Digest returns the content digest.
func (s *Snapshot) Digest() Digest { return s.sum.digest() }

// Key returns the key of the content digest.
func (s *Snapshot) Key() DigestKey { return s.key }

// MemoryBytes returns the heap bytes that the snapshot holds.
func (s *Snapshot) MemoryBytes() int64 { return s.sizeBytes + int64(len(s.all))*24 }

func (s *Snapshot) find(key string) (int, bool) {
	return slices.BinarySearchFunc(s.all, key, func(p pair, key string) int { return strings.Compare(string(p.key()), key) })
}

// View returns the value of key without copying or allocating. The bytes are
// part of the snapshot: they must not be written to.
func (s *Snapshot) View(key string) (value []byte, ok bool) {
	i, ok := s.find(key)
	if !ok {
		return nil, false
	}
	_, value = s.all[i].split()
	return value, true
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
// ascending order of their bytes. After("") is all items.
func (s *Snapshot) After(key string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for p := range s.pairs(key) {
			k, v := p.split()
			if !yield(string(k), string(v)) {
				return
			}
		}
	}
}

func (s *Snapshot) pairs(after string) iter.Seq[pair] {
	return func(yield func(pair) bool) {
		i, ok := s.find(after)
		if ok {
			i++
		}
		for _, p := range s.all[i:] {
			if !yield(p) {
				return
			}
		}
	}
}

// Recount computes count, size and digest anew from the items themselves: if
// they differ from Len, SizeBytes and Digest, memory is damaged.
func (s *Snapshot) Recount() (items int, sizeBytes int64, d Digest) {
	var sum sum128
	for p := range s.pairs("") {
		items++
		sizeBytes += p.sizeBytes()
		sum = sum.plus(s.key.term(p))
	}
	return items, sizeBytes, sum.digest()
}

// Effective returns c without the puts that equal what is there and the
// deletes of keys that are not.
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

// Apply returns the snapshot after c. Deleting an absent key does nothing.
func (s *Snapshot) Apply(c Change) *Snapshot {
	next := *s
	next.all = slices.Clone(s.all)
	for _, o := range c.ops() {
		i, ok := next.find(o.key)
		if ok {
			next.sum = next.sum.minus(s.key.term(next.all[i]))
			next.sizeBytes -= next.all[i].sizeBytes()
			next.all = slices.Delete(next.all, i, i+1)
		}
		if o.put != nil {
			next.sum = next.sum.plus(s.key.term(o.put))
			next.sizeBytes += o.put.sizeBytes()
			next.all = slices.Insert(next.all, i, o.put)
		}
	}
	return &next
}

// Build returns the snapshot of the given items, in any order. It fails like
// [Builder.Finish].
func Build(key DigestKey, items []popkv.Item) (*Snapshot, error) {
	b := NewBuilder(key)
	for _, item := range items {
		if err := b.Add([]byte(item.Key), []byte(item.Value)); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}

// A Builder makes a snapshot out of many pairs, as fast as memory allows when
// they come in ascending order of key.
type Builder struct{ s Snapshot }

// NewBuilder returns a builder without pairs.
func NewBuilder(key DigestKey) *Builder { return &Builder{Snapshot{key: key}} }

// Add adds one pair, in any order; it copies both. An empty key fails with
// [popkv.Invalid].
func (b *Builder) Add(key, value []byte) error {
	if len(key) == 0 {
		return popkv.Errorf(popkv.Invalid, "a key is empty")
	}
	p := pair(appendPair(nil, key, value))
	b.s.all = append(b.s.all, p)
	b.s.sizeBytes += p.sizeBytes()
	b.s.sum = b.s.sum.plus(b.s.key.term(p))
	return nil
}

// Finish returns the snapshot; the builder must not be used again. It fails
// with [popkv.Invalid], caused by [ErrDuplicateKey], when a key was added twice.
func (b *Builder) Finish() (*Snapshot, error) {
	slices.SortFunc(b.s.all, func(x, y pair) int { return strings.Compare(string(x.key()), string(y.key())) })
	for i := 1; i < len(b.s.all); i++ {
		if string(b.s.all[i-1].key()) == string(b.s.all[i].key()) {
			return nil, popkv.Wrap(popkv.Invalid, ErrDuplicateKey, "a key appears twice")
		}
	}
	return &b.s, nil
}
