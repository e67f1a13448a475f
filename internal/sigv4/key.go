package sigv4

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"
	"sync"
	"time"

	"filippo.io/bigmod"
)

// A Key is a credential prepared for many verifications: the derived key pair
// of SigV4A and the last few signing keys of SigV4. Making one costs about as
// much as a verification, so a server keeps them. It is safe for concurrent
// use and never shows what it holds.
type Key struct {
	id      string
	secret  string      // "" for a public key only
	scalar  *bigmod.Nat // private scalar; nil for a public key only
	private *ecdsa.PrivateKey
	public  *ecdsa.PublicKey

	tokenHash *[sha256.Size]byte // nil: takes no token
	expires   time.Time          // zero: never

	mu     sync.Mutex
	recent [8]signingKey // ring
	next   int
}

type signingKey struct {
	day, region, service string
	key                  [sha256.Size]byte
}

// NewKey derives the key pair of a credential.
func NewKey(accessKeyID, secret string) *Key {
	d := deriveScalar(accessKeyID, secret)
	k := &Key{id: accessKeyID, secret: secret}
	k.private = must(ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:]))
	k.public = &k.private.PublicKey
	k.scalar = must(bigmod.NewNat().SetBytes(d[:], order()))
	return k
}

// NewPublicKey prepares a key of which only the public half is known: an
// uncompressed point of 65 bytes. It verifies SigV4A and nothing else.
func NewPublicKey(accessKeyID string, point []byte) (*Key, error) {
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, errors.New("not an uncompressed point on P-256")
	}
	return &Key{id: accessKeyID, public: public}, nil
}

// Limited returns the same key with limits: if tokenHash is not nil it accepts
// only requests that carry the token with that hash, else only requests that
// carry none; if expires is not zero it accepts nothing from then on.
func (k *Key) Limited(tokenHash *[sha256.Size]byte, expires time.Time) *Key {
	return &Key{
		id: k.id, secret: k.secret, scalar: k.scalar, private: k.private, public: k.public,
		tokenHash: tokenHash, expires: expires,
	}
}

// PublicKey returns the public half as an uncompressed point of 65 bytes.
func (k *Key) PublicKey() []byte { return must(k.public.Bytes()) }

// AccessKeyID returns the id.
func (k *Key) AccessKeyID() string { return k.id }

// String, GoString: the id alone.
func (k *Key) String() string { return k.id }

// GoString keeps %#v from printing the secret.
func (k *Key) GoString() string { return k.id }

func (k *Key) publicOnly() bool { return k.scalar == nil }

// acceptsToken keeps rule 8. A nil key accepts nothing.
func (k *Key) acceptsToken(token string, now time.Time) bool {
	switch {
	case k == nil, !k.expires.IsZero() && !now.Before(k.expires):
		return false
	case k.tokenHash == nil:
		return token == ""
	}
	hash := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(hash[:], k.tokenHash[:]) == 1
}

// deriveScalar is the counter-mode derivation of NIST SP 800-108 with one
// block and a trial counter in the context (documented by AWS's open signer).
func deriveScalar(accessKeyID, secret string) [32]byte {
	message := "\x00\x00\x00\x01AWS4-ECDSA-P256-SHA256\x00" + accessKeyID
	for counter := byte(1); counter < 255; counter++ {
		mac := hmacSHA256([]byte("AWS4A"+secret), message+string([]byte{counter})+"\x00\x00\x01\x00")
		if d, ok := plusOne(mac); ok {
			return d
		}
	}
	panic("sigv4: 254 trials of probability 2^-32 each have failed")
}

// plusOne returns k+1 if k is at most the order minus two.
func plusOne(k [32]byte) (d [32]byte, ok bool) {
	n := order()
	x, err := bigmod.NewNat().SetBytes(k[:], n)
	if err != nil || x.IsMinusOne(n) == 1 {
		return d, false
	}
	one := must(bigmod.NewNat().SetBytes(append(make([]byte, 31), 1), n))
	copy(d[:], x.Add(one, n).Bytes(n))
	return d, true
}

// hmac returns the SigV4 signature of text. Signing keys are kept whether or
// not the signature then holds, so that the time tells nothing.
func (k *Key) hmac(day, region, service string, text []byte) [sha256.Size]byte {
	key := k.signingKey(day, region, service)
	return hmacSHA256(key[:], string(text))
}

func (k *Key) signingKey(day, region, service string) [sha256.Size]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.recent {
		if s := &k.recent[i]; s.day == day && s.region == region && s.service == service {
			return s.key
		}
	}
	key := hmacSHA256([]byte("AWS4"+k.secret), day)
	for _, step := range [...]string{region, service, terminator} {
		key = hmacSHA256(key[:], step)
	}
	k.recent[k.next] = signingKey{strings.Clone(day), strings.Clone(region), strings.Clone(service), key}
	k.next = (k.next + 1) % len(k.recent)
	return key
}

func hmacSHA256(key []byte, message string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	h.Sum(sum[:0])
	return sum
}

func must[T any](v T, err error) T {
	if err != nil {
		panic("sigv4: " + err.Error())
	}
	return v
}
