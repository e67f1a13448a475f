package access

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/sigv4"
)

func TestAdmissionHoldsWhatWasVerified(t *testing.T) {
	w := newWorld(t)
	key := w.create(KeyRequest{User: "ann"})
	g := w.gate(GateOptions{})
	for _, algorithm := range []sigv4.Algorithm{sigv4.SigV4A, sigv4.SigV4} {
		a, err := w.admit(g, call{
			method: "PUT", target: getTarget + "?x=a+b&y=%2F", host: "123456789012.kvs.example.test:8080", body: `{"Value":"v"}`,
			algorithm: algorithm, header: map[string]string{"If-Match": "KV1", "Content-Type": "application/json"},
			unsigned: "Amz-Sdk-Request: attempt=1\r\nX-Forwarded-For: 10.0.0.1\r\n",
		}, key)
		if err != nil {
			t.Fatal(err)
		}
		got := []any{a.Caller, string(a.Body), a.Path, a.Query, a.HostAccount, a.Header("if-match"), a.Header("Amz-Sdk-Request"), a.Header("X-None")}
		want := []any{
			popkv.Caller{Account: account, User: "ann", AccessKeyID: key.AccessKeyID}, `{"Value":"v"}`, getTarget, "x=a%2Bb&y=%2F", "123456789012", "KV1", "", "",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: (-want +got):\n%s", algorithm, diff)
		}
		a.Release()
		a.Release()
		if free := g.bodies.free.Load(); free != defaultInFlightBytes {
			t.Errorf("%d bytes of the budget are not given back", defaultInFlightBytes-free)
		}
	}
}

func TestRefusalsHaveTheirKinds(t *testing.T) {
	w := newWorld(t)
	key := w.create(KeyRequest{User: "ann"})
	unknown := Credentials{AccessKeyID: "AKIANOBODY", Secret: key.Secret}
	forged := Credentials{AccessKeyID: key.AccessKeyID, Secret: popkv.NewSecret("another secret")}
	sent := func(c call, by Credentials, change func(r *http.Request)) *http.Request {
		r := w.request(c, by)
		change(r)
		return r
	}
	same := func(*http.Request) {}
	for name, c := range map[string]struct {
		r    *http.Request
		want string
	}{
		"nothing wrong":          {sent(call{target: getTarget}, key, same), "ok"},
		"no credentials":         {sent(call{target: getTarget}, key, func(r *http.Request) { r.Header.Del("Authorization") }), "NoCredentials"},
		"unreadable credentials": {sent(call{target: getTarget}, key, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }), "BadAuthorization"},
		"query credentials":      {sent(call{target: getTarget + "?X-Amz-Signature=00"}, key, same), "BadAuthorization"},
		"another service":        {sent(call{target: getTarget, service: "s3"}, key, same), "BadScope"},
		"the control plane's":    {sent(call{target: getTarget, service: ServiceControlPlane}, key, same), "BadScope"},
		"unknown key":            {sent(call{target: getTarget}, unknown, same), "Unauthenticated"},
		"wrong secret":           {sent(call{target: getTarget}, forged, same), "Unauthenticated"},
		"another host":           {sent(call{target: getTarget}, key, func(r *http.Request) { r.Host = "evil.example" }), "Unauthenticated"},
		"another path":           {sent(call{target: getTarget}, key, func(r *http.Request) { r.RequestURI += "x" }), "Unauthenticated"},
		"an empty segment":       {sent(call{target: "/key-value-stores//keys/a"}, key, same), "UnknownOperation"},
		"a dot segment":          {sent(call{target: "/key-value-stores/x/../keys/a"}, key, same), "UnknownOperation"},
		"the key ..":             {sent(call{target: "/key-value-stores/x/keys/.."}, key, same), "ok"},
		"a trailing slash":       {sent(call{target: "/key-value-stores/x/"}, key, same), "ok"},
		"another body":           {sent(call{method: "PUT", target: getTarget, body: "abc"}, key, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("abd")) }), "Unauthenticated"},
		"a body cut short":       {sent(call{method: "PUT", target: getTarget, body: "abc"}, key, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("ab")) }), "Malformed"},
		"a body that fails":      {sent(call{method: "PUT", target: getTarget, body: "abc"}, key, func(r *http.Request) { r.Body = io.NopCloser(iotest.ErrReader(errors.New("reset"))) }), "Malformed"},
		"a long body":            {sent(call{method: "PUT", target: getTarget, body: strings.Repeat("x", 1025)}, key, same), "TooLarge"},
		"a chunked body":         {sent(call{method: "PUT", target: getTarget}, key, func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }), "BadAuthorization"},
		"an unknown length":      {sent(call{method: "PUT", target: getTarget}, key, func(r *http.Request) { r.ContentLength = -1 }), "BadAuthorization"},
		"somebody else's URL":    {sent(call{target: getTarget}, key, func(r *http.Request) { r.RequestURI = "http://evil.example" + r.RequestURI }), "BadAuthorization"},
		"our own URL":            {sent(call{target: getTarget}, key, func(r *http.Request) { r.RequestURI = "http://localhost:8080" + r.RequestURI }), "ok"},
	} {
		g := w.gate(GateOptions{})
		a, err := g.Admit(c.r, ServiceDataPlane, 1024)
		if got := kindName(err); got != c.want {
			t.Errorf("%s: %s (%v), want %s", name, got, err, c.want)
		}
		if err == nil {
			a.Release()
		}
		if free := g.bodies.free.Load(); free != defaultInFlightBytes {
			t.Errorf("%s: %d bytes of the budget are not given back", name, defaultInFlightBytes-free)
		}
	}
	if _, err := w.gate(GateOptions{}).Admit(w.request(call{target: getTarget}, key), "nonsense", 1024); kindName(err) != "Internal" {
		t.Errorf("a service that is none: %v", err)
	}
}

