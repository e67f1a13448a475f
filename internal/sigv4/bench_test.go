package sigv4

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"
)

// getKey returns a signed GetKey as an SDK sends it, and its key.
func getKey(tb testing.TB, algorithm Algorithm) (*Request, *Key, time.Time) {
	key := NewKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
	now := time.Date(2026, 11, 23, 4, 33, 19, 0, time.UTC)
	r := &Request{
		Method: "GET",
		Target: "/key-value-stores/arn%3Aaws%3Acloudfront%3A%3A123456789012%3Akey-value-store%2F6b29fc40-ca47-1067-b31d-00dd010662da/keys/some%2Fkey",
		Host:   "123456789012.kvs.example.test:8080",
		Header: map[string][]string{
			"Amz-Sdk-Invocation-Id": {"87d6d646-7f54-43da-8217-e01acf3e82ee"},
			"Amz-Sdk-Request":       {"attempt=1; max=1"},
			"User-Agent":            {"aws-sdk-go-v2/1.41.2 ua/2.1 os/linux lang/go#1.26.8 md/GOOS#linux md/GOARCH#amd64 api/cloudfrontkeyvaluestore#1.12.20"},
			"Accept-Encoding":       {"gzip"},
		},
	}
	signer := Signer{Key: key, Algorithm: algorithm, Service: "cloudfront-keyvaluestore", Region: "*"}
	if err := signer.Sign(r, sha256.Sum256(nil), now); err != nil {
		tb.Fatal(err)
	}
	return r, key, now
}

func benchmarkRequest(b *testing.B, algorithm Algorithm, prepare func(*Key) *Key) {
	r, key, now := getKey(b, algorithm)
	key = prepare(key)
	v := dataPlane()
	empty := sha256.Sum256(nil)
	b.ReportAllocs()
	for b.Loop() {
		c, err := v.Check(r, now)
		if err != nil {
			b.Fatal(err)
		}
		if err := v.Verify(&c, key, empty); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	same := func(k *Key) *Key { return k }
	b.Run("SigV4A", func(b *testing.B) { benchmarkRequest(b, SigV4A, same) })
	b.Run("SigV4", func(b *testing.B) { benchmarkRequest(b, SigV4, same) })
	b.Run("SigV4A-public-key-only", func(b *testing.B) {
		benchmarkRequest(b, SigV4A, func(k *Key) *Key { return must(NewPublicKey(k.id, k.PublicKey())) })
	})
}

func BenchmarkCheck(b *testing.B) {
	r, _, now := getKey(b, SigV4A)
	v := dataPlane()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Check(r, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkECDSA(b *testing.B) {
	key := NewKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
	digest := hashOf("a string to sign")
	der := must(ecdsa.SignASN1(rand.Reader, key.private, digest[:]))
	public := must(NewPublicKey(key.id, key.PublicKey()))
	for name, k := range map[string]*Key{"known-scalar": key, "standard-library": public} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !k.verifyECDSA(&digest, der) {
					b.Fatal("refused")
				}
			}
		})
	}
	b.Run("derive", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			NewKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
		}
	})
}
