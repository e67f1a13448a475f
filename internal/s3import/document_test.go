package s3import

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
)

// readAll returns what Read hands to its callback.
func readAll(r io.Reader, limits popkv.Limits) ([]popkv.Item, Stats, error) {
	var items []popkv.Item
	stats, err := Read(r, limits, func(key, value []byte) error {
		items = append(items, popkv.Item{Key: string(key), Value: string(value)})
		return nil
	})
	return items, stats, err
}

func TestReadAccepts(t *testing.T) {
	kv := func(pairs ...string) (items []popkv.Item) {
		for i := 0; i < len(pairs); i += 2 {
			items = append(items, popkv.Item{Key: pairs[i], Value: pairs[i+1]})
		}
		return items
	}
	for _, c := range []struct {
		name, doc string
		want      []popkv.Item
	}{
		{"no items", `{"data":[]}`, nil},
		{"two items in the order of the document", `{"data":[{"key":"b","value":"1"},{"key":"a","value":"2"}]}`, kv("b", "1", "a", "2")},
		{"members of an item in any order", `{"data":[{"value":"1","key":"a"}]}`, kv("a", "1")},
		{"an empty value", `{"data":[{"key":"a","value":""}]}`, kv("a", "")},                 // divergence 12
		{"control characters", `{"data":[{"key":"\u0000","value":"\t"}]}`, kv("\x00", "\t")}, // divergence 12
		{"escapes in keys, values and names", `{"\u0064ata":[{"k\u0065y":"\u00e9\/\"","v\u0061lue":"\ud83d\ude00"}]}`, kv("é/\"", "😀")},
		{"composed and decomposed letters are two keys", "{\"data\":[{\"key\":\"\u00e9\",\"value\":\"\"},{\"key\":\"e\u0301\",\"value\":\"\"}]}", kv("\u00e9", "", "e\u0301", "")},
		{"white space around everything", " \n{ \"data\" : [ { \"key\" : \"a\" , \"value\" : \" b \" } ] } \t\r\n", kv("a", " b ")},
		{"a byte order mark", "\uFEFF" + `{"data":[{"key":"a","value":"1"}]}`, kv("a", "1")},
		{"other members next to data, before and after", `{"version":1,"data":[{"key":"a","value":"1"}],"more":{"data":[{}]}}`, kv("a", "1")},
		{"other members in an item", `{"data":[{"key":"a","note":[null,{"key":1}],"value":"1"}]}`, kv("a", "1")},
		{"names in another case are other members", `{"Data":1,"data":[{"key":"a","KEY":2,"value":"1"}]}`, kv("a", "1")},
		{"a duplicate key, which is the builder's to notice", `{"data":[{"key":"a","value":"1"},{"key":"a","value":"2"}]}`, kv("a", "1", "a", "2")},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(c.doc), iotest.OneByteReader(strings.NewReader(c.doc)), iotest.DataErrReader(strings.NewReader(c.doc))} {
				got, stats, err := readAll(r, popkv.DefaultLimits())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Fatalf("items (-want +got):\n%s", diff)
				}
				if stats.Items != len(c.want) || stats.Bytes != int64(len(c.doc)) {
					t.Fatalf("stats %+v of %d items in %d bytes", stats, len(c.want), len(c.doc))
				}
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	item := func(key, value string) string { return fmt.Sprintf(`{"data":[{"key":%q,"value":%q}]}`, key, value) }
	a := strings.Repeat("a", 2000)
	for _, c := range []struct {
		name, doc string
		want      Reason
	}{
		{"nothing", ``, NotJSON},
		{"white space only", " \n", NotJSON},
		{"a byte order mark only", "\uFEFF", NotJSON},
		{"two byte order marks", "\uFEFF\uFEFF{\"data\":[]}", NotJSON},
		{"half a byte order mark", "\xEF\xBB{\"data\":[]}", NotJSON},
		{"UTF-16", "\xff\xfe{\x00}\x00", NotJSON},
		{"an array", `[]`, NotJSON},
		{"a plain map", `{"a":"1"}`, NotJSON},
		{"no data", `{}`, NotJSON},
		{"data that is null", `{"data":null}`, NotJSON},
		{"data that is an object", `{"data":{"key":"a","value":"1"}}`, NotJSON},
		{"data in another case", `{"Data":[]}`, NotJSON},
		{"data twice", `{"data":[],"data":[]}`, NotJSON},
		{"data twice, once with escapes", `{"data":[],"dat\u0061":[]}`, NotJSON},
		{"another member twice", `{"data":[],"x":1,"x":2}`, NotJSON},
		{"an item that is a string", `{"data":["a"]}`, NotJSON},
		{"an item without key", `{"data":[{"value":"1"}]}`, NotJSON},
		{"an item without value", `{"data":[{"key":"a"}]}`, NotJSON},
		{"a second item without value", `{"data":[{"key":"a","value":"1"},{"key":"b"}]}`, NotJSON},
		{"key twice", `{"data":[{"key":"a","key":"b","value":"1"}]}`, NotJSON},
		{"a key that is a number", `{"data":[{"key":1,"value":"1"}]}`, NotJSON},
		{"a value that is a number", `{"data":[{"key":"a","value":1}]}`, NotJSON},
		{"a value that is null", `{"data":[{"key":"a","value":null}]}`, NotJSON},
		{"an empty key", item("", "1"), NotJSON},
		{"something after the document", `{"data":[]} x`, NotJSON},
		{"a second document", `{"data":[]}{"data":[]}`, NotJSON},
		{"a document cut off", `{"data":[{"key":"a","value":"1"}`, NotJSON},
		{"a comma too many", `{"data":[{"key":"a","value":"1"},]}`, NotJSON},
		{"bad JSON in a member that is ignored", `{"x":[1,],"data":[]}`, NotJSON},
		{"invalid UTF-8 in a value", "{\"data\":[{\"key\":\"a\",\"value\":\"\xff\"}]}", NotJSON},
		{"invalid UTF-8 in a member that is ignored", "{\"x\":\"\xff\",\"data\":[]}", NotJSON},
		{"an unpaired surrogate", `{"data":[{"key":"a","value":"\ud800"}]}`, NotJSON},
		{"surrogates written as UTF-8", "{\"data\":[{\"key\":\"a\",\"value\":\"\xed\xa0\x80\xed\xb0\x80\"}]}", NotJSON},
		{"nesting without end", `{"x":` + strings.Repeat("[", 100_000), NotJSON},
		{"a key of 513 bytes", item(a[:513], ""), ItemTooLarge},                             // divergence 11
		{"a key of 257 two-byte letters", item(strings.Repeat("é", 257), ""), ItemTooLarge}, // divergence 11
		{"a value of 1025 bytes", item("a", a[:1025]), ItemTooLarge},
		{"a document over the limit", `{"data":[]}` + strings.Repeat(" ", 5<<20), TooLarge},
		{"a long string in a member that is ignored", `{"x":"` + strings.Repeat("x", 6<<20) + `","data":[]}`, TooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := readAll(strings.NewReader(c.doc), popkv.DefaultLimits())
			if err == nil {
				t.Fatal("accepted")
			}
			if got := ReasonOf(err); got != c.want {
				t.Fatalf("reason %q (%v), want %q", got, err, c.want)
			}
		})
	}
}

