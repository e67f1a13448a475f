package cfjs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/grafana/sobek/ast"
	"github.com/grafana/sobek/file"
	"github.com/grafana/sobek/parser"
)

// A lintRule is one thing that [Lint] looks for.
type lintRule struct {
	id      string
	title   string
	instead string
}

var lintRules = []lintRule{
	{"syntax", "The code does not parse", "Mend the syntax; the engine reads ES5.1 and parts of later versions"},
	{"code-size", "The code is longer than 10 KB", "Shorten the code, or move data to a key value store"},
	{"no-handler", "There is no function named handler", "Declare `function handler(event) { ... }` at the top level"},
	{"await-in-arguments", "await among the arguments of a call", "Assign first: `const v = await p; f(v);`"},
	{"top-level-await", "await outside an async function", "Move it into an async function, such as the handler"},
	{"default-parameter", "Default parameter value", "Test inside: `if (a === undefined) { a = 1; }`"},
	{"spread", "Spread syntax", "Use concat, apply or Object.assign"},
	{"destructuring", "Destructuring", "Read each property: `const a = o.a;`"},
	{"for-of", "for...of loop", "Use forEach, or for with an index"},
	{"class", "Class", "Use functions and prototypes"},
	{"generator", "Generator function", "Build an array"},
	{"optional-chaining", "Optional chaining", "Test each step: `a && a.b`"},
	{"logical-assignment", "Logical assignment", "Write it out: `a = a || b`"},
	{"bigint", "BigInt", "Use numbers"},
	{"catch-binding", "catch without a binding", "Name the error: `catch (e) {`"},
	{"regexp-flags", "Regular expression flag that the engine lacks", "Use the flags g, i, m and y only"},
	{"import-form", "Import that is not a default import", "Use `import name from 'module'`"},
	{"export", "Export", "Leave it out: the handler is found by its name"},
	{"with", "with statement", "Use a variable"},
	{"runtime-version", "Not in cloudfront-js-1.0", "Use cloudfront-js-2.0, or older syntax"},
	{"undefined-name", "Name that nothing defines", "Declare it; the runtime has no timers, network, Map, Set or URL"},
	{"missing-member", "Built-in method that the engine lacks", "Use a method that it has"},
	{"eval", "Code from text", "The runtime forbids eval and function constructors"},
	{"console-method", "console method other than log", "Use console.log"},
	{"console-arguments", "console.log with several arguments", "Join them into one string"},
	{"hash-algorithm", "Hash algorithm that the runtime lacks", "Use md5, sha1 or sha256"},
	{"kvs-not-awaited", "Result of a store read without await", "Write `await` before the call"},
}

func instead(rule string) string {
	for _, r := range lintRules {
		if r.id == rule {
			return r.instead
		}
	}
	return ""
}

// Lint says what of the code would fail on CloudFront, and what to write
// instead, in order of position. Nothing runs. Code that CloudFront takes has
// no finding of level error, but for code whose faults never run: Lint cannot
// tell.
func Lint(code []byte, runtime Runtime) []Diagnostic {
	l := &linter{src: string(code), runtime: runtime}
	if len(code) > MaxCodeBytes {
		l.report("code-size", LevelError, 0, fmt.Sprintf("the code has %d bytes, more than %d", len(code), MaxCodeBytes))
	}
	if len(code) > maxSourceBytes {
		return l.found
	}
	fault := Compile(code, runtime).fault
	tree, err := parser.ParseFile(nil, "", l.src, 0, parser.IsModule, parser.WithDisableSourceMaps)
	if err == nil {
		l.file = tree.File
		l.syntax(tree)
		l.names(tree)
		l.calls(tree)
		if !declaresHandler(tree) && fault == nil {
			l.report("no-handler", LevelError, 0, `"handler" is not defined`)
		}
	}
	l.sort()
	if fault != nil {
		l.loadFault(fault)
	}
	return l.found
}

type linter struct {
	src     string
	runtime Runtime
	file    *file.File
	found   []Diagnostic
}

func (l *linter) report(rule string, level Level, offset int, message string) {
	line, column := 1, 1
	for offset > 0 && offset < len(l.src) && !utf8.RuneStart(l.src[offset]) {
		offset--
	}
	if offset >= 0 && offset <= len(l.src) {
		before := l.src[:offset]
		line += strings.Count(before, "\n")
		column += utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	}
	l.found = append(l.found, Diagnostic{
		Rule: rule, Level: level, Line: line, Column: column, Message: message, Instead: instead(rule),
	})
}

// at reports at a node. Positions of the tree count from 1.
func (l *linter) at(n file.Idx, rule string, level Level, message string) {
	l.report(rule, level, int(n)-1, message)
}

func (l *linter) sort() {
	slices.SortStableFunc(l.found, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	l.found = slices.Compact(l.found)
}

// loadRules are the rules whose findings keep code from loading.
var loadRules = map[string]bool{
	"await-in-arguments": true, "top-level-await": true, "default-parameter": true, "spread": true, "destructuring": true,
	"for-of": true, "class": true, "generator": true, "optional-chaining": true, "logical-assignment": true, "bigint": true,
	"catch-binding": true, "regexp-flags": true, "import-form": true, "export": true, "with": true, "runtime-version": true,
}

// loadFault gives the first finding that keeps the code from loading the words
// of the engine. If there is none the fault is a finding of its own.
func (l *linter) loadFault(f *syntaxFault) {
	for i := range l.found {
		if loadRules[l.found[i].Rule] {
			l.found[i].Message = f.Error()
			return
		}
	}
	if f.offset >= 0 {
		l.report("syntax", LevelError, f.offset, f.Error())
	} else {
		l.found = append(l.found, Diagnostic{
			Rule: "syntax", Level: LevelError, Line: f.line, Column: f.column, Message: f.Error(), Instead: instead("syntax"),
		})
	}
	l.sort()
}

// walk calls visit for every node with the nodes around it, innermost last.
func walk(root ast.Node, visit func(n ast.Node, around []ast.Node)) {
	var path []ast.Node
	var step func(ast.Node)
	step = func(n ast.Node) {
		visit(n, path)
		path = append(path, n)
		children(n, step)
		path = path[:len(path)-1]
	}
	step(root)
}
