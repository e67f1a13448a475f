package s3import

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
)

func TestReadAny(t *testing.T) {
	small := popkv.DefaultLimits()
	small.ImportBytes, small.KeyBytes = 30, 5
	for _, c := range []struct {
		name, text string
		want       []popkv.Item
		reason     Reason // empty: accepted
	}{
		{"a document", `{"data":[{"key":"a","value":"1"}]}`, []popkv.Item{{Key: "a", Value: "1"}}, ""},
		{"a document with other members before", `{"x":{},"data":[]}`, nil, ""},
		{"a plain map", `{"b":"1","a":""}`, []popkv.Item{{Key: "b", Value: "1"}, {Key: "a"}}, ""},
		{"an empty map", `{}`, nil, ""},
		{"a map with a byte order mark", "\uFEFF" + `{"a":"1"}`, []popkv.Item{{Key: "a", Value: "1"}}, ""},
		{"a map with the keys of a document", `{"data":"1","key":"2","value":"3"}`, []popkv.Item{{Key: "data", Value: "1"}, {Key: "key", Value: "2"}, {Key: "value", Value: "3"}}, ""},
		{"a map with escapes", `{"\u00e9":"\n"}`, []popkv.Item{{Key: "é", Value: "\n"}}, ""},
		{"a key twice", `{"a":"1","\u0061":"2"}`, []popkv.Item{{Key: "a", Value: "1"}}, NotJSON},
		{"an empty key", `{"":"1"}`, nil, NotJSON},
		{"a key that is too long", `{"longer":"1"}`, nil, ItemTooLarge},
		{"a value that is no string", `{"a":1}`, nil, NotJSON},
		{"data that is neither", `{"data":{}}`, nil, NotJSON},
		{"an array", `[]`, nil, NotJSON},
		{"nothing", ``, nil, NotJSON},
		{"two byte order marks", "\uFEFF\uFEFF{}", nil, NotJSON},
		{"something after a map", `{} x`, nil, NotJSON},
		{"bad JSON before data", `{"x":[,],"data":[]}`, nil, NotJSON},
		{"a file that is too large", `{"a":"` + strings.Repeat("x", 30) + `"}`, nil, TooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			limits := popkv.DefaultLimits()
			if c.reason == TooLarge || c.reason == ItemTooLarge {
				limits = small
			}
			var got []popkv.Item
			stats, err := ReadAny(strings.NewReader(c.text), limits, func(key, value []byte) error {
				got = append(got, popkv.Item{Key: string(key), Value: string(value)})
				return nil
			})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("items (-want +got):\n%s", diff)
			}
			switch {
			case c.reason == "" && (err != nil || stats.Items != len(c.want) || stats.Bytes != int64(len(c.text))):
				t.Errorf("%+v, %v", stats, err)
			case c.reason != "" && (err == nil || ReasonOf(err) != c.reason):
				t.Errorf("%v, want %s", err, c.reason)
			}
		})
	}
	broken := errors.New("broken")
	if _, err := ReadAny(iotest.ErrReader(broken), popkv.DefaultLimits(), nil); !errors.Is(err, broken) || ReasonOf(err) != Unreadable {
		t.Error(err)
	}
}
