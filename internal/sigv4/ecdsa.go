package sigv4

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"math/big"
	"sync"

	"filippo.io/bigmod"
	"filippo.io/nistec"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxDER is the longest DER form of two numbers below the order of P-256.
const maxDER = 72

// order returns the order of P-256.
var order = sync.OnceValue(func() *bigmod.Modulus {
	return must(bigmod.NewModulus(elliptic.P256().Params().N.Bytes()))
})

// verifyECDSA reports whether der is key's signature of digest.
//
// The usual check computes u1·G + u2·Q with u1 = e/s and u2 = r/s. Who knows
// the private scalar d also knows Q = d·G, so the sum is one multiplication of
// the base point: k·G with k = (e + r·d)/s, at about a fifth of the cost. An
// attacker chooses r, s and e, so everything that d enters is constant time;
// s and its inverse are the attacker's own. For a true signature k is the
// client's nonce, which gives the secret away: it is cleared.
func (k *Key) verifyECDSA(digest *[32]byte, der []byte) bool {
	if k.publicOnly() {
		return ecdsa.VerifyASN1(k.public, digest[:], der)
	}
	n := order()
	r, s, ok := parseDER(der, n)
	if !ok {
		return false
	}
	e, err := bigmod.NewNat().SetOverflowingBytes(digest[:], n)
	if err != nil {
		return false
	}
	nonce := bigmod.NewNat().ExpandFor(n).Add(r, n).Mul(k.scalar, n).Add(e, n).Mul(inverse(s, n), n)
	scalar := nonce.Bytes(n)
	point, err := nistec.NewP256Point().ScalarBaseMult(scalar)
	clear(scalar)
	clear(nonce.Bits())
	if err != nil {
		return false
	}
	x, err := point.BytesX()
	if err != nil { // the point at infinity
		return false
	}
	v, err := bigmod.NewNat().SetOverflowingBytes(x, n)
	return err == nil && v.Equal(r) == 1
}

// inverse returns 1/s in variable time, which s allows: math/big takes a tenth
// of the time that bigmod does.
func inverse(s *bigmod.Nat, n *bigmod.Modulus) *bigmod.Nat {
	var x big.Int
	x.ModInverse(x.SetBytes(s.Bytes(n)), elliptic.P256().Params().N)
	var b [32]byte
	return must(bigmod.NewNat().SetBytes(x.FillBytes(b[:]), n))
}

// parseDER reads two numbers from 1 to the order minus one, as strictly as
// [ecdsa.VerifyASN1] does.
func parseDER(der []byte, n *bigmod.Modulus) (r, s *bigmod.Nat, ok bool) {
	var inner cryptobyte.String
	var rBytes, sBytes []byte
	input := cryptobyte.String(der)
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !input.Empty() ||
		!inner.ReadASN1Integer(&rBytes) || !inner.ReadASN1Integer(&sBytes) || !inner.Empty() {
		return nil, nil, false
	}
	r, errR := bigmod.NewNat().SetBytes(rBytes, n)
	s, errS := bigmod.NewNat().SetBytes(sBytes, n)
	if errR != nil || errS != nil || r.IsZero() == 1 || s.IsZero() == 1 {
		return nil, nil, false
	}
	return r, s, true
}
