package snapshot

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"github.com/dchest/siphash"
)

// A DigestKey is a store's secret for its content digest. Whoever writes items
// must not know it: it is what stops crafted collisions.
type DigestKey [16]byte

// A Digest says what a store contains, whatever the history that led there:
//
//	sum over all pairs, mod 2^128, of SipHash-2-4-128(key, uvarint(len(k)) k v)
//
// as a little-endian number. The empty store's digest is zero. It is evidence
// against accidental damage, not a signature.
type Digest [16]byte

// String returns the digest as 32 hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// sum128 is a Digest while it is being computed.
type sum128 struct{ lo, hi uint64 }

func (s sum128) digest() Digest {
	var d Digest
	binary.LittleEndian.PutUint64(d[:8], s.lo)
	binary.LittleEndian.PutUint64(d[8:], s.hi)
	return d
}

func (s sum128) plus(t sum128) sum128 {
	lo, carry := bits.Add64(s.lo, t.lo, 0)
	hi, _ := bits.Add64(s.hi, t.hi, carry)
	return sum128{lo, hi}
}

func (s sum128) minus(t sum128) sum128 {
	lo, borrow := bits.Sub64(s.lo, t.lo, 0)
	hi, _ := bits.Sub64(s.hi, t.hi, borrow)
	return sum128{lo, hi}
}

// term is what one pair adds to the sum.
func (k DigestKey) term(p pair) sum128 {
	lo, hi := siphash.Hash128(binary.LittleEndian.Uint64(k[:8]), binary.LittleEndian.Uint64(k[8:]), p)
	return sum128{lo, hi}
}
