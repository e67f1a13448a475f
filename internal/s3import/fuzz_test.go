package s3import

import (
	"bytes"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	json "github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
)

// FuzzRead compares Read with a whole-document decoder: whatever Read accepts
// says the same to both, and how the bytes arrive makes no difference.
func FuzzRead(f *testing.F) {
	for _, doc := range []string{
		`{"data":[{"key":"a","value":"1"},{"key":"b","value":""}]}`,
		"\uFEFF" + `{"x":[1,{"y":null}],"data":[{"value":"\ud83d\ude00","key":"\u0000","z":1e9}]}`,
		`{"data":[{"key":"a","value":"\ud800"}]}`,
		`{"data":[{"key":"a","key":"b","value":"1"}]}`,
		`{"data":{}}`,
		`[[[[[[`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		limits := popkv.DefaultLimits()
		items, _, err := readAll(bytes.NewReader(doc), limits)
		slow, _, slowErr := readAll(iotest.OneByteReader(bytes.NewReader(doc)), limits)
		if (err == nil) != (slowErr == nil) || err != nil && ReasonOf(err) != ReasonOf(slowErr) {
			t.Fatalf("at once: %v; byte by byte: %v", err, slowErr)
		}
		if err != nil {
			return
		}
		if diff := cmp.Diff(items, slow); diff != "" {
			t.Fatalf("at once and byte by byte differ:\n%s", diff)
		}
		var whole struct {
			Data []struct {
				Key   *string `json:"key"`
				Value *string `json:"value"`
			} `json:"data"`
		}
		if err := json.Unmarshal(bytes.TrimPrefix(doc, []byte("\uFEFF")), &whole); err != nil {
			t.Fatalf("accepted, but not JSON of the shape: %v", err)
		}
		var want []popkv.Item
		for _, item := range whole.Data {
			want = append(want, popkv.Item{Key: *item.Key, Value: *item.Value})
		}
		if diff := cmp.Diff(want, items); diff != "" {
			t.Fatalf("items (-whole document +read):\n%s", diff)
		}
		for _, item := range items {
			if !utf8.ValidString(item.Key+item.Value) || item.Key == "" || len(item.Key) > limits.KeyBytes || len(item.Value) > limits.ValueBytes {
				t.Fatalf("accepted a bad item %q", item)
			}
		}
	})
}

// FuzzParseLocation: what is accepted is written back as it was.
func FuzzParseLocation(f *testing.F) {
	f.Add("arn:aws:s3:::bucket/path/file.json")
	f.Add("arn:aws:s3:::bucket/../x")
	f.Fuzz(func(t *testing.T, arn string) {
		l, err := ParseLocation(arn)
		if err != nil {
			return
		}
		if l.ObjectARN() != arn || strings.ContainsAny(l.Bucket, "/:?#@%") {
			t.Fatalf("%q is %+v", arn, l)
		}
	})
}
