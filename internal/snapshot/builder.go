package snapshot

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/popkv/popkv"
)

// Build returns the snapshot of items, in any order. It fails like [Builder].
func Build(key DigestKey, items []popkv.Item) (*Snapshot, error) {
	b := NewBuilder(key)
	for _, item := range items {
		if item.Key == "" {
			return nil, errEmptyKey()
		}
		b.add(appendPair(b.room(pairBytes(len(item.Key), len(item.Value))), item.Key, item.Value))
	}
	return b.Finish()
}

// A Builder makes a snapshot out of many pairs. Pairs that come in ascending
// order of key go straight into blocks; from the first that does not, all are
// kept to be sorted at the end.
type Builder struct {
	key DigestKey
	tally
	blocks   []block
	run      []pair // of the block being filled
	runBytes int    // of that block
	loose    []pair // everything from the first pair out of order
	arena    []byte // memory of the pairs in run and loose
}

// arenaBytes is the piece in which a Builder takes memory for pairs.
const arenaBytes = 256 << 10

// NewBuilder returns a builder without pairs.
func NewBuilder(key DigestKey) *Builder { return &Builder{key: key} }

// Add adds one pair, in any order; it copies both. An empty key fails with
// [popkv.Invalid].
func (b *Builder) Add(key, value []byte) error {
	if len(key) == 0 {
		return errEmptyKey()
	}
	b.add(appendPair(b.room(pairBytes(len(key), len(value))), key, value))
	return nil
}

func errEmptyKey() error { return popkv.Errorf(popkv.Invalid, "a key is empty") }

// room returns empty memory for the next pair, of n bytes. While pairs come in
// order, the memory of those that are in blocks is used again.
func (b *Builder) room(n int) []byte {
	if !b.unordered() && len(b.run) > 0 && (len(b.run) == maxBlockPairs || b.runBytes+2+n > maxBlockBytes) {
		b.flush()
		b.arena = b.arena[:0]
	}
	at := len(b.arena)
	if cap(b.arena)-at < n {
		b.arena, at = make([]byte, 0, max(n, arenaBytes)), 0
	}
	b.arena = b.arena[:at+n]
	return b.arena[at : at : at+n]
}

// add takes a pair that lies in room.
func (b *Builder) add(p pair) {
	b.tally.add(b.key, p)
	if b.unordered() || bytes.Compare(p.key(), b.last()) <= 0 {
		b.loose = append(b.loose, p)
		return
	}
	b.run = append(b.run, p)
	b.runBytes += 2 + len(p)
}

// unordered reports whether a key was not greater than the one before it.
func (b *Builder) unordered() bool { return len(b.loose) > 0 }

// last returns the key of the last pair that came in order, or nil.
func (b *Builder) last() []byte {
	if n := len(b.run); n > 0 {
		return b.run[n-1].key()
	}
	if n := len(b.blocks); n > 0 {
		return b.blocks[n-1].at(b.blocks[n-1].len() - 1).key()
	}
	return nil
}

// flush makes run, which is not empty, a block.
func (b *Builder) flush() {
	b.blocks = append(b.blocks, newBlock(b.run))
	b.run, b.runBytes = b.run[:0], 1
}

// Finish returns the snapshot; the builder must not be used again. It fails
// with [popkv.Invalid], caused by [ErrDuplicateKey], when a key was added twice.
func (b *Builder) Finish() (*Snapshot, error) {
	if b.unordered() {
		if err := b.sort(); err != nil {
			return nil, err
		}
	} else if len(b.run) > 0 {
		b.flush()
	}
	s := &Snapshot{key: b.key, tally: b.tally}
	s.root = newRow(s.regroup(nil, b.blocks))
	return s, nil
}

// sort makes all pairs blocks again, in order.
func (b *Builder) sort() error {
	all := make([]pair, 0, b.items)
	for _, blk := range b.blocks {
		all = blk.appendPairs(all, 0, blk.len())
	}
	all = append(append(all, b.run...), b.loose...)
	sortPairs(all)
	for i := 1; i < len(all); i++ {
		if bytes.Equal(all[i-1].key(), all[i].key()) {
			return popkv.Wrap(popkv.Invalid, ErrDuplicateKey, "a key appears twice")
		}
	}
	b.blocks = pack(nil, all)
	return nil
}

// sortPairs sorts by key. It compares numbers made of the first eight bytes in
// which keys differ and looks at keys themselves only where these are equal.
func sortPairs(all []pair) {
	common := all[0].key()
	for _, p := range all {
		key, n := p.key(), 0
		for n < len(common) && n < len(key) && key[n] == common[n] {
			n++
		}
		common = common[:n]
	}
	type entry struct {
		head uint64
		pair pair
	}
	entries := make([]entry, len(all))
	for i, p := range all {
		entries[i] = entry{head(p.key()[len(common):]), p}
	}
	slices.SortFunc(entries, func(x, y entry) int {
		if x.head != y.head {
			return cmp.Compare(x.head, y.head)
		}
		return bytes.Compare(x.pair.key(), y.pair.key())
	})
	for i, e := range entries {
		all[i] = e.pair
	}
}
