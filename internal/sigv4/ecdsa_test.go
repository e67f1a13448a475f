package sigv4

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

type wycheproofFile struct {
	TestGroups []struct {
		PublicKey struct{ Uncompressed string }
		Tests     []struct {
			TcID             int
			Comment          string
			Msg, Sig, Result string
		}
	}
}

func TestVectorsWycheproof(t *testing.T) {
	const set = "wycheproof-ecdsa-p256"
	b, err := os.ReadFile(filepath.Join(vectorsFolder(t, set), "ecdsa_secp256r1_sha256_test.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file wycheproofFile
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	cases := 0
	for _, group := range file.TestGroups {
		point, err := hex.DecodeString(group.PublicKey.Uncompressed)
		if err != nil {
			t.Fatal(err)
		}
		public, err := NewPublicKey("AKID", point)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range group.Tests {
			message, _ := hex.DecodeString(c.Msg)
			der, err := hex.DecodeString(c.Sig)
			if err != nil {
				t.Fatal(err)
			}
			digest := hashOf(string(message))
			if got := public.verifyECDSA(&digest, der); got != (c.Result == "valid") {
				t.Errorf("%d (%s): accepted %v, want %s", c.TcID, c.Comment, got, c.Result)
			}
			checkStrictDER(t, fmt.Sprintf("%d (%s)", c.TcID, c.Comment), der, c.Result == "valid")
			cases++
		}
	}
	reportCases(t, set, cases)
}

// checkStrictDER holds the reader in front of the known-scalar check to two
// things: it reads what is valid, and whatever it reads has no other encoding.
func checkStrictDER(t *testing.T, name string, der []byte, valid bool) {
	t.Helper()
	r, s, ok := parseDER(der, order())
	if !ok {
		if valid {
			t.Errorf("%s: a valid signature cannot be read", name)
		}
		return
	}
	again := encodeDER(new(big.Int).SetBytes(r.Bytes(order())), new(big.Int).SetBytes(s.Bytes(order())))
	if string(again) != string(der) {
		t.Errorf("%s: read from a second encoding", name)
	}
}

func encodeDER(r, s *big.Int) []byte {
	return must(asn1.Marshal(struct{ R, S *big.Int }{r, s}))
}

// The known-scalar check and the standard library agree on every signature:
// true ones, and ones that an attacker may send.
func TestKnownScalarCheckAgreesWithTheStandardLibrary(t *testing.T) {
	keys, rounds := 300, 8
	if os.Getenv("POPKV_TEST_LONG") != "" {
		rounds = 100
	}
	random := rand.New(rand.NewChaCha8([32]byte{1}))
	accepted, refused := 0, 0
	for i := range keys {
		key := NewKey(fmt.Sprintf("AKID%d", i), fmt.Sprint("secret", random.Uint64()))
		for range rounds {
			var digest [32]byte
			for j := 0; j < 32; j += 8 {
				binary.LittleEndian.PutUint64(digest[j:], random.Uint64())
			}
			der := must(ecdsa.SignASN1(nil, key.private, digest[:]))
			for _, c := range variants(random, key, digest, der) {
				fast, slow := key.verifyECDSA(&c.digest, c.der), ecdsa.VerifyASN1(key.public, c.digest[:], c.der)
				if fast != slow {
					t.Fatalf("%s: known scalar says %v, standard library %v\ndigest %x\nsignature %x", c.name, fast, slow, c.digest, c.der)
				}
				if fast {
					accepted++
				} else {
					refused++
				}
			}
		}
	}
	t.Logf("%d keys: both accept %d signatures and refuse %d", keys, accepted, refused)
	if accepted < 2*keys*rounds || refused < 5*keys*rounds {
		t.Error("too few of one kind to show anything")
	}
}

type variant struct {
	name   string
	digest [32]byte
	der    []byte
}

// variants returns the signature itself and what can be made of it. Two are
// valid: the signature, and its mirror with n-s.
func variants(random *rand.Rand, key *Key, digest [32]byte, der []byte) []variant {
	n := elliptic.P256().Params().N
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		panic(err)
	}
	flipped, otherDigest := append([]byte(nil), der...), digest
	flipped[random.IntN(len(der))] ^= 1 << random.IntN(8)
	otherDigest[random.IntN(32)] ^= 1 << random.IntN(8)
	one := big.NewInt(1)
	plus := func(x, y *big.Int) *big.Int { return new(big.Int).Add(x, y) }

	// e = -r·d makes the nonce zero: the point at infinity.
	d := new(big.Int).SetBytes(key.scalar.Bytes(order()))
	var infinity [32]byte
	e := new(big.Int).Mul(sig.R, d)
	e.Neg(e).Mod(e, n).FillBytes(infinity[:])

	numbers := []variant{
		{"true", digest, der},
		{"mirrored s", digest, encodeDER(sig.R, new(big.Int).Sub(n, sig.S))},
		{"r+1", digest, encodeDER(plus(sig.R, one), sig.S)},
		{"s+1", digest, encodeDER(sig.R, plus(sig.S, one))},
		{"swapped", digest, encodeDER(sig.S, sig.R)},
		{"point at infinity", infinity, der},
		{"one bit of the encoding", digest, flipped},
		{"one bit of the digest", otherDigest, der},
	}
	special := []variant{
		{"r = 0", digest, encodeDER(new(big.Int), sig.S)}, {"s = 0", digest, encodeDER(sig.R, new(big.Int))},
		{"r = n", digest, encodeDER(n, sig.S)}, {"s = n", digest, encodeDER(sig.R, n)},
		{"r + n", digest, encodeDER(plus(sig.R, n), sig.S)}, {"s + n", digest, encodeDER(sig.R, plus(sig.S, n))},
		{"negative r", digest, encodeDER(new(big.Int).Neg(sig.R), sig.S)},
		{"trailing byte", digest, append(append([]byte(nil), der...), 0)}, {"short by one", digest, der[:len(der)-1]},
		{"empty", digest, nil},
	}
	return append(numbers, special...)
}

// A digest of all ones is above the order: it is reduced, as the standard says.
func TestDigestsAboveTheOrder(t *testing.T) {
	key := secretKey()
	for _, fill := range []byte{0, 0xff} {
		var digest [32]byte
		for i := range digest {
			digest[i] = fill
		}
		der := must(ecdsa.SignASN1(nil, key.private, digest[:]))
		if !key.verifyECDSA(&digest, der) {
			t.Errorf("digest of %#x bytes: refused", fill)
		}
	}
}

func TestDerivedScalarIsBelowTheOrder(t *testing.T) {
	n := elliptic.P256().Params().N
	at := func(offset int64) (b [32]byte) {
		new(big.Int).Add(n, big.NewInt(offset)).FillBytes(b[:])
		return b
	}
	for offset, want := range map[int64]bool{-2: true, -1: false, 0: false, 1: false} {
		d, ok := plusOne(at(offset))
		if ok != want {
			t.Errorf("k = n%+d: accepted %v, want %v", offset, ok, want)
		}
		if ok && d != at(offset+1) {
			t.Errorf("k = n%+d: scalar %x", offset, d)
		}
	}
	if d, ok := plusOne([32]byte{}); !ok || d != [32]byte{31: 1} {
		t.Errorf("k = 0: scalar %x, %v", d, ok)
	}
}
