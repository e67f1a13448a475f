package sigv4

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"time"
)

// DefaultRegion is where the real service lives.
const DefaultRegion = "us-east-1"

// DefaultSkew is how far a request's date may be from the clock (assumed: the
// usual figure of AWS services).
const DefaultSkew = 5 * time.Minute

// Config says what one endpoint accepts. All of it is fixed by the operator,
// none by the request.
type Config struct {
	Service       string                      // of the scope
	Region        string                      // this server's; "" is [DefaultRegion]
	NoSigV4       bool                        // only SigV4A
	Query         bool                        // also signatures in the query string
	Skew          time.Duration               // 0 is [DefaultSkew]
	OwnName       func(authority string) bool // for absolute-form targets; nil refuses them
	DotKeys       string                      // "/keys/": a last segment "." or ".." after it is a name
	TrailingSlash bool                        // a path may end in a slash
}

// A Verifier checks the requests of one endpoint. It is safe for concurrent
// use.
type Verifier struct {
	config Config
	dummy  *Key // stands in for a key that is not known
}

// NewVerifier makes a verifier.
func NewVerifier(c Config) *Verifier {
	if c.Region == "" {
		c.Region = DefaultRegion
	}
	if c.Skew == 0 {
		c.Skew = DefaultSkew
	}
	return &Verifier{config: c, dummy: NewKey("unknown", "no request is ever accepted with this key")}
}

// A Claim is a request that has passed every check that needs no key and no
// body. It claims to come from AccessKeyID; nothing is proven yet.
type Claim struct {
	AccessKeyID string
	Algorithm   Algorithm
	SignedAt    time.Time
	Host        string // that was signed
	Path        string // raw, as signed; route on this
	Query       string // raw, as signed; read it with [ParseQuery]

	request       *Request
	inQuery       bool
	twoForms      bool // the normalised path is accepted too
	date          string
	scope         string // without the access key id
	day           string
	region        string // SigV4 only
	service       string
	regionSet     string
	signedHeaders string
	signature     string
	token         string
	bodyHash      string // X-Amz-Content-Sha256, or ""
	expires       time.Duration
	now           time.Time // of the check
}

// Signed reports whether the signature covers the header of that name. What is
// not covered must not influence the result.
func (c *Claim) Signed(name string) bool { return listHas(c.signedHeaders, name) }

// Check keeps every rule that needs neither key nor body. It allocates little
// and does no cryptography.
func (v *Verifier) Check(r *Request, now time.Time) (Claim, error) {
	if err := checkFraming(r); err != nil {
		return Claim{}, err
	}
	t, err := splitTarget(r, v.config.OwnName)
	if err != nil {
		return Claim{}, err
	}
	c, err := parse(r, t, v.config.Query)
	if err != nil {
		return Claim{}, err
	}
	c.now = now
	return c, v.checkRules(&c)
}

func (v *Verifier) checkRules(c *Claim) (err error) {
	if c.Algorithm == SigV4 && v.config.NoSigV4 { // rule 3
		return bad("this endpoint accepts AWS4-ECDSA-P256-SHA256 signatures only")
	}
	if err := checkScope(c, v.config.Service); err != nil {
		return err
	}
	if err := checkClock(c, c.now, v.config.Skew); err != nil {
		return err
	}
	if c.Algorithm == SigV4A && !regionCovered(c.regionSet, v.config.Region) {
		return badScope("the region set does not cover " + v.config.Region)
	}
	if err := checkCoverage(c); err != nil {
		return err
	}
	c.bodyHash = c.request.value("X-Amz-Content-Sha256")
	if err := checkHashHeader(c.bodyHash); err != nil {
		return err
	}
	c.twoForms, err = checkPath(c.Path, v.config.DotKeys, v.config.TrailingSlash)
	return err
}

