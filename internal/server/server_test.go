package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	kvs "github.com/aws/aws-sdk-go-v2/service/cloudfrontkeyvaluestore"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/config"
	"github.com/popkv/popkv/internal/controlplane"
)

func TestFirstMinute(t *testing.T) {
	s := start(t, nil)
	control, data := clients(t, s, "test", "test")
	ctx := t.Context()
	created, err := control.CreateKeyValueStore(ctx, &cloudfront.CreateKeyValueStoreInput{Name: aws.String("first")})
	if err != nil {
		t.Fatal(err)
	}
	arn := created.KeyValueStore.ARN
	d, err := data.DescribeKeyValueStore(ctx, &kvs.DescribeKeyValueStoreInput{KvsARN: arn})
	if err != nil {
		t.Fatal(err)
	}
	put, err := data.PutKey(ctx, &kvs.PutKeyInput{KvsARN: arn, Key: aws.String("k"), Value: aws.String("value"), IfMatch: d.ETag})
	if err != nil {
		t.Fatal(err)
	}
	if *put.ItemCount != 1 || *put.TotalSizeInBytes != 6 || *put.ETag == *d.ETag {
		t.Fatalf("put: %d items of %d bytes, ETag %s after %s", *put.ItemCount, *put.TotalSizeInBytes, *put.ETag, *d.ETag)
	}
	gone, err := data.DeleteKey(ctx, &kvs.DeleteKeyInput{KvsARN: arn, Key: aws.String("k"), IfMatch: put.ETag})
	if err != nil {
		t.Fatal(err)
	}
	if *gone.ItemCount != 0 || *gone.TotalSizeInBytes != 0 || *gone.ETag == *put.ETag {
		t.Fatalf("delete: %d items of %d bytes, ETag %s after %s", *gone.ItemCount, *gone.TotalSizeInBytes, *gone.ETag, *put.ETag)
	}
}

func TestSeedMakesStoresOnce(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("redirects.json", `{"data":[{"key":"/old","value":"/new"},{"key":"/a","value":"/b"}]}`)
	write("notes.txt", "not a seed")
	s := start(t, func(c *config.Config) { c.SeedDir = dir })
	made, err := s.Seed(t.Context())
	if err != nil || strings.Join(made, " ") != "redirects" {
		t.Fatalf("made %q, %v", made, err)
	}
	if made, err := s.Seed(t.Context()); err != nil || len(made) != 0 {
		t.Fatalf("a second time: made %q, %v", made, err)
	}
	control, data := clients(t, s, "test", "test")
	found, err := control.DescribeKeyValueStore(t.Context(), &cloudfront.DescribeKeyValueStoreInput{Name: aws.String("redirects")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := data.GetKey(t.Context(), &kvs.GetKeyInput{KvsARN: found.KeyValueStore.ARN, Key: aws.String("/old")})
	if err != nil || *got.Value != "/new" || *got.ItemCount != 2 {
		t.Fatalf("got %+v, %v", got, err)
	}
	write("bad.json", `{"data":[{"key":"/x","value":"1"},{"key":"/x","value":"2"}]}`)
	if _, err := s.Seed(t.Context()); err == nil || !strings.Contains(err.Error(), "bad.json") {
		t.Fatalf("a bad seed: %v, want an error that names the file", err)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	s := start(t, nil)
	control, _ := clients(t, s, "test", "test")
	if _, err := control.ListKeyValueStores(t.Context(), &cloudfront.ListKeyValueStoresInput{}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/livez": "ok\n", "/readyz": "ok\n",
		"/metrics": `popkv_requests_total{operation="ListKeyValueStores",plane="control",status="200"} 1`,
	} {
		answer, err := http.Get(s.AdminURL() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %.200s, want %q", path, answer.StatusCode, body, want)
		}
	}
}

// A start that fails once panicked while it cleaned up.
func TestStartWithoutRootKeyOrTerminal(t *testing.T) {
	cfg := config.Default(config.Serve)
	cfg.AccountID, cfg.DataDir = "123456789012", filepath.Join(t.TempDir(), "data")
	cfg.SecretsKeyFile = cfg.DataDir + ".key"
	_, err := New(t.Context(), cfg, Options{})
	if err == nil || !strings.Contains(err.Error(), "popkv access-key create --account 123456789012 --user root") {
		t.Fatalf("got %v, want the command that makes a root key", err)
	}
	inMemory := cfg
	inMemory.InMemory = true
	_, err = New(t.Context(), inMemory, Options{})
	if err == nil || !strings.Contains(err.Error(), "set POPKV_ROOT_ACCESS_KEY_ID") || strings.Contains(err.Error(), "--data-dir") {
		t.Fatalf("got %v, want advice that helps a server that keeps nothing", err)
	}
	shown := new(strings.Builder)
	s, err := New(t.Context(), cfg, Options{Terminal: shown})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(shown.String(), "AWS_SECRET_ACCESS_KEY=") {
		t.Fatalf("a terminal was shown %q", shown)
	}
	if s, err = New(t.Context(), cfg, Options{}); err != nil {
		t.Fatalf("the second start: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestImportProgressMovesTheCounters(t *testing.T) {
	s := start(t, nil)
	store := popkv.NewStoreID()
	for _, p := range []controlplane.ImportProgress{
		{Store: store, Bytes: 100, Items: 2}, {Store: store, Bytes: 250, Items: 5}, {Store: store, Bytes: 300, Items: 6, Done: true},
	} {
		s.metrics.importProgress(p)
		if running := s.metrics.importing.count(); (running == 1) == p.Done {
			t.Errorf("%v imports run after %+v", running, p)
		}
	}
	recorder := httptest.NewRecorder()
	s.metrics.handler().ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{"popkv_import_bytes_total 300\n", "popkv_import_items_total 6\n", `popkv_imports_total{outcome="ready"} 1`} {
		if !strings.Contains(recorder.Body.String(), line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

// The root key of the environment is listed, but nobody knows when it was made.
func TestTheListOfKeysInventsNoDate(t *testing.T) {
	s := start(t, nil)
	got := send(t, s, message{target: "/popkv/v1/access-keys", service: "popkv"})
	if want := `{"AccessKeys":[{"AccessKeyId":"test","Account":"000000000000","User":"root","PublicKeyOnly":false}]}`; got.body != want {
		t.Errorf("%s\nwant %s", got.body, want)
	}
}
