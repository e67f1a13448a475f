package bench

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"

	"filippo.io/bigmod"
	"filippo.io/nistec"
)

// A fastVerify is the cheapest known check of one ECDSA signature by someone
// who has the private scalar: one multiplication of the base point. It is the
// floor under a signed request and deliberately not the code of
// internal/sigv4.
type fastVerify struct {
	order  *bigmod.Modulus
	scalar *bigmod.Nat
	digest [32]byte
	der    []byte
}

func newFastVerify() (*fastVerify, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	private, err := key.Bytes()
	if err != nil {
		return nil, err
	}
	v := &fastVerify{digest: sha256.Sum256([]byte("a string to sign"))}
	if v.order, err = bigmod.NewModulus(elliptic.P256().Params().N.Bytes()); err != nil {
		return nil, err
	}
	if v.scalar, err = bigmod.NewNat().SetBytes(private, v.order); err != nil {
		return nil, err
	}
	if v.der, err = ecdsa.SignASN1(rand.Reader, key, v.digest[:]); err != nil {
		return nil, err
	}
	return v, v.once()
}

// once checks the one signature.
func (v *fastVerify) once() error {
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(v.der, &signature); err != nil {
		return err
	}
	var bytes [32]byte
	r, err := bigmod.NewNat().SetBytes(signature.R.FillBytes(bytes[:]), v.order)
	if err != nil {
		return err
	}
	signature.S.ModInverse(signature.S, elliptic.P256().Params().N)
	inverse, err := bigmod.NewNat().SetBytes(signature.S.FillBytes(bytes[:]), v.order)
	if err != nil {
		return err
	}
	e, err := bigmod.NewNat().SetOverflowingBytes(v.digest[:], v.order)
	if err != nil {
		return err
	}
	k := bigmod.NewNat().ExpandFor(v.order).Add(r, v.order).Mul(v.scalar, v.order).Add(e, v.order).Mul(inverse, v.order)
	point, err := nistec.NewP256Point().ScalarBaseMult(k.Bytes(v.order))
	if err != nil {
		return err
	}
	x, err := point.BytesX()
	if err != nil {
		return err
	}
	found, err := bigmod.NewNat().SetOverflowingBytes(x, v.order)
	if err != nil {
		return err
	}
	if found.Equal(r) != 1 {
		return errors.New("the signature does not hold")
	}
	return nil
}

func BenchmarkFastVerify(b *testing.B) {
	v, err := newFastVerify()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := v.once(); err != nil {
			b.Fatal(err)
		}
	}
}
