package sigv4

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// These tests show of each of the ten rules that it matters: the forged
// requests carry a signature that holds, so that nothing but the rule stands
// in their way.

func TestHonestRequestsAreAccepted(t *testing.T) {
	key := secretKey()
	for name, f := range map[string]forger{"SigV4A": honest(), "SigV4": honestSigV4()} {
		if got := f.request(t, key).reason(dataPlane(), key); got != "accepted" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// refuse checks that the rules refuse m for the reason want although its
// signature holds.
func refuse(t *testing.T, name string, m *rawMessage, want string) {
	t.Helper()
	key := secretKey()
	if !m.genuine(t, key) {
		t.Errorf("%s: the signature does not hold, so the case shows nothing", name)
	}
	if got := m.reason(dataPlane(), key); got != want {
		t.Errorf("%s: %s, want %s", name, got, want)
	}
}

func TestRule1OneOfEachHeaderAndAKnownFraming(t *testing.T) {
	key := secretKey()
	sign := func() *rawMessage { return honest().request(t, key) }

	chunked := sign()
	chunked.Chunked = true
	refuse(t, "chunked", chunked, "BadAuthorization")

	hosts := sign()
	hosts.Header["Host"] = []string{"evil.example"}
	refuse(t, "a second Host", hosts, "BadAuthorization")

	lengths := sign()
	lengths.Header["Content-Length"] = []string{"13", "13"}
	refuse(t, "two lengths", lengths, "BadAuthorization")

	for _, name := range []string{"X-Amz-Date", "X-Amz-Region-Set", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "Authorization"} {
		m := sign()
		m.Header[name] = append(m.Header[name], "a", "b")
		if err := checkFraming(&m.Request); err == nil {
			t.Errorf("several %s: accepted", name)
		}
	}
	connect := honest()
	connect.method = "CONNECT"
	refuse(t, "CONNECT", connect.request(t, key), "BadAuthorization")
}

func TestRule1TheTargetIsAPathOrAURLOfOurOwn(t *testing.T) {
	own := func(authority string) bool { return authority == "000000000000.localhost:8080" }
	for _, c := range []struct{ target, host, path, query string }{
		{"/a?b", "h", "/a", "b"},
		{"/", "h", "/", ""},
		{"http://000000000000.localhost:8080/a%2Fb?x=1", "000000000000.localhost:8080", "/a%2Fb", "x=1"},
		{"HTTPS://000000000000.localhost:8080", "000000000000.localhost:8080", "/", ""},
		{"http://000000000000.localhost:8080?q", "000000000000.localhost:8080", "/", "q"},
	} {
		got, err := splitTarget(&Request{Target: c.target, Host: "h"}, own)
		if want := (target{c.host, c.path, c.query}); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", c.target, got, err, want)
		}
	}
	for _, bad := range []string{
		"", "*", "a/b", "localhost:8080", "http://", "http:///a", "http://other.example/a", "ftp://000000000000.localhost:8080/a",
		"http://user@000000000000.localhost:8080/a", "http://000000000000.localhost:8080#/a", "http://000000000000.localhost:80800/a",
	} {
		if got, err := splitTarget(&Request{Target: bad, Host: "h"}, own); err == nil {
			t.Errorf("%q: accepted as %+v", bad, got)
		}
	}
	if _, err := splitTarget(&Request{Target: "/a"}, own); err == nil {
		t.Error("no Host at all: accepted")
	}
	if _, err := splitTarget(&Request{Target: "http://000000000000.localhost:8080/", Host: "h"}, nil); err == nil {
		t.Error("no name is ours: accepted")
	}
}

func TestRule1TheAuthorityOfAURLIsTheHostThatWasSigned(t *testing.T) {
	key := secretKey()
	f := honest()
	f.host = "123456789012.kvs.example.test"
	m := f.request(t, key)
	m.Target, m.Host = "http://"+f.host+m.Target, "something.else"
	if got := m.reason(dataPlane(), key); got != "accepted" {
		t.Errorf("signed for the authority: %s", got)
	}
	f.host = "something.else"
	m = f.request(t, key)
	m.Target = "http://123456789012.kvs.example.test" + m.Target
	if got := m.reason(dataPlane(), key); got != "Unauthenticated" {
		t.Errorf("signed for the Host header: %s", got)
	}
}

func TestRule2OnePlaceForCredentials(t *testing.T) {
	key := secretKey()
	both := honest()
	both.target += "?X-Amz-Signature=00"
	if got := both.request(t, key).reason(dataPlane(), key); got != "BadAuthorization" {
		t.Errorf("header and query: %s", got)
	}
	spelled := honest()
	spelled.target += "?x-aMZ-d%61te=1"
	if got := spelled.request(t, key).reason(dataPlane(), key); got != "BadAuthorization" {
		t.Errorf("query parameter in another spelling: %s", got)
	}
	presigned := &rawMessage{Request: Request{Method: "GET", Host: "h", Target: "/a?X-Amz-Signature=00", Header: map[string][]string{}}}
	if got := presigned.reason(dataPlane(), key); got != "BadAuthorization" {
		t.Errorf("query where only the header is accepted: %s", got)
	}
	// A query form that would be accepted where it is allowed, and alone.
	genuine := presign(t, key, "20261123T120000Z", "60")
	if got := genuine.reason(NewVerifier(Config{Service: "popkv"}), key); got != "BadAuthorization" {
		t.Errorf("a genuine query form where only the header is accepted: %s", got)
	}
	queryToo := NewVerifier(Config{Service: "popkv", Query: true})
	if got := genuine.reason(queryToo, key); got != "accepted" {
		t.Errorf("a genuine query form where it is accepted: %s", got)
	}
	genuine.Header["Authorization"] = []string{"Bearer x"}
	if got := genuine.reason(queryToo, key); got != "BadAuthorization" {
		t.Errorf("a genuine query form beside a header: %s", got)
	}
	if got := (&rawMessage{Request: Request{Method: "GET", Host: "h", Target: "/a"}}).reason(dataPlane(), key); got != "NoCredentials" {
		t.Errorf("no credentials: %s", got)
	}
}

func TestRule3AlgorithmsAreTheServersChoice(t *testing.T) {
	key := secretKey()
	m := honestSigV4().request(t, key)
	v := NewVerifier(Config{Service: "cloudfront-keyvaluestore", NoSigV4: true})
	if got := m.reason(v, key); got != "BadAuthorization" {
		t.Errorf("SigV4 switched off: %s", got)
	}
	public, err := NewPublicKey(key.id, key.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	if got := m.reason(dataPlane(), public); got != "Unauthenticated" {
		t.Errorf("SigV4 with a key held as a public key: %s", got)
	}
	// The classic confusion: the public key as the HMAC secret.
	confused := NewKey(key.id, string(key.PublicKey()))
	if got := honestSigV4().request(t, confused).reason(dataPlane(), public); got != "Unauthenticated" {
		t.Errorf("HMAC with the public key: %s", got)
	}
	// And with the empty secret that a public-key-only key has.
	if got := honestSigV4().request(t, NewKey(key.id, "")).reason(dataPlane(), public); got != "Unauthenticated" {
		t.Errorf("HMAC with no secret: %s", got)
	}
	unknown := honest().request(t, key)
	unknown.Header["Authorization"][0] = strings.Replace(unknown.Header["Authorization"][0], "P256", "P384", 1)
	if got := unknown.reason(dataPlane(), key); got != "BadAuthorization" {
		t.Errorf("unknown algorithm: %s", got)
	}
}

func TestRule4Scope(t *testing.T) {
	key := secretKey()
	for _, scope := range []string{
		"20261122/cloudfront-keyvaluestore/aws4_request",
		"20261123/cloudfront/aws4_request",
		"20261123/s3/aws4_request",
	} {
		f := honest()
		f.scope = scope
		refuse(t, scope, f.request(t, key), "BadScope")
	}
	for _, scope := range []string{
		"20261123/cloudfront-keyvaluestore/aws3_request", "20261123/cloudfront-keyvaluestore/aws4_request/x",
		"20261123/us-east-1/cloudfront-keyvaluestore/aws4_request", "20261123/cloudfront-keyvaluestore", "20261123", "",
	} {
		f := honest()
		f.scope = scope
		if got := f.request(t, key).reason(dataPlane(), key); got != "BadScope" {
			t.Errorf("scope %q: %s, want BadScope", scope, got)
		}
	}
	for _, scope := range []string{"20261123/cloudfront-keyvaluestore/aws4_request", "20261123//cloudfront-keyvaluestore/aws4_request"} {
		f := honestSigV4()
		f.scope = scope
		if got := f.request(t, key).reason(dataPlane(), key); got != "BadScope" {
			t.Errorf("SigV4 scope %q: %s, want BadScope", scope, got)
		}
	}
	for _, id := range []string{"", "a.b", "a b", "ä", strings.Repeat("A", 129)} {
		f := honest()
		f.id = id
		if got := f.request(t, key).reason(dataPlane(), key); got != "BadAuthorization" {
			t.Errorf("access key id %q: %s, want BadAuthorization", id, got)
		}
	}
}

func TestRule5SignedHeaders(t *testing.T) {
	key := secretKey()
	for list, missing := range map[string]string{
		"if-match;x-amz-date;x-amz-region-set": "Host", "host;if-match;x-amz-region-set": "X-Amz-Date",
		"host;if-match;x-amz-date": "X-Amz-Region-Set", "host": "X-Amz-Date",
	} {
		f := honest()
		f.signedHeaders = list
		m := f.request(t, key)
		refuse(t, "only "+list+" signed", m, "BadAuthorization")
		if err := m.verify(dataPlane(), noon(), key); err == nil || err.Error() != "the "+missing+" header is not signed" {
			t.Errorf("only %s signed: %v, want %s named", list, err, missing)
		}
	}
	extra := honest().request(t, key)
	extra.Header["X-Amz-Meta"] = []string{"added on the way"}
	refuse(t, "an unsigned x-amz-* header", extra, "BadAuthorization")

	named := honest()
	named.signedHeaders = "host;if-match;x-amz-date;x-amz-region-set;x-other"
	refuse(t, "a listed header is not there", named.request(t, key), "BadAuthorization")

	for _, list := range []string{"host;host", "x-amz-date;host", "Host", "host;;x-amz-date", "", "host;", ";host", "ho st", "host;x:y", "host;é"} {
		if err := checkSignedList(list); err == nil {
			t.Errorf("list %q: accepted", list)
		}
	}
	harmless := honest().request(t, key)
	harmless.Header["Amz-Sdk-Request"] = []string{"attempt=1"}
	if got := harmless.reason(dataPlane(), key); got != "accepted" {
		t.Errorf("another unsigned header: %s", got)
	}
}

func TestRule6DateAndClock(t *testing.T) {
	key := secretKey()
	for date, want := range map[string]string{
		"20261123T120500Z": "accepted", "20261123T115500Z": "accepted",
		"20261123T120501Z": "BadScope", "20261123T115459Z": "BadScope",
	} {
		m := honest().with("X-Amz-Date", date).request(t, key)
		if want == "BadScope" {
			refuse(t, date, m, want)
		} else if got := m.reason(dataPlane(), key); got != want {
			t.Errorf("%s: %s, want %s", date, got, want)
		}
	}
	for _, date := range []string{
		"", "now", "2026-11-23T12:00:00Z", "20261123T120000", "20261123T120000z", "20261123T120000.5Z", "20261123T1200000Z",
		"20261123T126000Z", "20261323T120000Z", "20261123 120000Z", "20261123T120000Z ", "Mon, 23 Nov 2026 12:00:00 GMT",
	} {
		if got, err := parseDate(date); err == nil {
			t.Errorf("%q: read as %v", date, got)
		}
	}
}

func TestRule7TheBodysOwnHash(t *testing.T) {
	key := secretKey()
	right := honest().with("X-Amz-Content-Sha256", string(hexHash(honest().body)[:])).request(t, key)
	if got := right.reason(dataPlane(), key); got != "accepted" {
		t.Errorf("the right hash: %s", got)
	}
	for value, want := range map[string]string{
		"UNSIGNED-PAYLOAD":                         "BadAuthorization",
		"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD": "BadAuthorization",
		"0123": "BadAuthorization",
		strings.ToUpper(string(hexHash(honest().body)[:])): "BadAuthorization",
		string(hexHash("another body")[:]):                 "Unauthenticated",
	} {
		refuse(t, value, honest().with("X-Amz-Content-Sha256", value).request(t, key), want)
	}
	swapped := honest().request(t, key)
	swapped.Body = []byte("another body")
	if got := swapped.reason(dataPlane(), key); got != "Unauthenticated" {
		t.Errorf("another body: %s", got)
	}
}

func TestRule8TokensAndExpiry(t *testing.T) {
	long := secretKey()
	temporary := limited(long, "token", noon().Add(time.Minute))
	expired := limited(long, "token", noon())
	plain := honest().request(t, long)
	with := func(token string) *rawMessage {
		return honest().with("X-Amz-Security-Token", token).request(t, long)
	}
	for _, c := range []struct {
		name string
		m    *rawMessage
		key  *Key
		want string
	}{
		{"temporary key with its token", with("token"), temporary, "accepted"},
		{"temporary key with another token", with("other"), temporary, "Unauthenticated"},
		{"temporary key without a token", plain, temporary, "Unauthenticated"},
		{"temporary key at its expiry", with("token"), expired, "Unauthenticated"},
		{"long-term key with a token", with("token"), long, "Unauthenticated"},
		{"long-term key before its end", plain, long.Limited(nil, noon().Add(time.Second)), "accepted"},
		{"long-term key at its end", plain, long.Limited(nil, noon()), "Unauthenticated"},
	} {
		if !c.m.genuine(t, c.key) {
			t.Errorf("%s: the signature does not hold", c.name)
		}
		if got := c.m.reason(dataPlane(), c.key); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestRule9RegionSet(t *testing.T) {
	key := secretKey()
	for set, want := range map[string]string{
		"*": "accepted", "us-east-1": "accepted", "us-*": "accepted", "eu-west-1, us-east-1": "accepted", "*-east-*": "accepted", "us*1": "accepted",
		"eu-west-1": "BadScope", "": "BadScope", ",": "BadScope", "us-east-1x": "BadScope", "us-east-*-1": "BadScope", "us-east": "BadScope", "us-east-1*1": "BadScope",
	} {
		m := honest().with("X-Amz-Region-Set", set).request(t, key)
		if want == "BadScope" {
			refuse(t, "region set "+set, m, want)
		} else if got := m.reason(dataPlane(), key); got != want {
			t.Errorf("region set %q: %s, want %s", set, got, want)
		}
	}
	elsewhere := NewVerifier(Config{Service: "cloudfront-keyvaluestore", Region: "eu-west-1"})
	if got := honest().with("X-Amz-Region-Set", "eu-*").request(t, key).reason(elsewhere, key); got != "accepted" {
		t.Errorf("a server elsewhere: %s", got)
	}
}

func TestRule10UnknownKeyAndBadSignatureLookTheSame(t *testing.T) {
	key, other := secretKey(), NewKey("AKIDEXAMPLE", "another secret")
	for name, f := range map[string]forger{"SigV4A": honest(), "SigV4": honestSigV4()} {
		bad := f.request(t, other).verify(dataPlane(), noon(), key)
		unknown := f.request(t, key).verify(dataPlane(), noon())
		if bad == nil || unknown == nil || bad.Error() != unknown.Error() || ReasonOf(bad) != ReasonOf(unknown) {
			t.Errorf("%s: bad signature %v, unknown key %v", name, bad, unknown)
		}
	}
	// The stand-in key is never a way in, whatever the id.
	v := dataPlane()
	f := honest()
	f.id = v.dummy.id
	if err := f.request(t, v.dummy).verify(v, noon()); err == nil {
		t.Error("a request signed with the stand-in key is accepted")
	}
}

// The work done for an unknown key is the same in kind: it is counted in
// allocations, because a clock would make the test flicker.
func TestRule10UnknownKeyCostsTheSame(t *testing.T) {
	key, other := secretKey(), NewKey("AKIDEXAMPLE", "another secret")
	for name, f := range map[string]forger{"SigV4A": honest(), "SigV4": honestSigV4()} {
		v := dataPlane()
		m := f.request(t, other)
		c, err := v.Check(&m.Request, noon())
		if err != nil {
			t.Fatal(err)
		}
		body := hashOf(f.body)
		bad := testing.AllocsPerRun(20, func() { v.Verify(&c, key, body) })
		unknown := testing.AllocsPerRun(20, func() { v.Verify(&c, nil, body) })
		if bad-unknown > 2 || unknown-bad > 2 || unknown == 0 {
			t.Errorf("%s: %v allocations for a bad signature, %v for an unknown key", name, bad, unknown)
		}
	}
}

// The clock agrees, on a machine that is quiet enough to ask it.
func TestRule10UnknownKeyTakesTheSameTime(t *testing.T) {
	if os.Getenv("POPKV_TEST_LONG") == "" {
		t.Skip("needs a quiet machine: POPKV_TEST_LONG is not set")
	}
	key, other := secretKey(), NewKey("AKIDEXAMPLE", "another secret")
	for name, f := range map[string]forger{"SigV4A": honest(), "SigV4": honestSigV4()} {
		v := dataPlane()
		m := f.request(t, other)
		c, err := v.Check(&m.Request, noon())
		if err != nil {
			t.Fatal(err)
		}
		body := hashOf(f.body)
		const rounds = 20_000
		times := map[*Key][]time.Duration{}
		for range rounds { // interleaved, so that noise falls on both
			for _, k := range []*Key{key, nil} {
				start := time.Now()
				v.Verify(&c, k, body)
				times[k] = append(times[k], time.Since(start))
			}
		}
		slices.Sort(times[key])
		slices.Sort(times[nil])
		bad, unknown := times[key][rounds/2], times[nil][rounds/2]
		t.Logf("%s: median %v for a bad signature, %v for an unknown key", name, bad, unknown)
		if difference := float64(bad-unknown) / float64(bad); difference > 0.05 || difference < -0.05 {
			t.Errorf("%s: they differ by %.1f %%, want less than 5", name, 100*difference)
		}
	}
}

// Divergence 17: AWS takes SigV4 for us-east-1 alone.
func TestSigV4IsTakenForAnyRegion(t *testing.T) {
	key := secretKey()
	for _, region := range []string{"us-east-1", "eu-west-1", "local"} {
		f := honestSigV4()
		f.scope = "20261123/" + region + "/cloudfront-keyvaluestore/aws4_request"
		if got := f.request(t, key).reason(dataPlane(), key); got != "accepted" {
			t.Errorf("region %s: %s", region, got)
		}
	}
}
