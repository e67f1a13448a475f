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

// A Builder takes memory for pairs in pieces that double between these sizes.
const (
	minArenaBytes = 4 << 10
	maxArenaBytes = 256 << 10
)

// NewBuilder returns a builder without pairs.
func NewBuilder(key DigestKey) *Builder { return &Builder{key: key, runBytes: blockFixedBytes} }

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
	if !b.unordered() && len(b.run) > 0 && (len(b.run) == maxBlockPairs || b.runBytes+blockEntryBytes+n > maxBlockBytes) {
		b.flush()
		b.arena = b.arena[:0]
	}
	at := len(b.arena)
	if cap(b.arena)-at < n {
		size := max(n, minArenaBytes, min(2*cap(b.arena), maxArenaBytes))
		b.arena, at = make([]byte, 0, size), 0
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
	b.runBytes += blockEntryBytes + len(p)
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
	b.run, b.runBytes = b.run[:0], blockFixedBytes
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
	all = sortedPairs(all)
	for i := 1; i < len(all); i++ {
		if bytes.Equal(all[i-1].key(), all[i].key()) {
			return popkv.Wrap(popkv.Invalid, ErrDuplicateKey, "a key appears twice")
		}
	}
	b.blocks = pack(nil, all)
	return nil
}

// sortedPairs returns all in order of key. It moves numbers instead of pairs,
// made of the first eight bytes in which keys differ, and looks at the keys
// themselves only where these are equal.
func sortedPairs(all []pair) []pair {
	common := all[0].key()
	for _, p := range all {
		common = common[:commonBytes(common, p.key())]
	}
	type entry struct {
		head  uint64
		index int
	}
	entries := make([]entry, len(all))
	for i, p := range all {
		entries[i] = entry{head8(p.key()[len(common):]), i}
	}
	slices.SortFunc(entries, func(x, y entry) int {
		if x.head != y.head {
			return cmp.Compare(x.head, y.head)
		}
		return bytes.Compare(all[x.index].key(), all[y.index].key())
	})
	sorted := make([]pair, len(all))
	for i, e := range entries {
		sorted[i] = all[e.index]
	}
	return sorted
}
