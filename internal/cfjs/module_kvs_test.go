package cfjs

import (
	"testing"
	"time"
)

var kvsStore = &MapStore{
	Items: map[string]string{"key": "välue", "json": `{"a":[1,{"b":null}]}`, "bad": "{"},
	About: StoreMeta{
		ID:          "8aa76c93-3198-462c-aaf6-000000000001",
		Created:     time.Date(2024, 1, 2, 3, 4, 5, 6e6, time.UTC),
		LastUpdated: time.Date(2024, 2, 3, 4, 5, 6, 0, time.FixedZone("x", 3600)),
	},
}

func TestKVSReads(t *testing.T) {
	for _, c := range []struct{ code, want string }{
		{`const v = await cf.kvs().get('key'); console.log(v);`, "välue"},
		{`const v = await cf.kvs().get('key', {format: 'string'}); console.log(v);`, "välue"},
		{`const v = await cf.kvs().get('json', {format: 'json'}); console.log(v);`, "{a:[1,{b:null}]}"},
		{`const v = await cf.kvs().get('key', {format: 'bytes'}); console.log(v);`, "Buffer [118,195,164,108,117,101]"},
		{`const v = await cf.kvs('8aa76c93-3198-462c-aaf6-000000000001').get('key'); console.log(v);`, "välue"},
		{`const a = await cf.kvs().exists('key'), b = await cf.kvs().exists('none'); console.log([a, b]);`, "[true,false]"},
		{`const n = await cf.kvs().count(); console.log(n);`, "3"},
		{`const m = await cf.kvs().meta(); console.log(m);`,
			"{creationDateTime:'2024-01-02T03:04:05.006Z',lastUpdatedDateTime:'2024-02-03T03:05:06.000Z',keyCount:3}"},
		{`console.log(String(cf.kvs().get('key')));`, "[object Promise]"},
		{`const k = 'g' + 'et', v = await cf.kvs()[k]('key'); console.log(v);`, "välue"},
	} {
		if got := printed(t, Runtime20, c.code, kvsStore, Options{}); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.code, got, c.want)
		}
	}
}

func TestKVSErrors(t *testing.T) {
	for _, c := range []struct {
		name, code, want string
		store            Store
	}{
		{"a missing key", `await cf.kvs().get('none');`, "Error: KeyNotFound", kvsStore},
		{"a missing key is caught", `try { await cf.kvs().get('none'); } catch (e) { console.log(e.message, e instanceof Error); }`, "KeyNotFound true", kvsStore},
		{"no store", `cf.kvs();`, "Error: KVSNamespaceNotFound", nil},
		{"another store's id", `cf.kvs('8aa76c93-3198-462c-aaf6-000000000002');`, "Error: KVSNamespaceNotFound", kvsStore},
		{"an ARN for an id", `cf.kvs('arn:aws:cloudfront::1:key-value-store/8aa76c93-3198-462c-aaf6-000000000001');`, "Error: KVSNamespaceNotFound", kvsStore},
		{"the error of kvs() comes at once", `try { cf.kvs('x'); } catch (e) { console.log(String(e)); }`, "Error: KVSNamespaceNotFound", kvsStore},
		{"a value that is no JSON", `await cf.kvs().get('bad', {format: 'json'});`, "SyntaxError: Unexpected end of input at position 1", kvsStore},
		{"an unknown format", `await cf.kvs().get('key', {format: 'xml'});`, `TypeError: unknown format "xml"`, kvsStore},
		{"a key that is no string", `await cf.kvs().get(1);`, "TypeError: key must be a string", kvsStore},
		{"a method that is not there", `cf.kvs().put('a', 'b');`, `TypeError: (intermediate value)["put"] is not a function`, kvsStore},
	} {
		if got := printed(t, Runtime20, c.code, c.store, Options{}); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// TestOneInvocationReadsOneVersion: the caller pins the version, and every
// read of a run, in whatever order, asks the store that it was given.
func TestOneInvocationReadsOneVersion(t *testing.T) {
	reads := 0
	store := hookStore{func() { reads++ }}
	code := `const kvs = cf.kvs(), other = cf.kvs(); await kvs.get('a'); await Promise.all([kvs.get('b'), other.exists('c')]); console.log('done');`
	if got := printed(t, Runtime20, code, store, Options{}); got != "done" || reads != 3 {
		t.Errorf("%s after %d reads", got, reads)
	}
}
