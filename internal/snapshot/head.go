package snapshot

import (
	"math"
	"math/bits"
)

// Searches compare numbers first: the head of a key, its first bytes after
// those that all keys in question have in common, as a big-endian number. Of
// two keys with different heads, the one with the smaller head is smaller;
// equal heads decide nothing, since bytes that are not there count as zero.

// head8 returns the first eight bytes of s.
func head8[S string | []byte](s S) uint64 {
	if len(s) >= 8 {
		return uint64(s[7]) | uint64(s[6])<<8 | uint64(s[5])<<16 | uint64(s[4])<<24 |
			uint64(s[3])<<32 | uint64(s[2])<<40 | uint64(s[1])<<48 | uint64(s[0])<<56
	}
	h := uint64(0)
	for i := range len(s) {
		h |= uint64(s[i]) << (56 - 8*i)
	}
	return h
}

// head4 returns the first four bytes of s.
func head4[S string | []byte](s S) uint32 {
	if len(s) >= 4 {
		return uint32(s[3]) | uint32(s[2])<<8 | uint32(s[1])<<16 | uint32(s[0])<<24
	}
	return uint32(head8(s) >> 32)
}

// commonBytes returns how many bytes a and b both begin with.
func commonBytes(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// below returns how many of the ascending heads are less than h. No branch
// depends on what is found, so that none is mispredicted.
func below(heads []uint64, h uint64) int {
	base := 0
	for n := len(heads); n > 0; {
		half := (n + 1) / 2
		_, less := bits.Sub64(heads[base+half-1], h, 0)
		base += half & -int(less)
		n -= half
	}
	return base
}

// leading returns how many heads at the beginning equal h.
func leading(heads []uint64, h uint64) int {
	if len(heads) == 0 || heads[0] != h {
		return 0
	}
	if h == math.MaxUint64 {
		return len(heads)
	}
	return below(heads, h+1)
}
