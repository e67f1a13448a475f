package popkv

import (
	"math/bits"
	"strings"
)

// AWS's ETags are not random: version n of any resource has the same string,
// and the eight strings seen in public are base-36 numbers (the first one
// written without its leading zero). We keep those eight and put every later
// version through a fixed bijection of the counter, written the same way, so
// an ETag is a version in disguise. A version counts effective writes.
//
//	control plane   "E"  + body
//	data plane      "KV" + body
//
// Source: docs/divergence.md (observed for versions 1 to 8, assumed after).

// knownBodies are versions 1 to 8.
var knownBodies = [...]string{
	"TVPDKIKX0DER", "3UN6WX5RRO2AG", "1F83G8C2ARO7P", "1PA6795UKMFR9",
	"13V1IB3VIYZZH", "1VC38T7YXB528", "2EUQ1WTGCTBG2", "3AEGXETSR30VB",
}

// DataETag returns the data plane's ETag of a version.
func DataETag(version uint64) string { return "KV" + etagBody(version) }

// ControlETag returns the control plane's ETag of a version.
func ControlETag(version uint64) string { return "E" + etagBody(version) }

// WellFormedControlETag reports whether s looks like an ETag of the control
// plane: E and 12 or 13 digits or capital letters (assumed). A data-plane ETag
// never does: it is one character too long.
func WellFormedControlETag(s string) bool {
	body, ok := strings.CutPrefix(s, "E")
	return ok && len(body) >= 12 && len(body) <= 13 && strings.Trim(body, digits36) == ""
}

func etagBody(version uint64) string {
	if version >= 1 && version <= uint64(len(knownBodies)) {
		return knownBodies[version-1]
	}
	// Walk the permutation until it leaves the eight reserved numbers: the
	// number reserved for version i stands in for i's own image, which no
	// other version uses.
	code := permute(version)
	for {
		i, taken := reserved(code)
		if !taken {
			return format36(code)
		}
		code = permute(i)
	}
}

// reserved returns the version that owns code among the eight known ones.
func reserved(code uint64) (version uint64, ok bool) {
	for i, body := range knownBodies {
		if n, _ := parse36(body); n == code {
			return uint64(i) + 1, true
		}
	}
	return 0, false
}

// permute is a bijection on 64 bits: every step can be undone (xor-shift and
// multiplication by an odd number). The constants are splitmix64's.
func permute(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	return x
}

const digits36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

func format36(n uint64) string {
	var b [13]byte
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = digits36[n%36]
		n /= 36
	}
	return string(b[:])
}

func parse36(s string) (uint64, bool) {
	var n uint64
	for i := range len(s) {
		d := strings.IndexByte(digits36, s[i])
		if d < 0 {
			return 0, false
		}
		hi, lo := bits.Mul64(n, 36)
		sum, carry := bits.Add64(lo, uint64(d), 0)
		if hi+carry != 0 {
			return 0, false
		}
		n = sum
	}
	return n, true
}
