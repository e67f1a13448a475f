package popkvtest_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	kvs "github.com/aws/aws-sdk-go-v2/service/cloudfrontkeyvaluestore"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/popkvtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

func TestAStoreHoldsWhatItWasFilledWith(t *testing.T) {
	kv := popkvtest.Start(t)
	want := map[string]string{"/old": "/new", "a b": "", "é": "e\u0301", "z": strings.Repeat("x", 1024)}
	arn := kv.Store(t, "first", want)
	kv.Store(t, "empty", nil)
	list, err := kvs.NewFromConfig(awsConfig(kv)).ListKeys(t.Context(), &kvs.ListKeysInput{KvsARN: &arn})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, item := range list.Items {
		got[*item.Key] = *item.Value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	stores, err := cloudfront.NewFromConfig(awsConfig(kv)).ListKeyValueStores(t.Context(), &cloudfront.ListKeyValueStoresInput{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range stores.KeyValueStoreList.Items {
		names = append(names, *s.Name+" "+*s.Status)
	}
	if diff := cmp.Diff([]string{"empty READY", "first READY"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestWhatAStoreCannotHold(t *testing.T) {
	kv := popkvtest.Start(t)
	kv.Store(t, "taken", nil)
	for name, c := range map[string]struct {
		store      string
		key, value string
	}{
		"a name that is taken":    {"taken", "k", "v"},
		"a bad name":              {"a b", "k", "v"},
		"an empty key":            {"s", "", "v"},
		"a long value":            {"s", "k", strings.Repeat("x", 1025)},
		"a value that is no text": {"s", "k", "\xff"},
	} {
		if arn, err := kv.MakeStore(t.Context(), c.store, map[string]string{c.key: c.value}); err == nil {
			t.Errorf("%s: made %s", name, arn)
		}
	}
	if arn := kv.Store(t, "s", nil); arn == "" {
		t.Error("a store that could not be filled has left its name behind")
	}
}

func TestOptions(t *testing.T) {
	limits := popkv.DefaultLimits()
	limits.ValueBytes = 3
	kv := popkvtest.Start(t, popkvtest.Limits(limits), popkvtest.StaleETagConflict())
	arn := kv.Store(t, "s", map[string]string{"k": "old"})
	client := kvs.NewFromConfig(awsConfig(kv))
	put := func(value, etag string) error {
		_, err := client.PutKey(t.Context(), &kvs.PutKeyInput{KvsARN: &arn, Key: aws.String("k"), Value: &value, IfMatch: &etag})
		return err
	}
	d, err := client.DescribeKeyValueStore(t.Context(), &kvs.DescribeKeyValueStoreInput{KvsARN: &arn})
	if err != nil {
		t.Fatal(err)
	}
	if err := put("long", *d.ETag); code(err) != "ServiceQuotaExceededException" {
		t.Errorf("a value over the limit: %v", err)
	}
	if err := put("new", *d.ETag); err != nil {
		t.Error(err)
	}
	if err := put("old", *d.ETag); code(err) != "ConflictException" {
		t.Errorf("a stale ETag: %v", err)
	}
}

func TestAStaleETagAnswersAsAWSDoes(t *testing.T) {
	kv := popkvtest.Start(t)
	arn := kv.Store(t, "s", nil)
	_, err := kvs.NewFromConfig(awsConfig(kv)).DeleteKey(t.Context(), &kvs.DeleteKeyInput{KvsARN: &arn, Key: aws.String("k"), IfMatch: aws.String(popkv.DataETag(7))})
	if code(err) != "ValidationException" {
		t.Errorf("got %v", err)
	}
}

func TestServersAreApart(t *testing.T) {
	one, two := popkvtest.Start(t), popkvtest.Start(t)
	one.Store(t, "s", nil)
	two.Store(t, "s", nil)
	answer, err := one.HTTPClient().Get(two.URL)
	if err == nil {
		answer.Body.Close()
		t.Error("the client of one server reaches the other")
	}
	answer, err = one.HTTPClient().Get(strings.Replace(one.URL, "//", "//"+one.Account+".", 1) + "/key-value-stores/x")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusForbidden {
		t.Errorf("an unsigned request: %d %s", answer.StatusCode, body)
	}
}

// A request that nobody waits for holds Close up for a moment only.
func TestCloseDoesNotWaitForConnections(t *testing.T) {
	kv, err := popkvtest.New()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := kv.HTTPClient().Get(kv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() // not read: the connection stays in use by the client
	if err := kv.Close(); err != nil {
		t.Error(err)
	}
}