// The clock is the gate's: five minutes either way.
func TestRequestsAreAcceptedForFiveMinutes(t *testing.T) {
	w := newWorld(t)
	key := w.create(KeyRequest{User: "ann"})
	r := w.request(call{target: getTarget}, key)
	g := w.gate(GateOptions{})
	for seconds, want := range map[int64]string{-301: "BadScope", -300: "ok", 300: "ok", 301: "BadScope"} {
		signed := w.now
		w.now = signed.Add(time.Duration(seconds) * time.Second)
		if _, err := g.Admit(r, ServiceDataPlane, 0); kindName(err) != want {
			t.Errorf("after %d s: %v, want %s", seconds, err, want)
		}
		w.now = signed
	}
}

func TestUnknownKeyAndWrongSecretAreAnsweredAlike(t *testing.T) {
	w := newWorld(t)
	key := w.create(KeyRequest{User: "ann", Life: 1e12})
	g := w.gate(GateOptions{})
	wrongToken := key
	wrongToken.SessionToken = popkv.NewSecret("another")
	var first error
	for name, by := range map[string]Credentials{
		"unknown":     {AccessKeyID: "AKIANOBODY", Secret: key.Secret},
		"wrong":       {AccessKeyID: key.AccessKeyID, Secret: popkv.NewSecret("x"), SessionToken: key.SessionToken},
		"wrong token": wrongToken,
		"data key":    {AccessKeyID: "!data-key", Secret: key.Secret},
	} {
		_, err := w.admit(g, call{target: getTarget}, by)
		if name == "data key" {
			if kindName(err) != "BadAuthorization" {
				t.Errorf("the id of the data key's record: %v", err)
			}
			continue
		}
		if first == nil {
			first = err
		}
		if err == nil || err.Error() != first.Error() || popkv.KindOf(err) != popkv.Unauthenticated || popkv.Message(err) != "Authentication failed" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSigV4CanBeSwitchedOffOnTheDataPlaneOnly(t *testing.T) {
	w := newWorld(t)
	key := w.create(KeyRequest{User: "ann"})
	g := w.gate(GateOptions{NoSigV4OnDataPlane: true})
	for service, want := range map[string]string{ServiceDataPlane: "BadAuthorization", ServiceControlPlane: "ok", ServiceSTS: "ok", ServiceManagement: "ok"} {
		if _, err := w.admit(g, call{target: "/x", service: service, algorithm: sigv4.SigV4}, key); kindName(err) != want {
			t.Errorf("%s: %v, want %s", service, err, want)
		}
	}
}

func TestTheControlPlaneHasNoDotKeys(t *testing.T) {
	w := newWorld(t)
	key := w.create(KeyRequest{User: "ann"})
	if _, err := w.admit(w.gate(GateOptions{}), call{target: "/2020-05-31/keys/..", service: ServiceControlPlane, algorithm: sigv4.SigV4}, key); kindName(err) != "UnknownOperation" {
		t.Errorf("%v", err)
	}
}

func TestOwnNames(t *testing.T) {
	n := newNames([]string{"KVS.example.com", "10.0.0.5:8080", "[fd00::1]:8080", "::", ""})
	for authority, want := range map[string]bool{
		"localhost": true, "LOCALHOST:8080": true, "000000000000.localhost:8080": true, "localhost:99999999": false, "localhost:x": false,
		"127.0.0.1:80": true, "127.9.9.9": true, "123456789012.127.0.0.1:8080": true, "[::1]:8080": true, "[::1]": true,
		"kvs.example.com": true, "123456789012.kvs.example.com:443": true, "10.0.0.5": true, "[fd00::1]:1": true,
		"example.com": false, "x.kvs.example.com": false, "12345678901.kvs.example.com": false, "1234567890123.kvs.example.com": false,
		"123456789012.123456789012.localhost": false, "123456789012.": false, "192.0.2.1": false, "[::2]:1": false, "localhost.evil.example": false, "": false,
	} {
		if got := n.own(authority); got != want {
			t.Errorf("%s: own %v, want %v", authority, got, want)
		}
	}
}

func TestHostLabels(t *testing.T) {
	for host, want := range map[string]string{
		"123456789012.localhost:8080": "123456789012", "localhost": "", "12345678901.localhost": "", "123456789012": "", "123456789012:80": "", "a23456789012.x": "",
	} {
		if got := labelOf(host); got != want {
			t.Errorf("%s: label %q, want %q", host, got, want)
		}
	}
}

// All bodies together stay within the budget, and a client that announces much
// but sends little holds little of it.
func TestBodiesShareABudget(t *testing.T) {
	w := newWorld(t)
	key := w.create(KeyRequest{User: "ann"})
	const whole = 100_000
	g := w.gate(GateOptions{InFlightBytes: whole + firstRead})
	put := call{method: "PUT", target: getTarget, body: strings.Repeat("x", whole)}

	slow := w.request(put, key)
	arriving, sender := io.Pipe()
	slow.Body = arriving
	answered := make(chan error)
	go func() {
		a, err := g.Admit(slow, ServiceDataPlane, whole)
		if err == nil {
			a.Release()
		}
		answered <- err
	}()
	sender.Write([]byte("x")) // has reserved its first step by now
	if free := g.bodies.free.Load(); free != whole {
		t.Errorf("the slow client holds %d bytes, want %d", whole+firstRead-free, firstRead)
	}
	first, err := w.admit(g, put, key)
	if err != nil {
		t.Fatalf("a body that fits: %v", err)
	}
	if _, err := w.admit(g, put, key); kindName(err) != "Unavailable" {
		t.Errorf("a body that does not fit: %v", err)
	}
	if a, err := w.admit(g, call{target: getTarget}, key); err != nil || a.reserved != 0 {
		t.Errorf("a request without a body: %v", err)
	}
	first.Release()
	go func() {
		sender.Write([]byte(strings.Repeat("x", whole-1)))
		sender.Close()
	}()
	if err := <-answered; err != nil {
		t.Errorf("the slow client: %v", err)
	}
	if free := g.bodies.free.Load(); free != whole+firstRead {
		t.Errorf("%d bytes are not given back", whole+firstRead-free)
	}
}

// Who has no key gets the same answers and holds nothing meanwhile.
func TestAnUnknownKeyTakesNothingOfTheBodyBudget(t *testing.T) {
	w := newWorld(t)
	key := w.create(KeyRequest{User: "ann"})
	unknown := Credentials{AccessKeyID: "AKIANOBODY", Secret: key.Secret}
	const whole = 100_000
	g := w.gate(GateOptions{InFlightBytes: whole})
	put := call{method: "PUT", target: getTarget, body: strings.Repeat("x", whole)}

	slow := w.request(put, unknown)
	arriving, sender := io.Pipe()
	slow.Body = arriving
	answered := make(chan error)
	go func() {
		_, err := g.Admit(slow, ServiceDataPlane, whole)
		answered <- err
	}()
	sender.Write([]byte(strings.Repeat("x", whole-1)))
	if free := g.bodies.free.Load(); free != whole {
		t.Errorf("the slow client holds %d bytes", whole-free)
	}
	sender.Close()
	if err := <-answered; kindName(err) != "Malformed" {
		t.Errorf("a body that ends early: %v", err)
	}
	if _, err := w.admit(g, put, unknown); kindName(err) != "Unauthenticated" {
		t.Errorf("a body that fits: %v", err)
	}
	if _, err := g.Admit(w.request(put, unknown), ServiceDataPlane, whole-1); kindName(err) != "TooLarge" {
		t.Errorf("a body that is too long: %v", err)
	}
	held, err := w.admit(g, put, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.admit(g, put, unknown); kindName(err) != "Unavailable" {
		t.Errorf("a body that does not fit: %v", err)
	}
	held.Release()
}

func TestAuthorize(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.put("ann", "p", statementWith(`"Effect":"Allow","Action":"cloudfront-keyvaluestore:Get*","Resource":"*",
		"Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"},"Bool":{"aws:SecureTransport":"true"},"StringEquals":{"aws:ResourceTag/team":"web"}}`))
	w.put("ann", "q", statementWith(`"Effect":"Deny","Action":"cloudfront-keyvaluestore:DeleteKey","Resource":"*"`))
	g := w.gate(GateOptions{})
	tags := func() (map[string]string, error) { return map[string]string{"team": "web"}, nil }
	admitted := func(user string, change func(r *http.Request)) *Admission {
		r := w.request(call{target: getTarget}, w.create(KeyRequest{User: user}))
		r.TLS = &tls.ConnectionState{}
		change(r)
		a, err := g.Admit(r, ServiceDataPlane, 0)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	same := func(*http.Request) {}
	ann, root := admitted("ann", same), admitted(popkv.RootUser, same)
	const otherARN = "arn:aws:cloudfront::999999999999:key-value-store/x"
	for name, c := range map[string]struct {
		a        *Admission
		action   string
		resource string
		tags     func() (map[string]string, error)
		want     string
	}{
		"allowed":             {ann, get, storeARN, tags, ""},
		"no tags":             {ann, get, storeARN, nil, "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: " + get + " on resource: " + storeARN + " because no identity-based policy allows the " + get + " action"},
		"another action":      {ann, put, storeARN, tags, "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: " + put + " on resource: " + storeARN + " because no identity-based policy allows the " + put + " action"},
		"denied in words":     {ann, "cloudfront-keyvaluestore:DeleteKey", storeARN, tags, "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: cloudfront-keyvaluestore:DeleteKey on resource: " + storeARN + " with an explicit deny in an identity-based policy"},
		"from elsewhere":      {admitted("ann", func(r *http.Request) { r.RemoteAddr = "198.51.100.1:1" }), get, storeARN, tags, "because no"},
		"an IPv4 in IPv6":     {admitted("ann", func(r *http.Request) { r.RemoteAddr = "[::ffff:192.0.2.1]:1" }), get, storeARN, tags, ""},
		"no address":          {admitted("ann", func(r *http.Request) { r.RemoteAddr = "@" }), get, storeARN, tags, "because no"},
		"without TLS":         {admitted("ann", func(r *http.Request) { r.TLS = nil }), get, storeARN, tags, "because no"},
		"root":                {root, put, storeARN, nil, ""},
		"root, any resource":  {root, "cloudfront:ListKeyValueStores", "*", nil, ""},
		"root, in S3":         {root, "s3:GetObject", "arn:aws:s3:::bucket/key", nil, ""},
		"root, other account": {root, put, otherARN, nil, "User: arn:aws:iam::123456789012:root is not authorized to perform: " + put + " on resource: " + otherARN + " because no identity-based policy allows the " + put + " action"},
	} {
		err := g.Authorize(ctx, c.a, c.action, c.resource, c.tags)
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.want != "" && (kindName(err) != "Denied" || !strings.HasSuffix(err.Error(), c.want) && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want Denied and %q", name, err, c.want)
		}
	}
	broken := errors.New("no tags today")
	if err := g.Authorize(ctx, ann, get, storeARN, func() (map[string]string, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("tags that cannot be read: %v", err)
	}
}

// A policy that is removed, and a key that is, stop at once in a gate that is
// in use.
func TestChangesAreSeenAtOnce(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	key := w.create(KeyRequest{User: "ann"})
	g := w.gate(GateOptions{})
	a, err := w.admit(g, call{target: getTarget}, key)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.put("ann", "p", statementWith(`"Effect":"Allow","Action":"*","Resource":"*"`))
		if err := g.Authorize(ctx, a, get, storeARN, nil); err != nil {
			t.Fatalf("put: %v", err)
		}
		if err := w.RemovePolicy(ctx, account, "ann", "p"); err != nil {
			t.Fatal(err)
		}
		if err := g.Authorize(ctx, a, get, storeARN, nil); kindName(err) != "Denied" {
			t.Fatalf("removed: %v", err)
		}
	}
	if err := w.RemoveKey(ctx, "", key.AccessKeyID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.admit(g, call{target: getTarget}, key); kindName(err) != "Unauthenticated" {
		t.Errorf("removed key: %v", err)
	}
}

// Requests go on while keys and policies change, and a key that nobody touches
// works all the time.
func TestRequestsAndChangesAtTheSameTime(t *testing.T) {
	w := newWorld(t, func(w *world) { w.options.PreparedKeys = 2 })
	ctx := context.Background()
	w.put("ann", "read", statementWith(`"Effect":"Allow","Action":"*","Resource":"*"`))
	g := w.gate(GateOptions{})
	var senders sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		r := w.request(call{target: getTarget}, w.create(KeyRequest{User: "ann"}))
		senders.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				a, err := g.Admit(r, ServiceDataPlane, 0)
				if err == nil {
					err = g.Authorize(ctx, a, get, storeARN, nil)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 20 {
		key := w.create(KeyRequest{User: "bob"})
		w.put("bob", "p", statementWith(`"Effect":"Deny","Action":"*","Resource":"*"`))
		rotated, err := w.RotateKey(ctx, "", key.AccessKeyID, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.RemoveKey(ctx, "", rotated.AccessKeyID); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	senders.Wait()
}
