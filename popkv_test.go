package popkv

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestETagsOfTheFirstVersionsAreAWSs(t *testing.T) {
	for version, want := range map[uint64]string{
		1: "TVPDKIKX0DER", 2: "3UN6WX5RRO2AG", 3: "1F83G8C2ARO7P", 8: "3AEGXETSR30VB",
	} {
		if got := ControlETag(version); got != "E"+want {
			t.Errorf("ControlETag(%d) = %s, want E%s", version, got, want)
		}
		if got := DataETag(version); got != "KV"+want {
			t.Errorf("DataETag(%d) = %s, want KV%s", version, got, want)
		}
	}
}

// Divergence 14: versions after 8 use our own bijection.
func TestNoTwoVersionsShareAnETag(t *testing.T) {
	seen := map[string]uint64{}
	for v := uint64(1); v < 200_000; v++ {
		tag := DataETag(v)
		if other, dup := seen[tag]; dup {
			t.Fatalf("versions %d and %d are both %s", other, v, tag)
		}
		if v > 8 && len(tag) != 15 {
			t.Fatalf("version %d: %s is not KV and 13 characters", v, tag)
		}
		seen[tag] = v
	}
}

// The eight known strings must stay theirs even for the versions whose own
// image they are, which no counter reaches by chance in a test.
func TestReservedETagsBelongToTheirVersionsOnly(t *testing.T) {
	seen := map[string]uint64{}
	for v := uint64(1); v <= 8; v++ {
		seen[DataETag(v)] = v
	}
	for v := uint64(1); v <= 8; v++ {
		n, ok := parse36(knownBodies[v-1])
		if !ok {
			t.Fatalf("%s is not base 36", knownBodies[v-1])
		}
		w := unpermute(n)
		if w <= 8 {
			continue
		}
		tag := DataETag(w)
		if other, dup := seen[tag]; dup {
			t.Fatalf("versions %d and %d are both %s", other, w, tag)
		}
		seen[tag] = w
	}
}

func unpermute(x uint64) uint64 {
	x ^= x>>31 ^ x>>62
	x *= inverse(0x94d049bb133111eb)
	x ^= x>>27 ^ x>>54
	x *= inverse(0xbf58476d1ce4e5b9)
	x ^= x>>30 ^ x>>60
	return x
}

func inverse(odd uint64) uint64 {
	inv := odd
	for range 6 {
		inv *= 2 - odd*inv
	}
	return inv
}

func TestPermuteCanBeUndone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Uint64().Draw(t, "x")
		if got := unpermute(permute(x)); got != x {
			t.Fatalf("unpermute(permute(%d)) = %d", x, got)
		}
	})
}

func TestWellFormedControlETag(t *testing.T) {
	for s, want := range map[string]bool{
		"ETVPDKIKX0DER": true, "E3UN6WX5RRO2AG": true,
		"KVTVPDKIKX0DER": false, "KV3UN6WX5RRO2AG": false, // the other plane's
		"": false, "E": false, "*": false, "etvpdkikx0der": false, "E3UN6WX5RRO2AGX": false,
		"EXXXXXXXXXXXXX": true, // of no version
		"E3UN6WX5_RO2AG": false,
	} {
		if got := WellFormedControlETag(s); got != want {
			t.Errorf("WellFormedControlETag(%q) = %v, want %v", s, got, want)
		}
	}
}

func TestParseARN(t *testing.T) {
	const good = "arn:aws:cloudfront::123456789012:key-value-store/8aa76c93-3198-462c-aaf6-000000000001"
	a, err := ParseARN(good)
	if err != nil || a.String() != good {
		t.Fatalf("ParseARN(%s) = %v, %v", good, a, err)
	}
	if id, ok := a.StoreID(); !ok || id.String() != "8aa76c93-3198-462c-aaf6-000000000001" {
		t.Fatalf("StoreID = %v, %v", id, ok)
	}
	for _, bad := range []string{
		"", "arn:aws:cloudfront:us-east-1:123456789012:key-value-store/x", "arn:aws-cn:cloudfront::123456789012:key-value-store/x",
		"arn:aws:s3:::bucket/key", "arn:aws:cloudfront::12345678901:key-value-store/x", "arn:aws:cloudfront::123456789012:key-value-store",
		"arn:aws:cloudfront::123456789012:/x", "arn:aws:cloudfront::12345678901a:function/x",
	} {
		if _, err := ParseARN(bad); KindOf(err) != Invalid {
			t.Errorf("ParseARN(%q): kind %v, want Invalid", bad, KindOf(err))
		}
	}
}

func FuzzParseARN(f *testing.F) {
	f.Add("arn:aws:cloudfront::123456789012:function/f")
	f.Add("arn:aws:cloudfront::123456789012:key-value-store/8aa76c93-3198-462c-aaf6-000000000001")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseARN(s)
		if err == nil && a.String() != s {
			t.Fatalf("ParseARN(%q).String() = %q", s, a.String())
		}
	})
}

func TestStoreIDRoundTrip(t *testing.T) {
	for range 1000 {
		id := NewStoreID()
		if got, ok := ParseStoreID(id.String()); !ok || got != id {
			t.Fatalf("ParseStoreID(%s) = %v, %v", id, got, ok)
		}
	}
}

func TestWeakSecrets(t *testing.T) {
	for secret, want := range map[string]bool{
		"": true, "test": true, "password": true, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": true, "minioadminminioadmin": true,
		"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY": true, "q7x9vJ2mK4nP8sT1": true,
		"correct horse battery staple": false, "q7x9vJ2mK4nP8sT1Zc5d": false,
	} {
		if got := NewSecret(secret).IsWeak(); got != want {
			t.Errorf("%q: weak %v, want %v", secret, got, want)
		}
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	s := NewSecret("canary")
	encoded, err := json.Marshal(map[string]any{"s": s, "p": &s})
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %+v %#v %s %q %x", s, s, s, s, s, s) + string(encoded) + slog.AnyValue(s).Resolve().String()
	if strings.Contains(shown, "canary") || strings.Contains(shown, hex.EncodeToString([]byte("canary"))) || !strings.Contains(shown, "***") {
		t.Errorf("shown: %s", shown)
	}
}
