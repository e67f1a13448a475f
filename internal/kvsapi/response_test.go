package kvsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/dataplane"
)

func TestEveryKindHasARow(t *testing.T) {
	h := New(nil, nil, Options{})
	if len(errorTable) != len(popkv.Kinds()) {
		t.Fatalf("the table has %d rows for %d kinds", len(errorTable), len(popkv.Kinds()))
	}
	for _, kind := range popkv.Kinds() {
		row := h.rowOf(&popkv.Error{Kind: kind})
		if row.status < 400 || row.status > 599 || row.name == "" {
			t.Errorf("kind %d: %+v", kind, row)
		}
	}
}

func TestErrorsLookLikeTheirKind(t *testing.T) {
	secret := errors.New("open /var/lib/popkv: no space left")
	for _, c := range []struct {
		name     string
		err      error
		conflict bool
		status   int
		code     string
		body     string
	}{
		{"a modelled error", popkv.Errorf(popkv.KeyNotFound, "Key not found"), false, 404, "ResourceNotFoundException", `{"Message":"Key not found"}`},
		{"a framework error", popkv.Errorf(popkv.Malformed, "bad"), false, 400, "SerializationException", `{"message":"bad"}`},
		{"a stale ETag", popkv.Errorf(popkv.StaleETag, "stale"), false, 400, "ValidationException", `{"Message":"stale"}`},
		{"a stale ETag with the documented code", popkv.Errorf(popkv.StaleETag, "stale"), true, 409, "ConflictException", `{"Message":"stale"}`},
		{"storage that refuses", popkv.Wrap(popkv.Unavailable, secret, "storage takes no writes"), false, 500, "InternalServerException", `{"Message":"storage takes no writes"}`},
		{"a failed signature tells nothing", popkv.Errorf(popkv.Unauthenticated, "unknown access key"), false, 403, "AccessDeniedException", `{"Message":"Authentication failed"}`},
		{"an error without a kind tells nothing", fmt.Errorf("read: %w", secret), false, 500, "InternalServerException", `{"Message":"internal error"}`},
		{"a bug does not tell its cause", popkv.Wrap(popkv.Internal, secret, "stored data is damaged"), false, 500, "InternalServerException", `{"Message":"stored data is damaged"}`},
		{"a kind of the other plane", popkv.Errorf(popkv.StoreExists, "x"), false, 500, "InternalServerException", `{"Message":"x"}`},
		{"a kind that does not exist", &popkv.Error{Kind: popkv.Kind(len(errorTable)), Message: "x"}, false, 500, "InternalServerException", `{"Message":"x"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := New(nil, nil, Options{StaleETagConflict: c.conflict})
			a := answer{status: 200, etag: "KVX", body: []byte(`{"half":`)}
			a.fail(h.rowOf(c.err), c.err)
			got := []any{a.status, a.errorName, string(a.body), a.etag}
			if diff := cmp.Diff([]any{c.status, c.code, c.body, ""}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTimesAreSecondsWithThreeDecimals(t *testing.T) {
	for want, at := range map[string]time.Time{
		"1715179725.381": time.UnixMilli(1715179725381),
		"1715179725.000": time.Unix(1715179725, 0),
		"1715179725.007": time.Unix(1715179725, 7_999_999),
		"0.000":          time.UnixMilli(0),
		"-1.500":         time.UnixMilli(-1500),
	} {
		if got := string(appendTime(nil, at)); got != want {
			t.Errorf("%v is written %s, want %s", at, got, want)
		}
	}
}

// FuzzAnswers: what encoding/json reads from an answer is what was put in.
func FuzzAnswers(f *testing.F) {
	f.Add("key", "value", int64(8))
	f.Add("", "", int64(0))
	f.Add("a/b \"\\\x00\x1f\u2028<é😀", "\ufffd\r\n\t\b\f", int64(-1))
	f.Add("\xff", "\xed\xa0\x80", int64(5))
	f.Fuzz(func(t *testing.T, key, value string, size int64) {
		valid := utf8.ValidString(key) && utf8.ValidString(value)
		var got struct {
			Key, Value       string
			TotalSizeInBytes int64
			Items            []popkv.Item
			NextToken        string
		}
		check := func(a *answer, err error, want any) {
			if (err == nil) != valid {
				t.Fatalf("%q and %q: %v", key, value, err)
			}
			if err != nil {
				return
			}
			if err := json.Unmarshal(a.body, &got); err != nil {
				t.Fatalf("%s: %v", a.body, err)
			}
			if diff := cmp.Diff(want, any(got)); diff != "" {
				t.Fatal(diff)
			}
		}
		var one, page answer
		err := one.found(key, &dataplane.Found{Value: []byte(value), Counts: dataplane.Counts{SizeBytes: size}})
		want := got
		want.Key, want.Value, want.TotalSizeInBytes = key, value, size
		check(&one, err, want)

		item := popkv.Item{Key: key, Value: value}
		err = page.page(&dataplane.Page{Items: []popkv.Item{item, item}, NextToken: value})
		got.Key, got.Value, got.TotalSizeInBytes = "", "", 0
		want = got
		want.Items, want.NextToken = []popkv.Item{item, item}, value
		check(&page, err, want)
	})
}
