package cfjs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// brief prints findings one a line: rule level line:column message.
func brief(found []Diagnostic) string {
	var lines []string
	for _, d := range found {
		lines = append(lines, fmt.Sprintf("%s %s %d:%d %s", d.Rule, d.Level, d.Line, d.Column, d.Message))
	}
	return strings.Join(lines, "\n")
}

const emptyHandler = "function handler(event) { return event.request } var a, b, d, f, h, i, y;\n"

func TestLintFindsWhatDoesNotLoad(t *testing.T) {
	for _, c := range []struct{ code, want string }{
		{"f(...a);\n[...a];", "spread error 2:3 SyntaxError: Unexpected token \"...\" in 2\nspread error 3:2 Unexpected token \"...\"\n"},
		{"({...a});", "spread error 2:3 SyntaxError: Token \"...\" not supported in this version in 2"},
		{"function g(a = 1) {}", `default-parameter error 2:12 SyntaxError: Unexpected token "=" in 2`},
		{"var g = ({a}) => a;", `destructuring error 2:10 SyntaxError: Unexpected token "=>" in 2`},
		{"var {k} = b, [c] = d;", "destructuring error 2:5 SyntaxError: Token \"k\" not supported in this version in 2\ndestructuring error 2:14 Token \"[\" not supported in this version"},
		{"for (var x of y) {}", `for-of error 2:1 SyntaxError: Token "of" not supported in this version in 2`},
		{"class A {}", `class error 2:1 SyntaxError: Token "class" not supported in this version in 2`},
		{"function* g() {}", `generator error 2:1 SyntaxError: Unexpected token "*" in 2`},
		{"var a = b?.c;", `optional-chaining error 2:9 SyntaxError: Unexpected token ";" in 2`},
		{"a ??= b;", `logical-assignment error 2:1 SyntaxError: Unexpected token "=" in 2`},
		{"var a = 10n;", `bigint error 2:9 SyntaxError: Unexpected token "n" in 2`},
		{"try { a } catch { }", `catch-binding error 2:11 SyntaxError: Token "{" not supported in this version in 2`},
		{"var r = /a/u;", `regexp-flags error 2:9 SyntaxError: Invalid RegExp flags "u" in 2`},
		{"import { e } from 'crypto';", "import-form error 2:1 SyntaxError: Non-default import is not supported in 2"},
		{"import e from 'fs';", `import-form error 2:1 SyntaxError: Cannot find module "fs" in 2`},
		{"export { handler };", "export error 2:1 SyntaxError: Illegal export statement in 2"},
		{"export default handler;", "export error 2:1 SyntaxError: Illegal export statement in 2"},
		{"async function g() {\n  return h(1,\n    await 2);\n}", "await-in-arguments error 4:5 SyntaxError: await in arguments not supported in 4"},
		{"async function g() { h(i(), await 2); }", "await-in-arguments error 2:29 SyntaxError: await in arguments not supported in 2"},
		{"await 1;", "top-level-await error 2:1 SyntaxError: await is only valid in async functions in 2"},
		{"var x = ;", `syntax error 2:9 SyntaxError: Unexpected token ";" in 2`},
		{"var é = 1;", "syntax error 2:5 SyntaxError: Unexpected token \"\uFFFD\" in 2"},
	} {
		got := brief(Lint([]byte(emptyHandler+c.code), Runtime20))
		if first, _, _ := strings.Cut(c.want, "\n"); !strings.HasPrefix(got, first) || strings.Count(c.want, "\n") == 1 && !strings.Contains(got, strings.Split(c.want, "\n")[1]) {
			t.Errorf("%s\n got %s\nwant %s", c.code, got, c.want)
		}
	}
}

func TestLintFindsWhatFailsWhenItRuns(t *testing.T) {
	for _, c := range []struct{ code, want string }{
		{"new Map();", `undefined-name error 2:5 "Map" is not defined`},
		{"setTimeout(f, 1); function f() {}", `undefined-name error 2:1 "setTimeout" is not defined`},
		{"typeof fetch;", ""},
		{"var a = {fetch: 1}; a.fetch; x: for (;;) { break x }", ""},
		{"Object.fromEntries([]);", `missing-member error 2:8 (intermediate value)["fromEntries"] is not a function`},
		{"[].flat();", `missing-member error 2:4 (intermediate value)["flat"] is not a function`},
		{"var o = {flat() {}}; o.flat();", ""},
		{"Buffer.from('x'); Array.from('x');", `missing-member error 2:25 (intermediate value)["from"] is not a function`},
		{"eval('1');", "eval error 2:1 Not implemented"},
		{"new Function('x');", `eval error 2:1 function constructor is disabled in "safe" mode`},
		{"console.error('x');", `console-method error 2:9 (intermediate value)["error"] is not a function`},
		{"console.log('x', 1);", "console-arguments warning 2:1 console.log takes one argument"},
		{"require('crypto').createHash('sha512');", `hash-algorithm error 2:30 not supported algorithm: "sha512"`},
		{"import cf from 'cloudfront'; const k = cf.kvs(); var v = 'x' + k.get('a');", "kvs-not-awaited warning 2:64 the call returns a promise, not the value"},
		{"import cf from 'cloudfront'; const k = cf.kvs(); async function g() { const v = await k.get('a'); return [v, k.get('b')]; }", ""},
	} {
		if got := brief(Lint([]byte(emptyHandler+c.code), Runtime20)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.code, got, c.want)
		}
	}
	if got := brief(Lint([]byte("var x = 1;"), Runtime20)); got != `no-handler error 1:1 "handler" is not defined` {
		t.Errorf("got %s", got)
	}
	long := emptyHandler + strings.Repeat(" ", MaxCodeBytes)
	if got := Lint([]byte(long), Runtime20); len(got) != 1 || got[0].Rule != "code-size" {
		t.Errorf("got %s", brief(got))
	}
}

