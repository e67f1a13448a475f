package cfjs

import (
	"fmt"
	"strings"
)

// A syntaxFault is why the engine would not load a program.
type syntaxFault struct {
	class   string // SyntaxError or ReferenceError
	message string // without the line
	line    int    // the line in the message; 0 = the engine gives none
	offset  int    // byte offset of the token at fault; -1 = see column
	column  int    // 1-based, when offset is not known
}

// Error is the engine's text: AWS ends it in " in LINE".
func (f *syntaxFault) Error() string {
	if f.line == 0 {
		return f.class + ": " + f.message
	}
	return fmt.Sprintf("%s: %s in %d", f.class, f.message, f.line)
}

// checkGrammar says whether the engine behind CloudFront Functions would load
// src, and if not, with which words. It recognises the grammar of njs 0.7 and
// 0.8 (observed): an LL(1) parser with some lookahead, whose state decides
// both the token and the line that an error names. That is why the recogniser
// follows the engine's order of decisions and is not a lint over somebody
// else's syntax tree.
//
// Deliberately absent: faults that need more than the grammar. The syntax tree
// lint and the compiler look for those.
//
// modules are the names that may be imported.
func checkGrammar(src string, modules map[string]bool) (fault *syntaxFault) {
	g := &grammar{l: newLexer(src), scope: newGrammarScope(nil, globalScope), modules: modules}
	defer func() {
		switch stop := recover().(type) {
		case nil:
		case *syntaxFault:
			fault = stop
		case rejection:
			fault = g.unexpected()
		default:
			panic(stop)
		}
	}()
	g.statementList()
	if g.l.token(false).kind != kindEnd {
		return g.unexpected()
	}
	return g.late
}

// A rejection unwinds to the nearest construct that can say what was expected.
type rejection struct{}

// A nodeKind tells expressions apart as far as the grammar asks.
type nodeKind int

const (
	nodeNone nodeKind = iota
	nodeOther
	nodeName
	nodeProperty
	nodeNumber
	nodeLogical
	nodeArguments
	nodeEval
	nodeCall
)

const awaitInArguments = "await in arguments not supported"

type grammar struct {
	l         *lexer
	node      nodeKind // the last expression
	scope     *grammarScope
	rejecting bool // a rejection is on its way
	useLHS    bool // the next operand was already read
	modules   map[string]bool
	late      *syntaxFault // first fault that the engine finds after parsing
}

func (g *grammar) tok() *lexToken             { return g.l.token(false) }
func (g *grammar) is(kind tokenKind) bool     { return g.tok().kind == kind }
func (g *grammar) consume()                   { g.l.consume(1) }
func (g *grammar) peek(t *lexToken) *lexToken { return g.l.peek(t, false) }

// accept consumes the token if it is of that kind.
func (g *grammar) accept(kind tokenKind) bool {
	if !g.is(kind) {
		return false
	}
	g.consume()
	return true
}

func (g *grammar) expect(kind tokenKind) {
	if !g.accept(kind) {
		g.fail()
	}
}

func (g *grammar) reject() {
	g.rejecting = true
	panic(rejection{})
}
func (g *grammar) fail() { panic(g.unexpected()) }

func (g *grammar) unexpected() *syntaxFault {
	t := g.tok()
	if t.kind == kindEnd {
		return g.faultAt(t, "Unexpected end of input")
	}
	return g.faultAt(t, "Unexpected token \""+g.l.text(t)+"\"")
}

func (g *grammar) faultAt(t *lexToken, message string) *syntaxFault {
	return &syntaxFault{class: "SyntaxError", message: message, line: g.l.line, offset: t.start}
}

func (g *grammar) syntaxError(format string, args ...any) {
	panic(g.faultAt(g.tok(), fmt.Sprintf(format, args...)))
}

func (g *grammar) referenceError(message string) {
	f := g.faultAt(g.tok(), message)
	f.class = "ReferenceError"
	panic(f)
}

func (g *grammar) notSupported(t *lexToken) {
	if t.kind == kindEnd {
		panic(g.faultAt(t, "Not supported in this version"))
	}
	panic(g.faultAt(t, "Token \""+g.l.text(t)+"\" not supported in this version"))
}

// bounded runs parse and reports whether it was rejected. It lets faults pass
// without recovering them: to throw them again at every level would take time
// that grows with the square of the depth.
func (g *grammar) bounded(parse func()) (rejected bool) {
	defer func() {
		if g.rejecting {
			_ = recover()
			g.rejecting, rejected = false, true
		}
	}()
	parse()
	return false
}

// must runs parse and turns a rejection into an error about the next token.
func (g *grammar) must(parse func()) {
	if g.bounded(parse) {
		g.fail()
	}
}

// later notes a fault that the engine reports only once it has read the whole
// program without another.
func (g *grammar) later(f *syntaxFault) {
	if g.late == nil {
		g.late = f
	}
}

// declare adds a variable to the scope that owns it.
func (g *grammar) declare(t *lexToken, kind variableKind) {
	if !g.scope.declare(g.l.text(t), kind) {
		g.syntaxError("\"%s\" has already been declared", g.l.text(t))
	}
}

// forbidNames refuses `eval` and `arguments` as the name of something.
func (g *grammar) forbidNames(t *lexToken, where string) {
	if t.kind == "arguments" || t.kind == "eval" {
		g.syntaxError("Identifier \"%s\" is forbidden in %s declaration", g.l.text(t), where)
	}
}

// templateText reads literal text that starts at from; it reports whether an
// expression follows. The token at the head is replaced by the text.
func (g *grammar) templateText(from int, tagged bool) (more bool) {
	l := g.l
	for p := from; p < len(l.src); p++ {
		end := p
		switch l.src[p] {
		case '\\':
			p++
			continue
		case '\n':
			l.line++
			continue
		case '$':
			if !strings.HasPrefix(l.src[p:], "${") {
				continue
			}
			l.in = append(l.in, false)
			p++
			more = true
		case '`':
		default:
			continue
		}
		if fault := escapeFault(l.src[from:end], tagged); fault != "" {
			g.syntaxError("%s", fault)
		}
		l.pos = p + 1
		g.consume()
		return more
	}
	g.syntaxError("Unterminated template literal")
	return false
}