func TestReadTakesEveryLimitToTheByte(t *testing.T) {
	limits := popkv.Limits{KeyBytes: 2, ValueBytes: 3, StoreBytes: 5, ImportBytes: 36}
	doc := `{"data":[{"key":"ab","value":"cde"}]}`
	limits.ImportBytes = int64(len(doc))
	if _, _, err := readAll(strings.NewReader(doc), limits); err != nil {
		t.Fatalf("a document that uses every limit up: %v", err)
	}
	for name, shrink := range map[string]func(*popkv.Limits){
		string(ItemTooLarge) + " key":   func(l *popkv.Limits) { l.KeyBytes-- },
		string(ItemTooLarge) + " value": func(l *popkv.Limits) { l.ValueBytes-- },
		string(TooLarge) + " items":     func(l *popkv.Limits) { l.StoreBytes-- },
		string(TooLarge) + " document":  func(l *popkv.Limits) { l.ImportBytes-- },
	} {
		smaller := limits
		shrink(&smaller)
		_, _, err := readAll(strings.NewReader(doc), smaller)
		if err == nil || !strings.HasPrefix(name, string(ReasonOf(err))) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadTellsABrokenConnectionFromBadJSON(t *testing.T) {
	broken := errors.New("connection reset")
	for _, begin := range []string{"", "\uFEFF", `{"da`, `{"data":[{"key":"a","value":"1"}]}`} {
		_, _, err := readAll(io.MultiReader(strings.NewReader(begin), iotest.ErrReader(broken)), popkv.DefaultLimits())
		if ReasonOf(err) != Unreadable || !errors.Is(err, broken) {
			t.Errorf("after %q: %v", begin, err)
		}
	}
}

func TestReadReturnsTheCallbacksErrorAsItIs(t *testing.T) {
	stop := errors.New("stop")
	_, err := Read(strings.NewReader(`{"data":[{"key":"a","value":"1"}]}`), popkv.DefaultLimits(), func(key, value []byte) error { return stop })
	if err != stop {
		t.Fatal(err)
	}
}

// What goes to the log must not quote the document.
func TestFailuresQuoteNothing(t *testing.T) {
	for _, doc := range []string{
		`{"data":[{"key":"SECRET","value":"SECRET"}`,
		`{"data":[{"SECRET":1,"SECRET":2}]}`,
		`{"data":[{"key":"a","value":"SECRET\ud800"}]}`,
		`SECRET`,
		`{"data":[{"key":"SECRET","value":SECRET}]}`,
	} {
		_, _, err := readAll(strings.NewReader(doc), popkv.DefaultLimits())
		if err == nil || strings.Contains(err.Error(), "S") && strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

func TestParseLocation(t *testing.T) {
	for arn, want := range map[string]Location{
		"arn:aws:s3:::bucket/file.json":           {"bucket", "file.json"},
		"arn:aws:s3:::bucket/path/file.json":      {"bucket", "path/file.json"},
		"arn:aws:s3:::b.1-x/a b%20c+?#..//é.json": {"b.1-x", "a b%20c+?#..//é.json"},
		"arn:aws:s3:::bucket//":                   {"bucket", "/"},
	} {
		got, err := ParseLocation(arn)
		if err != nil || got != want || got.ObjectARN() != arn {
			t.Errorf("%s: %+v, %v", arn, got, err)
		}
	}
	for _, arn := range []string{
		"", "bucket/file.json", "s3://bucket/file.json", "arn:aws:s3:::", "arn:aws:s3:::bucket", "arn:aws:s3:::bucket/", "arn:aws:s3:::/file.json",
		"arn:aws:s3:us-east-1::bucket/file.json", "arn:aws:s3::123456789012:bucket/file.json", "arn:aws-cn:s3:::bucket/file.json",
		"arn:aws:s3:::../file.json", "arn:aws:s3:::./file.json", "arn:aws:s3:::a:b/file.json", "arn:aws:s3:::a?b/file.json", "arn:aws:s3:::a@b/file.json",
		"arn:aws:s3:::bucket/" + strings.Repeat("a", 1025), "arn:aws:s3:::bucket/\xff",
	} {
		if l, err := ParseLocation(arn); popkv.KindOf(err) != popkv.Invalid {
			t.Errorf("%q: %+v, %v", arn, l, err)
		}
	}
	if got := (Location{"b", "k"}).BucketARN(); got != "arn:aws:s3:::b" {
		t.Error(got)
	}
}
