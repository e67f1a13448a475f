package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOutputFormats(t *testing.T) {
	rows := []itemRow{{"a", "1"}, {"b<", "x,\"y\"\n\x1b[2J"}}
	cases := []struct{ format, many, single, none string }{
		{"table", "Key  Value\na    1\nb<   x,\"y\"\\n\\x1b[2J\n", "Key    a\nValue  1\n", ""},
		{"json", "[\n  {\n    \"Key\": \"a\",\n    \"Value\": \"1\"\n  },\n  {\n    \"Key\": \"b<\",\n    \"Value\": \"x,\\\"y\\\"\\n\\u001b[2J\"\n  }\n]\n",
			"{\n  \"Key\": \"a\",\n  \"Value\": \"1\"\n}\n", "[]\n"},
		{"jsonl", "{\"Key\":\"a\",\"Value\":\"1\"}\n{\"Key\":\"b<\",\"Value\":\"x,\\\"y\\\"\\n\\u001b[2J\"}\n", "{\"Key\":\"a\",\"Value\":\"1\"}\n", ""},
		{"csv", "Key,Value\na,1\nb<,\"x,\"\"y\"\"\n\x1b[2J\"\n", "Key,Value\na,1\n", ""},
	}
	for _, c := range cases {
		t.Run(c.format, func(t *testing.T) {
			print := func(f func(*output) error) string {
				var b strings.Builder
				if err := f(&output{w: &b, format: c.format}); err != nil {
					t.Fatal(err)
				}
				return b.String()
			}
			if diff := cmp.Diff(c.many, print(func(o *output) error { return list(o, rows) })); diff != "" {
				t.Error("many", diff)
			}
			if diff := cmp.Diff(c.single, print(func(o *output) error { return one(o, rows[0]) })); diff != "" {
				t.Error("one", diff)
			}
			if diff := cmp.Diff(c.none, print(func(o *output) error { return list(o, rows[:0:0]) })); diff != "" {
				t.Error("none", diff)
			}
		})
	}
}

func TestColourIsForTerminalsOnly(t *testing.T) {
	a := &app{stdout: &strings.Builder{}}
	if isTerminal(a.stdout) {
		t.Error("a builder is a terminal")
	}
	var b strings.Builder
	if err := list(&output{w: &b, color: true}, []itemRow{{"a", "1"}}); err != nil || !strings.Contains(b.String(), "\x1b[1mKey") {
		t.Errorf("no colour when asked: %q, %v", b.String(), err)
	}
}

func TestAValueOnATerminalKeepsItsLinesAndNothingElse(t *testing.T) {
	if got, want := readable("a\tb\n\x1b[31mé\u202e\r"), `a	b
\x1b[31mé\u202e\r`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
