package snapshot

import (
	"encoding/binary"

	"github.com/popkv/popkv"
)

// A pair is one item as it lies in memory, and exactly what the digest hashes:
//
//	uvarint  length of the key
//	bytes    key
//	bytes    value (up to the end)
type pair []byte

// appendPair appends an item in the form of a pair.
func appendPair[S string | []byte](dst []byte, key, value S) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	dst = append(dst, key...)
	return append(dst, value...)
}

// newPair returns an item as a pair.
func newPair(item popkv.Item) pair {
	return appendPair(make([]byte, 0, pairBytes(len(item.Key), len(item.Value))), item.Key, item.Value)
}

// pairBytes is the length of the pair that holds an item of these lengths.
func pairBytes(key, value int) int { return uvarintBytes(uint64(key)) + key + value }

// uvarintBytes is the length of n's varint.
func uvarintBytes(n uint64) int {
	length := 1
	for ; n >= 0x80; n >>= 7 {
		length++
	}
	return length
}

// split returns the key and the value, both aliases of p.
func (p pair) split() (key, value []byte) {
	n, w := int(p[0]), 1
	if n >= 0x80 {
		long, width := binary.Uvarint(p)
		n, w = int(long), width
	}
	return p[w : w+n : w+n], p[w+n:]
}

// key returns the key, an alias of p.
func (p pair) key() []byte {
	key, _ := p.split()
	return key
}

// sizeBytes is what the item adds to a store's size: key and value alone.
func (p pair) sizeBytes() int64 {
	key, value := p.split()
	return int64(len(key)) + int64(len(value))
}
