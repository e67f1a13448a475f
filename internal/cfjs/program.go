package cfjs

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/dlclark/regexp2"
	"github.com/grafana/sobek"
	"github.com/grafana/sobek/parser"
)

// MaxCodeBytes is the longest function (documented quota; AWS refuses longer
// code when it is created, not when it runs).
const MaxCodeBytes = 10240

// maxSourceBytes is the longest code that the service model lets through. What
// is longer is not even parsed: parsers recurse.
const maxSourceBytes = 40960

// A Program is a function's code, ready to run. It is immutable and safe for
// use by many goroutines.
type Program struct {
	runtime  Runtime
	source   string
	fault    *syntaxFault // why it does not load; nil if it does
	compiled *sobek.Program
	features *features
	modules  []string // that the code imports, in order of the wrapper's parameters
	env      []string // globals of the host that the code names; they follow the modules
	tables   *tables
	groups   groupTable // names of the groups of regular expression literals
}

// Compile reads the code of a function. Code that the real runtime would not
// load compiles too, as AWS accepts it when it is created: every run of it
// fails, and [Program.LoadError] says why.
func Compile(code []byte, runtime Runtime) *Program {
	limitRegexps()
	if len(code) > maxSourceBytes {
		return &Program{runtime: runtime, fault: &syntaxFault{class: "SyntaxError", message: "the code is too long"}}
	}
	src := string(code)
	p := &Program{runtime: runtime, source: src}
	if p.fault = checkGrammar(src, importable[runtime]); p.fault != nil {
		return p
	}
	tree, err := parser.ParseFile(nil, "function.js", src, 0, parser.IsModule, parser.WithDisableSourceMaps)
	if err != nil {
		p.fault = parserFault(err)
		return p
	}
	if p.fault = runtimeFault(tree, runtime); p.fault != nil {
		return p
	}
	repair(tree)
	p.groups = stripGroups(tree)
	p.features = findFeatures(tree)
	p.modules = importedModules(tree)
	p.env = environmentNames(p.features, runtime)
	p.tables = newTables(p.features, runtime)
	if p.compiled, err = sobek.CompileAST(rewrite(tree, p.features, p.modules, p.env), true); err != nil {
		p.fault = compilerFault(err)
	}
	return p
}

// LoadError is why the real runtime would not load the code, in its own words,
// or "".
func (p *Program) LoadError() string {
	if p.fault == nil {
		return ""
	}
	return p.fault.Error()
}

// parserFault is for code that the engine's grammar takes and our parser does
// not: so far only code that the engine takes by mistake.
func parserFault(err error) *syntaxFault {
	var list parser.ErrorList
	if !errors.As(err, &list) || len(list) == 0 {
		return &syntaxFault{class: "SyntaxError", message: err.Error()}
	}
	first := list[0]
	return &syntaxFault{
		class: "SyntaxError", message: first.Message,
		line: first.Position.Line, offset: -1, column: first.Position.Column,
	}
}

var compilerPosition = regexp.MustCompile(`^(?:SyntaxError: )?(.*?) at function\.js:(\d+):(\d+)$`)

func compilerFault(err error) *syntaxFault {
	f := &syntaxFault{class: "SyntaxError", message: strings.TrimPrefix(err.Error(), "SyntaxError: "), offset: -1}
	if m := compilerPosition.FindStringSubmatch(err.Error()); m != nil {
		f.message = m[1]
		f.line, _ = strconv.Atoi(m[2])
		f.column, _ = strconv.Atoi(m[3])
	}
	return f
}

// limitRegexps bounds how long one regular expression may match. The setting
// belongs to the process: the library of the JavaScript engine offers no
// other. A match that reaches it counts as "no match", which is why a run that
// took so long is failed (see run.go).
var limitRegexps = sync.OnceFunc(func() {
	regexp2.DefaultMatchTimeout = regexpTimeout
	regexp2.SetTimeoutCheckPeriod(regexpTimeout / 10)
})

// String describes the program for logs: its runtime and whether it loads.
func (p *Program) String() string {
	return fmt.Sprintf("%s function, load error %q", p.runtime, p.LoadError())
}
