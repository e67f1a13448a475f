package sigv4

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/smithy-go/aws-http-auth/credentials"
	awssigv4 "github.com/aws/smithy-go/aws-http-auth/sigv4"
	awssigv4a "github.com/aws/smithy-go/aws-http-auth/sigv4a"
	awsv4 "github.com/aws/smithy-go/aws-http-auth/v4"
	"pgregory.net/rapid"
)

// AWS's own signer for Go signs, we verify: keys and parameters of any shape.
func TestRequestsSignedByAWSLibraryAreAccepted(t *testing.T) {
	key := secretKey()
	creds := credentials.Credentials{AccessKeyID: key.id, SecretAccessKey: key.secret}
	v := NewVerifier(Config{Service: "cloudfront-keyvaluestore"})
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringN(1, 40, 512).Filter(func(s string) bool { return s != "." && s != ".." }).Draw(t, "key")
		parameter := rapid.String().Draw(t, "parameter")
		header := strings.Join(strings.Fields(rapid.StringMatching(`[ -~]{0,20}`).Draw(t, "header")), " ")
		body := rapid.String().Draw(t, "body")
		r, err := http.NewRequest("PUT", "http://000000000000.localhost:8080/key-value-stores/a/keys/"+escape(name)+"?NextToken="+escape(parameter), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Meta", header)
		hash := hashOf(body)
		if rapid.Bool().Draw(t, "SigV4A") {
			err = awssigv4a.New().SignRequest(&awssigv4a.SignRequestInput{
				Request: r, PayloadHash: hash[:], Credentials: creds, Service: "cloudfront-keyvaluestore", RegionSet: []string{"*"}, Time: noon(), SignatureType: awsv4.SignatureTypeHeader})
		} else {
			err = awssigv4.New().SignRequest(&awssigv4.SignRequestInput{
				Request: r, PayloadHash: hash[:], Credentials: creds, Service: "cloudfront-keyvaluestore", Region: "eu-west-1", Time: noon(), SignatureType: awsv4.SignatureTypeHeader})
		}
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Del("Host")
		m := &rawMessage{Request: Request{Method: r.Method, Target: r.URL.RequestURI(), Host: r.Host, Header: r.Header}, Body: []byte(body)}
		if err := m.verify(v, noon(), key); err != nil {
			t.Fatalf("%s: %v", m.Target, err)
		}
	})
}

