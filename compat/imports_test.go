package compat

import (
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/config"
)

const bucket = "documents"

// imports are the documents of the bucket and what becomes of a store made
// from each: its items, or the reason why it has none.
var imports = []struct {
	name, object, body string
	missing            bool // not put into the bucket
	items              int
	reason             string
}{
	{name: "a small file", object: "small.json", body: `{"data":[{"key":"k","value":"v"},{"key":"é","value":"ü"}]}`, items: 2},
	{name: "a byte order mark", object: "bom.json", body: "\ufeff" + `{"data":[{"key":"k","value":"v"}]}`, items: 1},
	{name: "no items", object: "empty.json", body: `{"data":[]}`},
	{name: "as large as allowed", object: "full.json", body: documentOf(5000, 5<<20), items: 5000},
	{name: "one byte too large", object: "large.json", body: documentOf(5000, 5<<20+1), reason: "Datasource size exceeds the allowed limit"},
	{name: "a key twice", object: "twice.json", body: `{"data":[{"key":"k","value":"1"},{"key":"k","value":"2"}]}`, reason: "Datasource contains duplicate keys"},
	{name: "a key too long", object: "long.json", body: `{"data":[{"key":"` + strings.Repeat("k", 513) + `","value":"v"}]}`, reason: "Datasource contains a key or value that exceeds the allowed size"},
	{name: "not JSON", object: "not.json", body: `{"data":[{"key":"k","value":"v"}`, reason: "Datasource is not valid JSON"},
	{name: "an object that is not there", object: "absent.json", missing: true, reason: "Datasource could not be read"},
	// Object names are taken literally: the second is what the first would
	// decode to, and holds something else.
	{name: "an object name that looks encoded", object: "a folder/a+b c%20d%2Fé.json", body: `{"data":[{"key":"literal","value":"v"},{"key":"k","value":"v"}]}`, items: 2},
	{name: "an object name that looks decoded", object: "a folder/a b c d/é.json", body: `{"data":[{"key":"k","value":"v"}]}`, items: 1},
}

// documentOf returns an import document of that many items and bytes.
func documentOf(items, sizeBytes int) string {
	var b strings.Builder
	b.WriteString(`{"data":[`)
	value := strings.Repeat("v", 1000)
	for i := range items - 1 {
		fmt.Fprintf(&b, `{"key":"key %d","value":"%s"},`, i, value)
	}
	b.WriteString(`{"key":"last","value":"v"}]}`)
	return b.String() + strings.Repeat(" ", sizeBytes-b.Len())
}

func TestImportFromS3Servers(t *testing.T) {
	for name, start := range s3Servers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := start(t)
			objects := map[string]string{}
			for _, i := range imports {
				if !i.missing {
					objects[i.object] = i.body
				}
			}
			from.put(t, bucket, objects)

			s := startImporter(t, from.endpoint, from.key)
			c := newGoSDK(t, s.target(s.root))
			for i, want := range imports {
				t.Run(want.name, func(t *testing.T) {
					wantImport(t, c, fmt.Sprint("import-", i), bucket, want.object, want.items, want.reason)
				})
			}
			t.Run("a bucket that is not there", func(t *testing.T) {
				wantImport(t, c, "no-bucket", "absent", imports[0].object, 0, "Datasource could not be read")
			})
			if from.check != nil {
				t.Run("wrong credentials", func(t *testing.T) {
					from.check(t)
					wantImport(t, c, "accepted", bucket, imports[0].object, imports[0].items, "")
					s := startImporter(t, from.endpoint, credentials{ID: from.key.ID, Secret: "another secret"})
					wantImport(t, newGoSDK(t, s.target(s.root)), "refused", bucket, imports[0].object, 0, "Datasource could not be read")
				})
			}
		})
	}
}

func TestImportThroughEachClient(t *testing.T) {
	from := goFakeS3(t)
	from.put(t, bucket, map[string]string{imports[0].object: imports[0].body})
	s := startImporter(t, from.endpoint, from.key)
	eachClient(t, s, s.root, func(t *testing.T, c client) {
		arn := wantImport(t, c, storeName(t, ""), bucket, imports[0].object, imports[0].items, "")
		got := mustCall(t, c, dataPlane, "GetKey", map[string]any{"KvsARN": arn, "Key": "é"})
		expect(t, "GetKey", got, map[string]any{"Value": "ü", "ItemCount": 2, "TotalSizeInBytes": 6})
		wantImport(t, c, storeName(t, "absent"), bucket, "absent.json", 0, "Datasource could not be read")
	})
}

func TestImportFromAnEndpointThatIsDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := startImporter(t, "http://"+l.Addr().String(), credentials{})
	wantImport(t, newGoSDK(t, s.target(s.root)), "down", bucket, imports[0].object, 0, "Datasource could not be read")
}

// startImporter starts a server that imports from an S3 endpoint.
func startImporter(t *testing.T, endpoint string, key credentials) *server {
	return startServerWith(t, func(c *config.Config) {
		c.S3.Endpoint, c.S3.AccessKeyID, c.S3.SecretAccessKey = endpoint, key.ID, popkv.NewSecret(key.Secret)
	})
}

// wantImport makes a store from an object and waits for what becomes of it.
func wantImport(t *testing.T, c client, name, bucket, object string, items int, reason string) (arn string) {
	t.Helper()
	source := map[string]any{"SourceType": "S3", "SourceARN": "arn:aws:s3:::" + bucket + "/" + object}
	created := mustCall(t, c, controlPlane, "CreateKeyValueStore", map[string]any{"Name": name, "ImportSource": source})
	arn = created["KeyValueStore"].(map[string]any)["ARN"].(string)
	waitReady(t, c, name)

	want := map[string]any{"Status": "READY", "ItemCount": items}
	if reason != "" {
		want = map[string]any{"Status": "IMPORT_FAILURE", "ItemCount": 0, "TotalSizeInBytes": 0, "FailureReason": reason}
	}
	described := mustCall(t, c, dataPlane, "DescribeKeyValueStore", map[string]any{"KvsARN": arn})
	if _, hasReason := described["FailureReason"]; hasReason && reason == "" {
		want = maps.Clone(want)
		want["FailureReason"] = nil
	}
	expect(t, "DescribeKeyValueStore", described, want)
	return arn
}
