package sigv4

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
)

// A Signer signs requests in header form as one client of one service.
type Signer struct {
	Key       *Key
	Token     string // session token of a temporary key, or ""
	Algorithm Algorithm
	Service   string
	Region    string // of the scope; for SigV4A the region set, "*" for any

	// NormalizePath signs the path with dot segments resolved, as some AWS
	// clients do. The path that is sent must be the one in the request.
	NormalizePath bool
}

// Sign adds X-Amz-Date, Authorization and what else the algorithm needs to
// r.Header. body is the hash of the body that will be sent. Every header that
// is there is signed, except those that are a hop's own business.
//
// It fails if the key is public only, or the request is not one a [Verifier]
// could read.
func (s Signer) Sign(r *Request, body [sha256.Size]byte, now time.Time) error {
	if s.Key.publicOnly() {
		return errors.New("a public key cannot sign")
	}
	t, err := splitTarget(r, func(string) bool { return true })
	if err != nil {
		return err
	}
	if _, ok := ParseQuery(t.query); !ok {
		return bad("the query string has a bad percent escape")
	}
	c := Claim{
		AccessKeyID: s.Key.id, Algorithm: s.Algorithm, request: r, Host: t.host, Path: t.path, Query: t.query,
		date: now.UTC().Format(dateForm), region: s.Region, service: s.Service,
	}
	c.day = c.date[:8]
	c.scope = strings.Join([]string{c.day, s.Service, terminator}, "/")
	if s.Algorithm == SigV4 {
		c.scope = strings.Join([]string{c.day, s.Region, s.Service, terminator}, "/")
	}
	delete(r.Header, "Authorization")
	r.Header["X-Amz-Date"] = []string{c.date}
	if s.Algorithm == SigV4A {
		r.Header["X-Amz-Region-Set"] = []string{s.Region}
	}
	if s.Token != "" {
		r.Header["X-Amz-Security-Token"] = []string{s.Token}
	}
	c.signedHeaders = signableHeaders(r.Header)
	if s.NormalizePath {
		c.Path = normalizePath(c.Path)
	}
	signature, err := s.Key.sign(&c, body)
	if err != nil {
		return err
	}
	r.Header["Authorization"] = []string{c.Algorithm.String() + " Credential=" + c.AccessKeyID + "/" + c.scope +
		", SignedHeaders=" + c.signedHeaders + ", Signature=" + signature}
	return nil
}

func (k *Key) sign(c *Claim, body [sha256.Size]byte) (string, error) {
	var hash [2 * sha256.Size]byte
	hex.Encode(hash[:], body[:])
	digest := sha256.Sum256(c.appendCanonical(nil, c.Path, &hash))
	toSign := c.appendStringToSign(nil, &digest)
	if c.Algorithm == SigV4 {
		mac := k.hmac(c.day, c.region, c.service, toSign)
		return hex.EncodeToString(mac[:]), nil
	}
	digest = sha256.Sum256(toSign)
	der, err := ecdsa.SignASN1(rand.Reader, k.private, digest[:])
	return hex.EncodeToString(der), err
}

// signableHeaders returns the SignedHeaders list: all but the headers that a
// client's transport or a hop may add, drop or change.
func signableHeaders(header map[string][]string) string {
	names := []string{"host"}
	for name := range header {
		switch name = strings.ToLower(name); name {
		case "accept-encoding", "authorization", "connection", "expect", "host", "transfer-encoding", "user-agent", "x-amzn-trace-id":
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ";")
}