// checkHashHeader refuses the markers that would leave a body unsigned
// (rule 7), and everything else that is no hash.
func checkHashHeader(value string) error {
	if value == "" {
		return nil
	}
	if strings.HasPrefix(value, "UNSIGNED") || strings.HasPrefix(value, "STREAMING") {
		return bad("X-Amz-Content-Sha256 must be the hash of the body: unsigned and streamed bodies are not accepted")
	}
	if _, err := hex.DecodeString(value); err != nil || len(value) != 2*sha256.Size || strings.ToLower(value) != value {
		return bad("X-Amz-Content-Sha256 is not a SHA-256 in lower-case hex")
	}
	return nil
}

// Verify finishes what [Verifier.Check] began. key is the key of
// c.AccessKeyID, or nil if there is none; body is the hash of the body as
// received. The only error is Unauthenticated, and whatever the cause, the
// same work is done before it is returned (rule 10; only a key held as a
// public key costs more, because it needs the slower check).
func (v *Verifier) Verify(c *Claim, key *Key, body [sha256.Size]byte) error {
	proven := key.acceptsToken(c.token, c.now)
	if key == nil || c.Algorithm == SigV4 && key.publicOnly() { // rule 3
		proven, key = false, v.dummy
	}
	var hash [2 * sha256.Size]byte
	hex.Encode(hash[:], body[:])
	if c.bodyHash != "" && c.bodyHash != string(hash[:]) { // rule 7
		proven = false
	}
	holds := c.signedBy(key, c.Path, &hash)
	if !holds && c.twoForms {
		holds = c.signedBy(key, normalizePath(c.Path), &hash)
	}
	if !holds || !proven {
		return unauthenticated()
	}
	return nil
}

// signedBy reports whether key made the signature over this form of the path.
func (c *Claim) signedBy(key *Key, path string, bodyHash *[2 * sha256.Size]byte) bool {
	var stack [2048]byte
	canonical := c.appendCanonical(stack[:0], path, bodyHash)
	digest := sha256.Sum256(canonical)
	toSign := c.appendStringToSign(canonical[:0], &digest)
	if c.Algorithm == SigV4 {
		mac := key.hmac(c.day, c.region, c.service, toSign)
		var want [2 * sha256.Size]byte
		hex.Encode(want[:], mac[:])
		return subtle.ConstantTimeCompare(want[:], []byte(c.signature)) == 1
	}
	var der [maxDER]byte
	n, err := hex.Decode(der[:], []byte(c.signature))
	digest = sha256.Sum256(toSign)
	return err == nil && key.verifyECDSA(&digest, der[:n])
}

// appendCanonical appends the canonical request.
func (c *Claim) appendCanonical(dst []byte, path string, bodyHash *[2 * sha256.Size]byte) []byte {
	dst = append(dst, c.request.Method...)
	dst = append(dst, '\n')
	dst = appendCanonicalPath(dst, path)
	dst = append(dst, '\n')
	skip := ""
	if c.inQuery {
		skip = "X-Amz-Signature"
	}
	dst = appendCanonicalQuery(dst, c.Query, skip)
	dst = append(dst, '\n')
	for name := range strings.SplitSeq(c.signedHeaders, ";") {
		dst = append(dst, name...)
		dst = append(dst, ':')
		if name == "host" {
			dst = append(dst, c.Host...)
		} else {
			dst = appendHeaderValue(dst, c.request.values(name))
		}
		dst = append(dst, '\n')
	}
	dst = append(dst, '\n')
	dst = append(dst, c.signedHeaders...)
	dst = append(dst, '\n')
	return append(dst, bodyHash[:]...)
}

// appendStringToSign appends the string to sign; SigV4A's scope names no
// region.
func (c *Claim) appendStringToSign(dst []byte, canonical *[sha256.Size]byte) []byte {
	dst = append(dst, c.Algorithm.String()...)
	dst = append(dst, '\n')
	dst = append(dst, c.date...)
	dst = append(dst, '\n')
	dst = append(dst, c.scope...)
	dst = append(dst, '\n')
	return hex.AppendEncode(dst, canonical[:])
}
