package kvsapi

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/popkv/popkv"
)

const (
	testARN  = "arn:aws:cloudfront::123456789012:key-value-store/37435e19-c205-4271-9e5c-000000000001"
	testPath = "/key-value-stores/arn%3Aaws%3Acloudfront%3A%3A123456789012%3Akey-value-store%2F37435e19-c205-4271-9e5c-000000000001"
)

func TestMatch(t *testing.T) {
	const rawARN = "/key-value-stores/" + testARN
	for _, c := range []struct {
		name, method, path string
		want               route
		kind               popkv.Kind // 0: no failure
	}{
		{"describe", "GET", testPath, route{describeKeyValueStore, testARN, ""}, 0},
		{"list", "GET", testPath + "/keys", route{listKeys, testARN, ""}, 0},
		{"update", "POST", testPath + "/keys", route{updateKeys, testARN, ""}, 0},
		{"get", "GET", testPath + "/keys/a", route{getKey, testARN, "a"}, 0},
		{"put", "PUT", testPath + "/keys/a", route{putKey, testARN, "a"}, 0},
		{"delete", "DELETE", testPath + "/keys/a", route{deleteKey, testARN, "a"}, 0},
		{"an escaped key is left as it is", "GET", testPath + "/keys/a%2Fb+%25", route{getKey, testARN, "a%2Fb+%25"}, 0},
		{"a dot is a key", "GET", testPath + "/keys/.", route{getKey, testARN, "."}, 0},
		{"two dots are a key", "GET", testPath + "/keys/..", route{getKey, testARN, ".."}, 0},
		{"keys is a key", "GET", testPath + "/keys/keys", route{getKey, testARN, "keys"}, 0},
		{"an empty key is for the rules to refuse", "GET", testPath + "/keys/", route{getKey, testARN, ""}, 0},
		{"a raw colon in the ARN", "GET", strings.ReplaceAll(testPath, "%3A", ":"), route{describeKeyValueStore, testARN, ""}, 0},
		{"a raw slash in the ARN", "GET", rawARN, route{describeKeyValueStore, testARN, ""}, 0},
		{"a raw slash in the ARN, list", "GET", rawARN + "/keys", route{listKeys, testARN, ""}, 0},
		{"a raw slash in the ARN, get", "GET", rawARN + "/keys/a", route{getKey, testARN, "a"}, 0},
		{"a raw slash after escaped colons", "GET", strings.ReplaceAll(testPath, "%2F", "/") + "/keys/a", route{getKey, testARN, "a"}, 0},
		{"lower-case escapes", "GET", strings.ReplaceAll(testPath, "%2F", "%2f"), route{describeKeyValueStore, testARN, ""}, 0},
		{"something that is no ARN", "GET", "/key-value-stores/nothing/keys/a", route{getKey, "nothing", "a"}, 0},

		{"a raw slash in the key", "GET", testPath + "/keys/a/b", route{}, popkv.UnknownOperation},
		{"a slash after the key", "GET", testPath + "/keys/a/", route{}, popkv.UnknownOperation},
		{"a slash after the store", "GET", testPath + "/", route{}, popkv.UnknownOperation},
		{"a slash after keys does not list", "POST", testPath + "/keys/", route{}, popkv.UnknownOperation},
		{"no store", "GET", "/key-value-stores/", route{}, popkv.UnknownOperation},
		{"no store but keys", "GET", "/key-value-stores//keys", route{}, popkv.UnknownOperation},
		{"another collection", "GET", testPath + "/Keys", route{}, popkv.UnknownOperation},
		{"another path", "GET", "/", route{}, popkv.UnknownOperation},
		{"the prefix escaped", "GET", "/key%2Dvalue-stores/x", route{}, popkv.UnknownOperation},
		{"head", "HEAD", testPath, route{}, popkv.UnknownOperation},
		{"a lower-case method", "get", testPath, route{}, popkv.UnknownOperation},
		{"post to a key", "POST", testPath + "/keys/a", route{}, popkv.UnknownOperation},
		{"put of a store", "PUT", testPath, route{}, popkv.UnknownOperation},
		{"a broken escape in the ARN", "GET", "/key-value-stores/arn%3", route{}, popkv.Malformed},
		{"bad UTF-8 in the ARN", "GET", "/key-value-stores/%ff", route{}, popkv.Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := match(c.method, c.path)
			if (err != nil) != (c.kind != 0) || err != nil && popkv.KindOf(err) != c.kind {
				t.Fatalf("match: %v, want kind %d", err, c.kind)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(route{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUnescapeKeepsAPlusAndEveryByte(t *testing.T) {
	for escaped, want := range map[string]string{
		"": "", "a": "a", "a+b": "a+b", "%2B": "+", "%00": "\x00", "%2e%2E": "..", "a%2Fb": "a/b", "%2525": "%25",
		"e%CC%81": "e\u0301", "%C3%A9": "\u00e9", "\u00e9": "\u00e9",
	} {
		got, err := unescape(escaped)
		if err != nil || got != want {
			t.Errorf("unescape(%q) = %q, %v; want %q", escaped, got, err, want)
		}
	}
	for _, broken := range []string{"%", "a%2", "%zz", "%F", "%ff", "%C3", "%ED%A0%80", "%C0%AF"} {
		if got, err := unescape(broken); popkv.KindOf(err) != popkv.Malformed || err == nil {
			t.Errorf("unescape(%q) = %q, %v; want it refused", broken, got, err)
		}
	}
}

// FuzzMatch holds routing to net/url: the key of a matched path is what
// net/url decodes, a matched path has no segment more than its route, and a
// path that net/url cannot decode is never served.
func FuzzMatch(f *testing.F) {
	for _, path := range []string{
		testPath, testPath + "/keys", testPath + "/keys/a%2Fb", testPath + "/keys/..", testPath + "/keys/", testPath + "/keys/%",
		"/key-value-stores/" + testARN + "/keys/%C3%A9", "/key-value-stores//keys/a", "/key-value-stores/%2F/keys/+",
	} {
		f.Add("GET", path)
		f.Add("PUT", path)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		r, err := match(method, path)
		if err != nil {
			return
		}
		key, err := unescape(r.key)
		want, urlErr := url.PathUnescape(r.key)
		if err == nil && (urlErr != nil || key != want) {
			t.Fatalf("key %q decodes to %q; net/url has %q, %v", r.key, key, want, urlErr)
		}
		if strings.Contains(r.key, "/") || !strings.HasSuffix(path, r.key) {
			t.Fatalf("key %q of path %q is not its last segment", r.key, path)
		}
		if n := strings.Count(path, "/"); n > 5 {
			t.Fatalf("a path of %d slashes is the route %+v", n, r)
		}
		if arn, err := popkv.ParseARN(r.arn); err == nil && arn.String() != r.arn {
			t.Fatalf("ARN %q is read as %q", r.arn, arn)
		}
	})
}

// TestVectorsCapturedPaths reads what official clients sent for each key.
func TestVectorsCapturedPaths(t *testing.T) {
	lines := vectorFile(t, "sdk-captures/captures.jsonl")
	cases := 0
	for line := range strings.Lines(string(lines)) {
		var c struct {
			ID, Op, RawB64 string
			Params         struct{ KvsARN, Key string }
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		raw, err := base64.StdEncoding.DecodeString(c.RawB64)
		if err != nil {
			t.Fatal(err)
		}
		method, rest, _ := strings.Cut(string(raw), " ")
		target, _, _ := strings.Cut(rest, " HTTP/")
		path, _, _ := strings.Cut(target, "?")
		r, err := match(method, path)
		if err != nil {
			t.Errorf("%s: %v", c.ID, err)
			continue
		}
		key, err := unescape(r.key)
		if err != nil || r.operation.name() != c.Op || r.arn != c.Params.KvsARN || key != c.Params.Key {
			t.Errorf("%s: read %s of %q in %s, %v; sent %s of %q in %s", c.ID, r.operation.name(), key, r.arn, err, c.Op, c.Params.Key, c.Params.KvsARN)
		}
		cases++
	}
	if cases == 0 {
		t.Fatal("the set is present and holds no case")
	}
	t.Logf("sdk-captures: %d cases", cases)
}