func TestLintOfRuntime10(t *testing.T) {
	for _, c := range []struct{ code, want string }{
		{"const e = 1;", `runtime-version error 2:1 SyntaxError: Unexpected token "const" in 2`},
		{"var e = async function () {};", `runtime-version error 2:9 SyntaxError: Unexpected token "function" in 2`},
		{"import e from 'crypto';", `runtime-version error 2:1 SyntaxError: Unexpected token "import" in 2`},
		{"Buffer.alloc(1);", `undefined-name error 2:1 "Buffer" is not defined`},
		{"String.bytesFrom('YQ==', 'base64').toUTF8();", ""},
	} {
		if got := brief(Lint([]byte(emptyHandler+c.code), Runtime10)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.code, got, c.want)
		}
	}
}

// TestLintLeavesGoodCodeAlone: the sample functions work on the real engine,
// so that lint must not report an error in them, but for the few that fail on
// purpose.
func TestLintLeavesGoodCodeAlone(t *testing.T) {
	broken := map[string]string{
		"unsupported hash": "hash-algorithm", "calls a missing function": "undefined-name",
	}
	for _, s := range samples(t) {
		var rules []string
		for _, d := range Lint([]byte(s.code), Runtime20) {
			if d.Level == LevelError {
				rules = append(rules, d.Rule)
			}
		}
		if got := strings.Join(rules, ","); got != broken[s.name] {
			t.Errorf("%s: %s", s.name, brief(Lint([]byte(s.code), Runtime20)))
		}
	}
}

func TestLintAgreesWithTheGrammar(t *testing.T) {
	for _, s := range grammarSnippets(t) {
		loads := true
		for _, d := range Lint([]byte(s.source), Runtime20) {
			if d.Rule == "syntax" || loadRules[d.Rule] {
				loads = false
			}
		}
		if loads != (s.verdict == "loads") && !takenByMistake[s.source] {
			t.Errorf("%s\n%s\n%s", s.source, s.verdict, brief(Lint([]byte(s.source), Runtime20)))
		}
	}
}

// takenByMistake is code that the engine loads although no standard allows it,
// and that our parser refuses.
var takenByMistake = map[string]bool{
	"function f() { return 1 + ; }": true, "function f() { return ) }": true, "var yield = 1": true, "var await = 1": true,
}

var missingInNJS = regexp.MustCompile(`^throws (?:ReferenceError: "(\w+)" is not defined|TypeError: \(intermediate value\)\["(\w+)"\] is not a function)$`)

// TestLintAgreesWithNJS runs the probes through lint: what lint calls missing,
// the engine misses, and the other way round for what the runtime lacks.
func TestLintAgreesWithNJS(t *testing.T) {
	njs := njsBinary(t)
	list := probes(t)
	theirs := probesOnNJS(t, njs, list)
	for i, p := range list {
		found := ""
		for _, d := range Lint([]byte(emptyHandler+"var probe = "+probeFunction(p)), Runtime20) {
			if d.Rule == "undefined-name" || d.Rule == "missing-member" {
				found = d.Message
			}
		}
		if _, listed := probeDifferences[p]; listed || found == "" && !strings.ContainsAny(p, "(") {
			continue
		}
		m := missingInNJS.FindStringSubmatch(theirs[i])
		switch {
		case found != "" && m == nil:
			t.Errorf("%s\nlint says %s, the engine does not", p, found)
		case found == "" && m != nil && (m[1] != "" && m[1] != "x" || isAbsentMember(m[2])):
			t.Errorf("%s\nthe engine says %s, lint does not", p, m[0])
		}
	}
}

func isAbsentMember(name string) bool {
	for _, names := range absent {
		if name != "" && lacks(names, name) {
			return true
		}
	}
	return false
}

func TestEveryRuleHasAdvice(t *testing.T) {
	for _, r := range lintRules {
		if r.id == "" || r.title == "" || r.instead == "" {
			t.Errorf("incomplete rule %+v", r)
		}
	}
	for rule := range loadRules {
		if instead(rule) == "" {
			t.Errorf("no advice for %s", rule)
		}
	}
}

func TestDiagnosticsAsJSONAndSARIF(t *testing.T) {
	files := []FileDiagnostics{{File: "a.js", Diagnostics: Lint([]byte(emptyHandler+"new Map();"), Runtime20)}, {File: "b.js"}}
	var text bytes.Buffer
	if err := EncodeJSON(&text, files); err != nil {
		t.Fatal(err)
	}
	want := `[
  {
    "file": "a.js",
    "diagnostics": [
      {
        "rule": "undefined-name",
        "level": "error",
        "line": 2,
        "column": 5,
        "message": "\"Map\" is not defined",
        "instead": "Declare it; the runtime has no timers, network, Map, Set or URL"
      }
    ]
  },
  {
    "file": "b.js",
    "diagnostics": []
  }
]
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Error(diff)
	}
	text.Reset()
	if err := EncodeSARIF(&text, files); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
			Results []struct {
				RuleID    string
				Level     string
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine, StartColumn int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(text.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	result := run.Results[0]
	place := result.Locations[0].PhysicalLocation
	if log.Version != "2.1.0" || len(run.Tool.Driver.Rules) != len(lintRules) || result.RuleID != "undefined-name" || result.Level != "error" ||
		place.ArtifactLocation.URI != "a.js" || place.Region.StartLine != 2 || place.Region.StartColumn != 5 {
		t.Errorf("%s", text.String())
	}
}
