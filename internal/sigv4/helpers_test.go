package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func hashOf(s string) [sha256.Size]byte { return sha256.Sum256([]byte(s)) }

// limited returns key as a temporary key with that token.
func limited(key *Key, token string, expires time.Time) *Key {
	hash := hashOf(token)
	return key.Limited(&hash, expires)
}

func hexHash(s string) *[2 * sha256.Size]byte {
	var out [2 * sha256.Size]byte
	sum := hashOf(s)
	hex.Encode(out[:], sum[:])
	return &out
}

// A forger makes requests that are signed with a real key but may break any
// rule: its fields go into the request as they are.
type forger struct {
	algorithm     Algorithm
	id            string
	scope         string // after the access key id
	signedHeaders string // "" for all headers
	path          string // that is signed; "" for the one that is sent
	method        string
	target        string
	host          string
	body          string
	header        map[string]string
}

// noon is the clock of these tests.
func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// honest is a request that keeps every rule of the data plane.
func honest() forger {
	return forger{
		id: "AKIDEXAMPLE", scope: "20261123/cloudfront-keyvaluestore/aws4_request",
		method: "PUT", target: "/key-value-stores/arn/keys/a%2Fb", host: "localhost:8080", body: `{"Value":"v"}`,
		header: map[string]string{"X-Amz-Date": "20261123T120000Z", "X-Amz-Region-Set": "*", "If-Match": "KV1"},
	}
}

// honestSigV4 is the same in SigV4.
func honestSigV4() forger {
	f := honest()
	f.algorithm, f.scope = SigV4, "20261123/eu-west-1/cloudfront-keyvaluestore/aws4_request"
	delete(f.header, "X-Amz-Region-Set")
	return f
}

func (f forger) with(header, value string) forger {
	f.header = maps.Clone(f.header)
	f.header[header] = value
	return f
}

func secretKey() *Key { return NewKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY") }

// request signs with key whatever the forger says.
func (f forger) request(t testing.TB, key *Key) *rawMessage {
	t.Helper()
	m := &rawMessage{Request: Request{Method: f.method, Target: f.target, Host: f.host, Header: map[string][]string{}}, Body: []byte(f.body)}
	names := []string{"host"}
	for name, value := range f.header {
		m.Header[name] = []string{value}
		names = append(names, strings.ToLower(name))
	}
	slices.Sort(names)
	c := Claim{
		Algorithm: f.algorithm, request: &m.Request, scope: f.scope, date: f.header["X-Amz-Date"],
		Host: f.host, signedHeaders: strings.Join(names, ";"),
	}
	if f.signedHeaders != "" {
		c.signedHeaders = f.signedHeaders
	}
	c.Path, c.Query, _ = strings.Cut(f.target, "?")
	if f.path != "" {
		c.Path = f.path
	}
	if parts := strings.Split(f.scope, "/"); len(parts) > 2 {
		c.day, c.region, c.service = parts[0], parts[1], parts[2]
	}
	signature, err := key.sign(&c, hashOf(f.body))
	if err != nil {
		t.Fatal(err)
	}
	m.Header["Authorization"] = []string{f.algorithm.String() + " Credential=" + f.id + "/" + f.scope +
		", SignedHeaders=" + c.signedHeaders + ", Signature=" + signature}
	return m
}

// reason says how the data plane's verifier judges m, "" for accepted.
func (m *rawMessage) reason(v *Verifier, key *Key) string {
	err := m.verify(v, noon(), key)
	if err == nil {
		return "accepted"
	}
	return reasonName(ReasonOf(err))
}

func reasonName(r Reason) string {
	return [...]string{"NoCredentials", "BadAuthorization", "BadScope", "BadPath", "Unauthenticated"}[r]
}

// genuine reports whether the cryptography alone would have accepted m: the
// negative control of a test that a rule refuses it.
func (m *rawMessage) genuine(t testing.TB, key *Key) bool {
	t.Helper()
	split, err := splitTarget(&m.Request, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	c, err := parse(&m.Request, split, true)
	if err != nil {
		t.Fatal(err)
	}
	return c.signedBy(key, c.Path, hexHash(string(m.Body))) || c.signedBy(key, normalizePath(c.Path), hexHash(string(m.Body)))
}
