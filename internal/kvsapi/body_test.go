package kvsapi

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/popkv/popkv"
)

func TestReadPut(t *testing.T) {
	deep := func(n int) string {
		return `{"Value":"v","x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	for _, c := range []struct {
		name, body string
		want       string
		kind       popkv.Kind // 0: no failure
	}{
		{"a value", `{"Value":"v"}`, "v", 0},
		{"an empty value", `{"Value":""}`, "", 0},
		{"white space", " \t\r\n{ \"Value\" : \"v\" } \n", "v", 0},
		{"escapes", `{"Value":"\u00e9\ud83d\ude00\u0000\n\/\"\\"}`, "é😀\x00\n/\"\\", 0},
		{"a replacement character that was sent", "{\"Value\":\"\ufffd\"}", "\ufffd", 0},
		{"a member that is not known", `{"x":[{"Value":1}],"Value":"v","y":null}`, "v", 0},
		{"an escaped member name", `{"V\u0061lue":"v"}`, "v", 0},
		{"as deep as allowed", deep(maxDepth - 1), "v", 0},

		{"no body", ``, "", popkv.Invalid},
		{"no value", `{}`, "", popkv.Invalid},
		{"a null value", `{"Value":null}`, "", popkv.Invalid},
		{"a value of another case", `{"value":"v"}`, "", popkv.Invalid},
		{"a number", `{"Value":1}`, "", popkv.Malformed},
		{"a list", `{"Value":["v"]}`, "", popkv.Malformed},
		{"an object", `{"Value":{}}`, "", popkv.Malformed},
		{"a list of objects", `[{"Value":"v"}]`, "", popkv.Malformed},
		{"null", `null`, "", popkv.Malformed},
		{"a value twice", `{"Value":"v","Value":"v"}`, "", popkv.Malformed},
		{"a value twice, once escaped", `{"Value":"v","V\u0061lue":"w"}`, "", popkv.Malformed},
		{"an unknown member twice", `{"Value":"v","x":1,"x":1}`, "", popkv.Malformed},
		{"a member twice below an unknown one", `{"Value":"v","x":{"y":1,"y":2}}`, "", popkv.Malformed},
		{"something after the document", `{"Value":"v"} x`, "", popkv.Malformed},
		{"another document after it", `{"Value":"v"}{}`, "", popkv.Malformed},
		{"a byte order mark", "\ufeff" + `{"Value":"v"}`, "", popkv.Malformed},
		{"bad UTF-8", "{\"Value\":\"\xff\"}", "", popkv.Malformed},
		{"bad UTF-8 in an unknown member", "{\"Value\":\"v\",\"x\":\"\xc3\"}", "", popkv.Malformed},
		{"an unpaired surrogate", `{"Value":"\ud800"}`, "", popkv.Malformed},
		{"an unpaired surrogate in a name", `{"Value":"v","\udc00":1}`, "", popkv.Malformed},
		{"a raw control character", "{\"Value\":\"a\nb\"}", "", popkv.Malformed},
		{"too deep", deep(maxDepth), "", popkv.Malformed},
		{"far too deep", deep(100_000), "", popkv.Malformed},
		{"cut off", `{"Value":"v"`, "", popkv.Malformed},
		{"a comma too many", `{"Value":"v",}`, "", popkv.Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readPut([]byte(c.body))
			wantKind(t, err, c.kind)
			if err == nil && got != c.want {
				t.Errorf("read %q, want %q", got, c.want)
			}
		})
	}
}

func TestReadUpdate(t *testing.T) {
	type batch struct {
		Puts    []popkv.Item
		Deletes []string
	}
	for _, c := range []struct {
		name, body string
		want       batch
		kind       popkv.Kind
	}{
		{"both lists", `{"Puts":[{"Key":"a","Value":"1"},{"Value":"2","Key":"b"}],"Deletes":[{"Key":"c"}]}`,
			batch{[]popkv.Item{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}}, []string{"c"}}, 0},
		{"no body", ``, batch{}, 0},
		{"neither list", `{}`, batch{}, 0},
		{"empty lists", `{"Puts":[],"Deletes":[]}`, batch{}, 0},
		{"null lists", `{"Puts":null,"Deletes":null}`, batch{}, 0},
		{"members that are not known", `{"Puts":[{"Key":"a","Value":"1","Ttl":{"s":[1]}}],"x":[]}`, batch{Puts: []popkv.Item{{Key: "a", Value: "1"}}}, 0},
		{"a value in a delete is not known", `{"Deletes":[{"Key":"c","Value":1}]}`, batch{Deletes: []string{"c"}}, 0},
		{"an empty value", `{"Puts":[{"Key":"a","Value":""}]}`, batch{Puts: []popkv.Item{{Key: "a"}}}, 0},

		{"a put without a value", `{"Puts":[{"Key":"a"}]}`, batch{}, popkv.Invalid},
		{"a put with a null value", `{"Puts":[{"Key":"a","Value":null}]}`, batch{}, popkv.Invalid},
		{"a put without a key", `{"Puts":[{"Value":"1"}]}`, batch{}, popkv.Invalid},
		{"a delete without a key", `{"Deletes":[{}]}`, batch{}, popkv.Invalid},
		{"a missing member before bad JSON", `{"Puts":[{"Key":"a"}],}`, batch{}, popkv.Malformed},
		{"a null element", `{"Puts":[null]}`, batch{}, popkv.Malformed},
		{"strings for deletes", `{"Deletes":["a"]}`, batch{}, popkv.Malformed},
		{"an object for a list", `{"Puts":{"Key":"a","Value":"1"}}`, batch{}, popkv.Malformed},
		{"a number for a key", `{"Deletes":[{"Key":1}]}`, batch{}, popkv.Malformed},
		{"a list twice", `{"Puts":[],"Puts":[]}`, batch{}, popkv.Malformed},
		{"a key twice in one element", `{"Deletes":[{"Key":"a","Key":"b"}]}`, batch{}, popkv.Malformed},
		{"an unclosed list", `{"Puts":[{"Key":"a","Value":"1"}`, batch{}, popkv.Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got batch
			var err error
			got.Puts, got.Deletes, err = readUpdate([]byte(c.body))
			wantKind(t, err, c.kind)
			if err == nil {
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func wantKind(t *testing.T, err error, want popkv.Kind) {
	t.Helper()
	if (err != nil) != (want != 0) || err != nil && popkv.KindOf(err) != want {
		t.Fatalf("%v (kind %d), want kind %d", err, popkv.KindOf(err), want)
	}
}

// TestMessagesHoldNothingOfTheBody: what a client sent may be a secret.
func TestMessagesHoldNothingOfTheBody(t *testing.T) {
	for _, body := range []string{
		`{"Value":canary}`, `{"Value":"canary`, `{"Value":"v"}canary`, `{"canary":1,"canary":2}`, `{"Value":{"canary":1}}`, "{\"Value\":\"canary\xff\"}",
	} {
		if _, err := readPut([]byte(body)); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// FuzzReadPut compares with encoding/json: what is read is what it reads, and
// it reads every body that is taken.
func FuzzReadPut(f *testing.F) {
	for _, body := range []string{
		`{"Value":"v"}`, `{"Value":"\u00e9\ud83d\ude00"}`, `{"Value":"\ud800"}`, `{"value":"v"}`, `{"Value":null}`,
		`{"x":[[{"y":1e9}]],"Value":"v"}`, `{"Value":"a","Value":"b"}`, "{\"Value\":\"\xff\"}", `{}`, ``, ` {"Value":""} `,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := readPut(body)
		if err != nil {
			return
		}
		var want map[string]any
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("encoding/json refuses what was taken: %v", err)
		}
		if want["Value"] != got {
			t.Fatalf("read %q, encoding/json reads %q", got, want["Value"])
		}
	})
}

// FuzzReadUpdate compares with encoding/json as FuzzReadPut does.
func FuzzReadUpdate(f *testing.F) {
	for _, body := range []string{
		`{"Puts":[{"Key":"a","Value":"1"}],"Deletes":[{"Key":"b"}]}`, `{"Puts":null}`, `{"Puts":[null]}`, `{"Deletes":[{"Key":"\u00e9"}]}`,
		`{"Puts":[{"Key":"a","Value":"1","x":{}}]}`, `{"Puts":[[]]}`, `{}`, ``, `{"Puts":[{"key":"a","Key":"b","Value":""}]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		puts, deletes, err := readUpdate(body)
		if err != nil || len(body) == 0 {
			return
		}
		type object = map[string]any
		var all object
		if err := json.Unmarshal(body, &all); err != nil {
			t.Fatalf("encoding/json refuses what was taken: %v", err)
		}
		elements := func(name string) []any { list, _ := all[name].([]any); return list }
		var wantPuts []popkv.Item
		for _, e := range elements("Puts") {
			wantPuts = append(wantPuts, popkv.Item{Key: e.(object)["Key"].(string), Value: e.(object)["Value"].(string)})
		}
		var wantDeletes []string
		for _, e := range elements("Deletes") {
			wantDeletes = append(wantDeletes, e.(object)["Key"].(string))
		}
		if diff := cmp.Diff(wantPuts, puts) + cmp.Diff(wantDeletes, deletes); diff != "" {
			t.Fatal(diff)
		}
	})
}