func TestOurSignaturesAreAccepted(t *testing.T) {
	key := secretKey()
	temporary := limited(key, "token", noon().AddDate(0, 0, 1))
	for _, s := range []Signer{
		{Key: key, Algorithm: SigV4A, Region: "*"},
		{Key: key, Algorithm: SigV4, Region: "us-east-1"},
		{Key: temporary, Token: "token", Algorithm: SigV4A, Region: "*"},
		{Key: temporary, Token: "token", Algorithm: SigV4, Region: "us-east-1"},
	} {
		s.Service = "cloudfront-keyvaluestore"
		m := &rawMessage{Request: Request{Method: "PUT", Target: "/key-value-stores/arn/keys/a%2Fb?x=%2F&a", Host: "localhost:8080", Header: map[string][]string{
			"If-Match": {"KV1"}, "User-Agent": {"popkv"}, "Authorization": {"an older one"},
		}}, Body: []byte("body")}
		if err := s.Sign(&m.Request, hashOf("body"), noon()); err != nil {
			t.Fatal(err)
		}
		if err := m.verify(dataPlane(), noon(), s.Key); err != nil {
			t.Errorf("%v, token %q: %v", s.Algorithm, s.Token, err)
		}
		c, err := dataPlane().Check(&m.Request, noon())
		if err != nil || !c.Signed("If-Match") || c.Signed("User-Agent") {
			t.Errorf("%v: If-Match must be signed, User-Agent not: %s (%v)", s.Algorithm, c.signedHeaders, err)
		}
	}
	public, err := NewPublicKey(key.id, key.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	if err := (Signer{Key: public}).Sign(&Request{Method: "GET", Target: "/", Host: "h", Header: map[string][]string{}}, hashOf(""), noon()); err == nil {
		t.Error("a public key signs")
	}
}

func TestQueryFormLivesAsLongAsItSays(t *testing.T) {
	key := secretKey()
	for _, c := range []struct {
		signed, expires string
		want            string
	}{
		{"20261123T120000Z", "1", "accepted"},
		{"20261123T110000Z", "3600", "accepted"},
		{"20261123T105959Z", "3600", "BadScope"},
		{"20261123T120500Z", "60", "accepted"}, // the signer's clock is ahead
		{"20261123T120501Z", "60", "BadScope"},
		{"20261123T120000Z", "0", "BadAuthorization"},
		{"20261123T120000Z", "604801", "BadAuthorization"},
		{"20261123T120000Z", "1h", "BadAuthorization"},
	} {
		m := presign(t, key, c.signed, c.expires)
		v := NewVerifier(Config{Service: "popkv", Query: true})
		if got := m.reason(v, key); got != c.want {
			t.Errorf("signed at %s for %s: %s, want %s", c.signed, c.expires, got, c.want)
		}
	}
	m := presign(t, key, "20261123T120000Z", "60")
	m.Header["X-Amz-Security-Token"] = []string{"beside the query"}
	if got := m.reason(NewVerifier(Config{Service: "popkv", Query: true}), key); got != "BadAuthorization" {
		t.Errorf("a token in a header: %s", got)
	}
	m = presign(t, key, "20261123T120000Z", "60")
	m.Target += "&X-Amz-Expires=7000"
	if got := m.reason(NewVerifier(Config{Service: "popkv", Query: true}), key); got != "BadAuthorization" {
		t.Errorf("a parameter twice: %s", got)
	}
}

// presign makes a SigV4 query-form request.
func presign(t *testing.T, key *Key, date, expires string) *rawMessage {
	t.Helper()
	m := &rawMessage{Request: Request{Method: "GET", Host: "h", Header: map[string][]string{}}}
	query := "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + key.id + "%2F20261123%2Fus-east-1%2Fpopkv%2Faws4_request&X-Amz-Date=" + date +
		"&X-Amz-Expires=" + expires + "&X-Amz-SignedHeaders=host"
	c := Claim{
		Algorithm: SigV4, request: &m.Request, Host: "h", Path: "/a", Query: query, signedHeaders: "host", date: date,
		day: "20261123", region: "us-east-1", service: "popkv", scope: "20261123/us-east-1/popkv/aws4_request", inQuery: true,
	}
	signature, err := key.sign(&c, hashOf(""))
	if err != nil {
		t.Fatal(err)
	}
	m.Target = "/a?" + query + "&X-Amz-Signature=" + signature
	return m
}

func TestAKeyNeverShowsItsSecret(t *testing.T) {
	key := secretKey()
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "key", key)
	shown := fmt.Sprintf("%v %+v %#v %s %q", key, key, key, key, key) + log.String()
	for _, secret := range []string{key.secret, key.secret[:8], hex.EncodeToString(key.scalar.Bytes(order()))} {
		if strings.Contains(shown, secret) {
			t.Errorf("shown: %s", shown)
		}
	}
}

func TestSigningKeysAreKeptPerDayRegionAndService(t *testing.T) {
	key := secretKey()
	seen := map[[32]byte]string{}
	for range 2 { // made, then found
		for i := range 2 * len(key.recent) {
			for _, scope := range [][3]string{{fmt.Sprint(i), "r", "s"}, {"d", fmt.Sprint(i), "s"}, {"d", "r", fmt.Sprint(i)}} {
				got := key.signingKey(scope[0], scope[1], scope[2])
				if other, dup := seen[got]; dup && other != strings.Join(scope[:], "/") {
					t.Fatalf("%v has the signing key of %s", scope, other)
				}
				seen[got] = strings.Join(scope[:], "/")
			}
		}
	}
	if len(seen) != 6*len(key.recent) {
		t.Errorf("%d signing keys for %d scopes", len(seen), 6*len(key.recent))
	}
}
