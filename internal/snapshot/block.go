package snapshot

import (
	"encoding/binary"
	"math"
	"slices"
)

// A block is a run of pairs in ascending order of key, in one piece of memory
// that the garbage collector need not look into. It never changes.
//
//	offset  bytes
//	     0      1  n, the number of pairs, 1 to 64
//	     1      1  c, how many bytes all keys begin with in common (255: or more)
//	     2     6n  an entry for each pair:
//	                 4  its head: the four bytes of its key after those
//	                 2  its offset in the block
//	  2+6n         the pairs, one after the other
//
// Integers are little-endian. The entries are there so that a search stays
// within a few adjacent cache lines and then reads one pair. A block is at most
// maxBlockBytes long unless it is a single larger pair, so 16 bits hold every
// offset.
type block []byte

const (
	maxBlockPairs   = 64
	maxBlockBytes   = 8 << 10
	blockFixedBytes = 2
	blockEntryBytes = 4 + 2
)

// noBlock has no pairs; it is never part of a node.
var noBlock = block{0, 0}

// newBlock copies pairs, at least one, which fit, into a block.
func newBlock(pairs []pair) block {
	// Growing an empty slice takes the whole of the allocator's size class and
	// clears nothing; its capacity is what the block costs.
	b := slices.Grow([]byte(nil), blockBytes(pairs))
	common := min(commonBytes(pairs[0].key(), pairs[len(pairs)-1].key()), math.MaxUint8)
	b = append(b, byte(len(pairs)), byte(common))
	offset := blockFixedBytes + blockEntryBytes*len(pairs)
	for _, p := range pairs {
		b = binary.LittleEndian.AppendUint32(b, head4(p.key()[common:]))
		b = binary.LittleEndian.AppendUint16(b, uint16(offset))
		offset += len(p)
	}
	for _, p := range pairs {
		b = append(b, p...)
	}
	return b
}

// blockBytes is the length of the block that holds pairs.
func blockBytes(pairs []pair) int {
	n := blockFixedBytes
	for _, p := range pairs {
		n += blockEntryBytes + len(p)
	}
	return n
}

// pack appends the blocks that hold pairs, as few and as even as it can.
func pack(blocks []block, pairs []pair) []block {
	parts := max(divideUp(len(pairs), maxBlockPairs), divideUp(blockBytes(pairs), maxBlockBytes))
	for len(pairs) > 0 {
		share := min(divideUp(len(pairs), parts), maxBlockPairs)
		n, length := 1, blockFixedBytes+blockEntryBytes+len(pairs[0])
		for ; n < share; n++ {
			length += blockEntryBytes + len(pairs[n])
			if length > maxBlockBytes {
				break
			}
		}
		blocks = append(blocks, newBlock(pairs[:n]))
		pairs, parts = pairs[n:], max(parts-1, 1)
	}
	return blocks
}

func divideUp(n, by int) int { return (n + by - 1) / by }

func (b block) len() int { return int(b[0]) }

// at returns pair i.
func (b block) at(i int) pair {
	if i+1 < b.len() {
		return pair(b[b.offset(i):b.offset(i+1)])
	}
	return pair(b[b.offset(i):])
}

func (b block) head(i int) uint32 {
	return binary.LittleEndian.Uint32(b[blockFixedBytes+blockEntryBytes*i:])
}

func (b block) offset(i int) int {
	return int(binary.LittleEndian.Uint16(b[blockFixedBytes+blockEntryBytes*i+4:]))
}

// search returns how many keys are less than key, and whether the next one
// equals it.
func (b block) search(key string) (i int, found bool) {
	common := int(b[1])
	if common > 0 {
		prefix := b.first()[:common]
		if len(key) < common || key[:common] != string(prefix) {
			if key < string(prefix) {
				return 0, false
			}
			return b.len(), false
		}
	}
	h := head4(key[common:])
	i = b.headsBelow(h)
	for i < b.len() && b.head(i) == h && string(b.at(i).key()) < key {
		i++
	}
	return i, i < b.len() && b.head(i) == h && string(b.at(i).key()) == key
}

// headsBelow returns how many heads are less than h. It counts without a
// branch to mispredict, by strides first: these loads do not wait for one
// another as those of a binary search would.
func (b block) headsBelow(h uint32) int {
	const stride = 8 * blockEntryBytes
	entries := b[blockFixedBytes : blockFixedBytes+blockEntryBytes*b.len()]
	less := func(at int) int { // 1 or 0
		return int((uint64(binary.LittleEndian.Uint32(entries[at:])) - uint64(h)) >> 63)
	}
	from := 0
	for at := stride - blockEntryBytes; at < len(entries); at += stride {
		from += less(at) * stride
	}
	below := from / blockEntryBytes
	for at := from; at < min(from+stride, len(entries)); at += blockEntryBytes {
		below += less(at)
	}
	return below
}

// appendPairs appends aliases of the block's pairs from i up to j.
func (b block) appendPairs(pairs []pair, i, j int) []pair {
	for ; i < j; i++ {
		pairs = append(pairs, b.at(i))
	}
	return pairs
}

// first, fits and join make a block a child of a row.

func (b block) first() []byte { return b.at(0).key() }

func (b block) fits(next block) bool {
	return b.len()+next.len() <= maxBlockPairs/2 && len(b)+len(next) <= maxBlockBytes/2
}

func (b block) join(next block) block {
	pairs := make([]pair, 0, maxBlockPairs/2)
	pairs = b.appendPairs(pairs, 0, b.len())
	return newBlock(next.appendPairs(pairs, 0, next.len()))
}
