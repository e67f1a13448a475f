package snapshot

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/popkv/popkv"
)

// A Hash is a SHA-256: a link of a store's chain of records, or the name of a
// generation's bytes.
type Hash [32]byte

// String returns the hash as 64 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Chain returns the hash of a record's bytes, which the next record carries as
// Prev. A record holds the hash before it, so this one covers all history.
func Chain(record []byte) Hash { return sha256.Sum256(record) }

// Genesis is what a store's first record carries as Prev. A new lineage starts
// a new chain.
func Genesis(store popkv.StoreID, lineage [16]byte) Hash {
	b := append([]byte("popkv genesis 1\n"), store[:]...)
	return sha256.Sum256(append(b, lineage[:]...))
}

// ChunkHash returns the hash of one chunk's bytes.
func ChunkHash(chunk []byte) Hash { return sha256.Sum256(chunk) }

// GenerationHash names a whole generation by the hashes of its chunks, in
// order. No record or chunk can have the same hash: they begin with a format
// byte, this and [Genesis] with a word.
func GenerationHash(chunks []Hash) Hash {
	b := make([]byte, 0, 32+len(chunks)*len(Hash{}))
	b = append(b, "popkv generation 1\n"...)
	for _, h := range chunks {
		b = append(b, h[:]...)
	}
	return sha256.Sum256(b)
}
