package sigv4

import (
	"strings"
	"time"
)

// An Algorithm is one of the two kinds of signature.
type Algorithm uint8

// The algorithms. The zero value is the data plane's.
const (
	SigV4A Algorithm = iota // ECDSA on P-256, any region of a set
	SigV4                   // HMAC-SHA256, one region
)

// String returns the algorithm's name on the wire.
func (a Algorithm) String() string {
	if a == SigV4 {
		return "AWS4-HMAC-SHA256"
	}
	return "AWS4-ECDSA-P256-SHA256"
}

const (
	terminator = "aws4_request"
	dateForm   = "20060102T150405Z"
)

// parseCredential splits Credential=: the access key id, then the scope, in
// which only SigV4 has a region (rule 4).
func (c *Claim) parseCredential(credential string) error {
	id, scope, _ := strings.Cut(credential, "/")
	if !ValidAccessKeyID(id) {
		return bad("the Credential has no access key id")
	}
	c.AccessKeyID, c.scope = id, scope
	day, rest, ok := strings.Cut(scope, "/")
	if ok && c.Algorithm == SigV4 {
		c.region, rest, ok = strings.Cut(rest, "/")
		ok = ok && c.region != "" && len(c.region) <= 64
	}
	service, end, ok2 := strings.Cut(rest, "/")
	c.day, c.service = day, service
	if !ok || !ok2 || end != terminator {
		return badScope("Credential should be scoped as the algorithm asks: day, region for SigV4 only, service, aws4_request")
	}
	return nil
}

// ValidAccessKeyID reports whether id may be an access key id here: 1 to 128
// letters, digits, hyphens and underscores.
func ValidAccessKeyID(id string) bool {
	for i := range len(id) {
		c := id[i]
		if !unreserved(c) || c == '.' || c == '~' {
			return false
		}
	}
	return 1 <= len(id) && len(id) <= 128
}

// checkScope keeps the rest of rule 4.
func checkScope(c *Claim, service string) error {
	if c.service != service {
		return badScope("Credential should be scoped to service " + service)
	}
	if len(c.date) < 8 || c.day != c.date[:8] {
		return badScope("Credential should be scoped to the day of X-Amz-Date")
	}
	return nil
}

// parseDate keeps the first half of rule 6: exactly 20060102T150405Z.
func parseDate(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, bad("no X-Amz-Date")
	}
	t, err := time.Parse(dateForm, s)
	if err != nil || len(s) != len(dateForm) { // Parse also takes a fraction
		return time.Time{}, badScope("X-Amz-Date is not of the form " + dateForm)
	}
	return t, nil
}

// checkClock keeps the second half. A query-form signature lives from its date
// for its own time.
func checkClock(c *Claim, now time.Time, skew time.Duration) error {
	if c.SignedAt.After(now.Add(skew)) {
		return badScope("Signature not yet current: compare the clocks of client and server")
	}
	life := skew
	if c.inQuery {
		life = c.expires
	}
	if now.Sub(c.SignedAt) > life {
		return badScope("Signature expired: compare the clocks of client and server")
	}
	return nil
}

// regionCovered keeps rule 9: set is a comma-separated list in which * stands
// for any run of characters.
func regionCovered(set, region string) bool {
	for pattern := range strings.SplitSeq(set, ",") {
		if pattern = trimBlanks(pattern); pattern != "" && wildcard(pattern, region) {
			return true
		}
	}
	return false
}

func wildcard(pattern, s string) bool {
	for {
		head, tail, star := strings.Cut(pattern, "*")
		if !star {
			return s == pattern
		}
		if !strings.HasPrefix(s, head) {
			return false
		}
		s = s[len(head):]
		next, _, more := strings.Cut(tail, "*")
		if !more {
			return strings.HasSuffix(s, tail)
		}
		at := strings.Index(s, next)
		if at < 0 {
			return false
		}
		s, pattern = s[at:], tail
	}
}
