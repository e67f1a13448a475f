package snapshot

import (
	"encoding/binary"
	"slices"
)

// A block is a run of pairs in ascending order of key, in one piece of memory
// that the garbage collector need not look into. It never changes.
//
//	offset  bytes
//	     0      1  n, the number of pairs, 1 to 64
//	     1     2n  offset of each pair in the block, little-endian
//	  1+2n         the pairs, one after the other
//
// A block is at most maxBlockBytes long unless it is a single larger pair, so
// 16 bits hold every offset.
type block []byte

const (
	maxBlockPairs = 64
	maxBlockBytes = 8 << 10
)

// newBlock copies pairs, which fit, into a block.
func newBlock(pairs []pair) block {
	length := blockBytes(pairs)
	// Growing an empty slice takes the whole of the allocator's size class and
	// clears nothing; its capacity is what the block costs.
	b := slices.Grow([]byte(nil), length)
	b = append(b, byte(len(pairs)))
	offset := 1 + 2*len(pairs)
	for _, p := range pairs {
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
	n := 1
	for _, p := range pairs {
		n += 2 + len(p)
	}
	return n
}

// pack appends the blocks that hold pairs, as few and as even as it can.
func pack(blocks []block, pairs []pair) []block {
	parts := max(divideUp(len(pairs), maxBlockPairs), divideUp(blockBytes(pairs), maxBlockBytes))
	for len(pairs) > 0 {
		share := min(divideUp(len(pairs), parts), maxBlockPairs)
		n, length := 1, 1+2+len(pairs[0])
		for ; n < share; n++ {
			length += 2 + len(pairs[n])
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

func (b block) offset(i int) int { return int(binary.LittleEndian.Uint16(b[1+2*i:])) }

// search returns how many keys are less than key, and whether the next one
// equals it.
func (b block) search(key string) (i int, found bool) {
	lo, hi := 0, b.len()
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if string(b.at(mid).key()) < key {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < b.len() && string(b.at(lo).key()) == key
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
