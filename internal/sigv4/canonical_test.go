package sigv4

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestCanonicalPathEncodesWhatWasSentOnceMore(t *testing.T) {
	for sent, want := range map[string]string{
		"/":               "/",
		"/a/b":            "/a/b",
		"/keys/a%2Fb":     "/keys/a%252Fb",
		"/keys/a%2fb":     "/keys/a%252fb",
		"/keys/c%C3%A9":   "/keys/c%25C3%25A9",
		"/keys/é":         "/keys/%C3%A9",
		"/a b":            "/a%20b",
		"/-._~!$&'()*+,;": "/-._~%21%24%26%27%28%29%2A%2B%2C%3B",
		"/#":              "/%23",
	} {
		if got := string(appendCanonicalPath(nil, sent)); got != want {
			t.Errorf("%s: %s, want %s", sent, got, want)
		}
	}
}

func TestNormalizePath(t *testing.T) {
	for sent, want := range map[string]string{
		"/": "/", "//": "/", "/.": "/", "/..": "/", "/a": "/a", "/a/": "/a/", "//a//": "/a/", "/./a": "/a",
		"/a/..": "/", "/a/b/../..": "/", "/a/../../b": "/b", "/keys/.": "/keys", "/keys/..": "/", "/a/%2E%2E": "/a/%2E%2E",
		"/a/b/./": "/a/b/", "/...": "/...",
	} {
		if got := normalizePath(sent); got != want {
			t.Errorf("%s: %s, want %s", sent, got, want)
		}
	}
}

func TestOnlyUnambiguousPathsAreAccepted(t *testing.T) {
	const yes, both, no = "yes", "in two forms", "no"
	for path, want := range map[string][2]string{ // on the data plane, on the control plane
		"/":                          {yes, yes},
		"/a":                         {yes, yes},
		"/s/arn/keys/k":              {yes, yes},
		"/s/arn/keys/%2E":            {yes, yes},
		"/s/arn/keys/...":            {yes, yes},
		"/s/arn/keys/.":              {both, no},
		"/s/arn/keys/..":             {both, no},
		"/s/arn/keys/":               {no, yes},
		"/s/":                        {no, yes},
		"":                           {no, no},
		"*":                          {no, no},
		"//":                         {no, no},
		"//a":                        {no, no},
		"/a//b":                      {no, no},
		"/a//":                       {no, no},
		"/./keys/a":                  {no, no},
		"/s/arn/keys/../":            {no, no},
		"/s/arn/keys/./a":            {no, no},
		"/s/arn/keys/../keys/.":      {no, no},
		"/s/arn/./keys/.":            {no, no},
		"/s/arn//keys/.":             {no, no},
		"/s/arn/.":                   {no, no},
		"/s/arn/xkeys/..":            {no, no},
		"/s/arn/keys/k/../../keys/.": {no, no},
	} {
		for plane, c := range []Config{{DotKeys: "/keys/"}, {TrailingSlash: true}} {
			got := no
			if twoForms, err := checkPath(path, c.DotKeys, c.TrailingSlash); err == nil && twoForms {
				got = both
			} else if err == nil {
				got = yes
			}
			if got != want[plane] {
				t.Errorf("%q on plane %d: %s, want %s", path, plane, got, want[plane])
			}
		}
	}
}

func TestDotKeysAreAcceptedInEitherForm(t *testing.T) {
	key := secretKey()
	for _, c := range []struct{ sent, signed, want string }{
		{"/key-value-stores/arn/keys/.", "", "accepted"},
		{"/key-value-stores/arn/keys/..", "", "accepted"},
		{"/key-value-stores/arn/keys/.", "/key-value-stores/arn/keys", "accepted"},
		{"/key-value-stores/arn/keys/..", "/key-value-stores/arn", "accepted"},
		{"/key-value-stores/arn/keys/..", "/key-value-stores/arn/keys", "Unauthenticated"},
		{"/key-value-stores/arn/keys/x/..", "/key-value-stores/arn/keys", "BadPath"},
		{"/key-value-stores/arn//keys/x", "", "BadPath"},
	} {
		f := honest()
		f.target, f.path = c.sent, c.signed
		if got := f.request(t, key).reason(dataPlane(), key); got != c.want {
			t.Errorf("%s signed as %q: %s, want %s", c.sent, c.signed, got, c.want)
		}
	}
}

func TestCanonicalQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"":                       "",
		"a":                      "a=",
		"a=":                     "a=",
		"b=2&a=1":                "a=1&b=2",
		"a=2&a=1":                "a=1&a=2",
		"a-=1&a=1":               "a=1&a-=1", // by name, not by the joined text
		"A=1&a=2":                "A=1&a=2",
		"a=1&&b=2&":              "a=1&b=2",
		"a=%2f%2F/":              "a=%2F%2F%2F",
		"a=b=c":                  "a=b%3Dc",
		"a=+%20":                 "a=%2B%20", // a plus is a plus
		"%61=%62":                "a=b",
		"a=é":                    "a=%C3%A9",
		"X-Amz-Signature=ff&a=1": "X-Amz-Signature=ff&a=1",
		"z=~-._":                 "z=~-._",
	} {
		if got := string(appendCanonicalQuery(nil, raw, "")); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
	if got := string(appendCanonicalQuery(nil, "b=1&X-Amz-Signature=ff", "X-Amz-Signature")); got != "b=1" {
		t.Errorf("query form leaves the signature in: %s", got)
	}
	for _, bad := range []string{"%", "a=%", "a=%2", "a=%zz", "%g0=1"} {
		if _, ok := ParseQuery(bad); ok {
			t.Errorf("%q: read", bad)
		}
	}
}

func TestCanonicalHeaderValue(t *testing.T) {
	for _, c := range []struct {
		values []string
		want   string
	}{
		{[]string{""}, ""},
		{[]string{"  a  "}, "a"},
		{[]string{"a  b\t\tc"}, "a b c"},
		{[]string{`"a   b"`}, `"a b"`},
		{[]string{"b", " a ", "b"}, "b,a,b"},
		{[]string{"\t"}, ""},
	} {
		if got := string(appendHeaderValue(nil, c.values)); got != c.want {
			t.Errorf("%q: %q, want %q", c.values, got, c.want)
		}
	}
}

func FuzzCanonicalPath(f *testing.F) {
	for _, seed := range []string{"/", "/a%2Fb", "/keys/..", "//", "/é/%E9", "/a b/../c", "/\x00%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		canonical := string(appendCanonicalPath(nil, path))
		if back, ok := unescape(canonical); !ok || back != path {
			t.Fatalf("%q: canonical %q decodes to %q", path, canonical, back)
		}
		normal := normalizePath(path)
		if again := normalizePath(normal); again != normal {
			t.Fatalf("%q: normalised twice: %q, then %q", path, normal, again)
		}
		if twoForms, err := checkPath(path, "/keys/", true); err == nil && !twoForms && normal != path {
			t.Fatalf("%q is accepted, but others read it as %q", path, normal)
		}
	})
}

func FuzzCanonicalQuery(f *testing.F) {
	for _, seed := range []string{"", "a=1&b=2", "a=%2F+", "&&=", "%e1%88%b4=x&a", "a;b=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		params, ok := ParseQuery(raw)
		if !ok {
			return
		}
		canonical := string(appendCanonicalQuery(nil, raw, ""))
		if again := string(appendCanonicalQuery(nil, canonical, "")); again != canonical {
			t.Fatalf("%q: canonical twice: %q, then %q", raw, canonical, again)
		}
		if strings.ContainsAny(raw, ";+") {
			return // net/url reads these in its own way
		}
		values, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("%q: we read it, net/url does not: %v", raw, err)
		}
		count := 0
		for _, v := range values {
			count += len(v)
		}
		for _, p := range params {
			if !slices.Contains(values[p.Name], p.Value) {
				t.Fatalf("%q: we read %q=%q, net/url does not", raw, p.Name, p.Value)
			}
		}
		if count != len(params) {
			t.Fatalf("%q: %d parameters, net/url has %d", raw, len(params), count)
		}
	})
}

func FuzzAuthorization(f *testing.F) {
	const good = "AWS4-ECDSA-P256-SHA256 Credential=AKID/20261123/cloudfront-keyvaluestore/aws4_request, SignedHeaders=host;x-amz-date;x-amz-region-set, Signature=3006020101020101"
	f.Add(good, "")
	f.Add(strings.Replace(good, "ECDSA-P256", "HMAC", 1), "")
	f.Add("AWS4-HMAC-SHA256 Signature=,Credential=", "X-Amz-Algorithm=AWS4-HMAC-SHA256")
	f.Add("Bearer x", "a=1&X-Amz-Expires=1")
	f.Add("", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F20261123%2Fr%2Fs%2Faws4_request&X-Amz-Date=20261123T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature="+strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, header, query string) {
		r := &Request{Method: "GET", Target: "/a", Host: "h", Header: map[string][]string{"X-Amz-Date": {"20261123T120000Z"}, "X-Amz-Region-Set": {"*"}}}
		if header != "" {
			r.Header["Authorization"] = []string{header}
		}
		c, err := parse(r, target{host: "h", path: "/a", query: query}, true)
		if err != nil || c.inQuery {
			return
		}
		again := fmt.Sprintf("%s Signature=%s,SignedHeaders=%s,Credential=%s/%s", c.Algorithm, c.signature, c.signedHeaders, c.AccessKeyID, c.scope)
		r.Header["Authorization"] = []string{again}
		d, err := parse(r, target{host: "h", path: "/a", query: query}, true)
		if err != nil || d != c {
			t.Fatalf("%q: read as %+v; written again it is %+v, %v", header, c, d, err)
		}
	})
}
