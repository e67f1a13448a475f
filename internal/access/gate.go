package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/sigv4"
)

// The services that requests may be signed for.
const (
	ServiceDataPlane    = "cloudfront-keyvaluestore"
	ServiceControlPlane = "cloudfront"
	ServiceSTS          = "sts"
	ServiceManagement   = "popkv"
)

// GateOptions say what a [Gate] accepts; the zero value works.
type GateOptions struct {
	Now func() time.Time // nil: time.Now

	// Region is this server's, which the region set of SigV4A must cover; ""
	// is us-east-1.
	Region string
	// Names are this server's own, besides localhost and loopback addresses:
	// only for them is a target in absolute form accepted.
	Names []string
	// Query also accepts signatures in the query string.
	Query bool
	// NoSigV4OnDataPlane leaves SigV4A as the data plane's only algorithm.
	NoSigV4OnDataPlane bool

	// InFlightBytes bounds the bodies held for all requests together (0:
	// 64 MiB). A request that does not fit is refused.
	InFlightBytes int64
}

const defaultInFlightBytes = 64 << 20

// A Gate verifies requests and decides what their callers may do. It is safe
// for concurrent use.
type Gate struct {
	directory *Directory
	now       func() time.Time
	verifiers map[string]*sigv4.Verifier // by service
	bodies    budget
	noBody    [sha256.Size]byte // hash of nothing
}

// NewGate makes a gate for the keys and policies of d.
func NewGate(d *Directory, o GateOptions) *Gate {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.InFlightBytes == 0 {
		o.InFlightBytes = defaultInFlightBytes
	}
	g := &Gate{directory: d, now: o.Now, verifiers: map[string]*sigv4.Verifier{}, noBody: sha256.Sum256(nil)}
	g.bodies.free.Store(o.InFlightBytes)
	names := newNames(o.Names)
	for _, service := range []string{ServiceDataPlane, ServiceControlPlane, ServiceSTS, ServiceManagement} {
		c := sigv4.Config{Service: service, Region: o.Region, Query: o.Query, OwnName: names.own, TrailingSlash: true}
		if service == ServiceDataPlane {
			c.DotKeys, c.NoSigV4 = "/keys/", o.NoSigV4OnDataPlane
		}
		g.verifiers[service] = sigv4.NewVerifier(c)
	}
	return g
}

// An Admission is a request that was proven to come from Caller. Handlers use
// what is in it and nothing else that came with the request.
type Admission struct {
	Caller      popkv.Caller
	Body        []byte // not to be used after Release
	Path        string // raw, as it was signed: route on this
	Query       string // as it was signed; a raw plus sign is written %2B, so that every decoder reads what was verified
	HostAccount string // the 12 digits in front of the host's name, or ""

	request  sigv4.Request
	claim    sigv4.Claim
	remote   string // address of the client
	overTLS  bool
	bodies   *budget
	reserved int64
}

// Header returns the only value of a header, "" if it is absent, there twice
// or not covered by the signature: what was not signed must not influence the
// result.
func (a *Admission) Header(name string) string {
	values := a.request.Header[http.CanonicalHeaderKey(name)]
	if len(values) != 1 || !a.claim.Signed(name) {
		return ""
	}
	return values[0]
}

// Release returns what the body took of the budget. It may be called twice.
func (a *Admission) Release() {
	if a.reserved > 0 {
		a.bodies.give(a.reserved)
		a.reserved = 0
	}
}

// Admit verifies that r was signed for service by a key that is known, and
// reads its body, at most maxBody bytes of it. Everything that can be checked
// without the body is checked first. The caller must call Release on the
// result.
//
// Errors: [popkv.NoCredentials], [popkv.BadAuthorization], [popkv.BadScope],
// [popkv.UnknownOperation] for a path that two readers could understand in two
// ways, [popkv.TooLarge], [popkv.Malformed] for a body that ends early,
// [popkv.Unavailable] if there is no room for the body, and
// [popkv.Unauthenticated] for all else: an unknown key and a wrong signature
// are not told apart, not even by the time they take.
func (g *Gate) Admit(r *http.Request, service string, maxBody int64) (*Admission, error) {
	verifier := g.verifiers[service]
	if verifier == nil {
		return nil, popkv.Errorf(popkv.Internal, "no service %s", service)
	}
	// net/http has made one of equal Content-Length lines; different ones it has
	// refused. So the length is what every reader of the request takes it for.
	a := &Admission{
		request: sigv4.Request{
			Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header,
			Chunked: len(r.TransferEncoding) > 0 || r.ContentLength < 0,
		},
		remote: r.RemoteAddr, overTLS: r.TLS != nil, bodies: &g.bodies,
	}
	var err error
	if a.claim, err = verifier.Check(&a.request, g.now()); err != nil {
		return nil, domainError(err)
	}
	key, caller, err := g.directory.find(a.claim.AccessKeyID)
	if err != nil {
		return nil, err
	}
	hash := g.noBody
	switch {
	case r.ContentLength == 0:
	case key == nil:
		hash, err = g.bodies.readPast(r, maxBody)
	default:
		hash, err = a.read(r, maxBody)
	}
	if err != nil {
		a.Release()
		return nil, err
	}
	if err := verifier.Verify(&a.claim, key, hash); err != nil {
		a.Release()
		return nil, domainError(err)
	}
	a.Caller, a.Path, a.HostAccount = caller, a.claim.Path, labelOf(a.claim.Host)
	a.Query = strings.ReplaceAll(a.claim.Query, "+", "%2B")
	return a, nil
}

// domainError turns a refusal of the verifier into the domain's.
func domainError(err error) error {
	var refusal *sigv4.Error
	if !errors.As(err, &refusal) {
		return popkv.Wrap(popkv.Unauthenticated, err, "Authentication failed")
	}
	kinds := [...]popkv.Kind{
		sigv4.NoCredentials:    popkv.NoCredentials,
		sigv4.BadAuthorization: popkv.BadAuthorization,
		sigv4.BadScope:         popkv.BadScope,
		sigv4.BadPath:          popkv.UnknownOperation,
		sigv4.Unauthenticated:  popkv.Unauthenticated,
	}
	return popkv.Errorf(kinds[refusal.Reason], "%s", refusal.Message)
}

// Authorize fails with [popkv.Denied], in AWS's words, unless the policies
// allow the caller the action on the resource, an ARN or "*". tags returns the
// tags of the resource and is called only if a policy asks for them; nil means
// that there are none.
func (g *Gate) Authorize(_ context.Context, a *Admission, action, resourceARN string, tags func() (map[string]string, error)) error {
	if a.Caller.IsRoot() && accountOf(resourceARN) == a.Caller.Account {
		return nil // what Decide would say, without the conditions
	}
	c := Conditions{Time: g.now(), SourceIP: addressOf(a.remote), SecureTransport: a.overTLS, Tags: tags}
	decision, err := g.directory.Decide(a.Caller, action, resourceARN, c)
	if err != nil || decision.Allowed {
		return err
	}
	why := "because no identity-based policy allows the " + action + " action"
	if decision.Explicit {
		why = "with an explicit deny in an identity-based policy"
	}
	return popkv.Errorf(popkv.Denied, "User: %s is not authorized to perform: %s on resource: %s %s", a.Caller.ARN(), action, resourceARN, why)
}

// addressOf returns the address in net/http's RemoteAddr, or the zero one.
func addressOf(remote string) netip.Addr {
	if at, err := netip.ParseAddrPort(remote); err == nil {
		return at.Addr().Unmap()
	}
	address, _ := netip.ParseAddr(remote)
	return address.Unmap()
}
