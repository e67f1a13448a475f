package cfjs

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/grafana/sobek/ast"
	"github.com/grafana/sobek/file"
	"github.com/grafana/sobek/parser"
	"github.com/grafana/sobek/token"
)

// The real engine says whether a value was null or undefined; ours does not.
// The program's text at the place of the error says which it was, in all but
// contrived cases: what match and exec return is null, what is missing is
// undefined.

// A frame is the innermost place of an error.
type frame struct {
	native       string // name of a built-in function; "" in the program's own code
	line, column int
}

var framePosition = regexp.MustCompile(`function\.js:(\d+):(\d+)`)

// topFrame reads the first line of an error's stack.
func topFrame(stack string) frame {
	_, rest, _ := strings.Cut(stack, "\tat ")
	first, _, _ := strings.Cut(rest, "\n")
	if name, ok := strings.CutSuffix(first, " (native)"); ok {
		return frame{native: name}
	}
	m := framePosition.FindStringSubmatch(first)
	if m == nil {
		return frame{}
	}
	line, _ := strconv.Atoi(m[1])
	column, _ := strconv.Atoi(m[2])
	return frame{line: line, column: column}
}

type siteKind int

const (
	siteOther siteKind = iota
	siteCall
	siteDelete
	siteIn
	sitePromise
)

// A site is what the program does at a place.
type site struct {
	kind    siteKind
	name    string // of the property
	nullish string // "null" or "undefined": what the object must have been
}

// nullish says what a property was read of. The engine gives the place of a
// read, but not that of a method that is about to be called: those are found
// by the name of the method.
func (p *Program) nullish(at frame, name string, callee bool) string {
	if !callee {
		return p.site(at).nullish
	}
	found := "undefined"
	tree, nulls := p.reparse()
	if tree == nil {
		return found
	}
	walk(tree, func(n ast.Node, _ []ast.Node) {
		if call, ok := n.(*ast.CallExpression); ok {
			if dot, ok := call.Callee.(*ast.DotExpression); ok && string(dot.Identifier.Name) == name {
				if nullishOf(dot.Left, nulls) == "null" {
					found = "null"
				}
			}
		}
	})
	return found
}

// reparse parses the program again, since the tree was rewritten for the
// compiler. It is only asked about a run that failed.
func (p *Program) reparse() (tree *ast.Program, nulls map[string]bool) {
	tree, err := parser.ParseFile(nil, "", p.source, 0, parser.IsModule, parser.WithDisableSourceMaps)
	if err != nil {
		return nil, nil
	}
	return tree, nullNames(tree)
}

func (p *Program) site(at frame) site {
	found := site{nullish: "undefined"}
	tree, nulls := p.reparse()
	if tree == nil || at.line == 0 {
		return found
	}
	matches := func(indices ...file.Idx) bool {
		for _, idx := range indices {
			if pos := tree.File.Position(int(idx) - 1); pos.Line == at.line && pos.Column == at.column {
				return true
			}
		}
		return false
	}
	hasIn := false
	walk(tree, func(n ast.Node, _ []ast.Node) {
		switch n := n.(type) {
		case *ast.DotExpression:
			if matches(n.Identifier.Idx, n.Idx0()) {
				found.nullish = nullishOf(n.Left, nulls)
			}
		case *ast.BracketExpression:
			if matches(n.LeftBracket, n.Idx0()) {
				found.nullish = nullishOf(n.Left, nulls)
			}
		case *ast.CallExpression:
			if matches(n.LeftParenthesis) {
				found.kind, found.name = siteCall, memberName(n.Callee)
			}
		case *ast.NewExpression:
			if matches(n.New) && isName(n.Callee, "Promise") {
				found.kind = sitePromise
			}
		case *ast.UnaryExpression:
			if dot, ok := n.Operand.(*ast.DotExpression); ok && n.Operator == token.DELETE && matches(dot.Identifier.Idx) {
				found.kind, found.name = siteDelete, string(dot.Identifier.Name)
			}
		case *ast.BinaryExpression:
			hasIn = hasIn || n.Operator == token.IN
		}
	})
	// Calls are always given their place, the operator in is not.
	if found.kind == siteOther && hasIn {
		found.kind = siteIn
	}
	return found
}

// memberName is the name of the member that an expression reads, if its text
// tells.
func memberName(e ast.Expression) string {
	switch e := e.(type) {
	case *ast.DotExpression:
		return string(e.Identifier.Name)
	case *ast.BracketExpression:
		if literal, ok := e.Member.(*ast.StringLiteral); ok {
			return literal.Value.String()
		}
	}
	return ""
}

// nullishOf says which of the two an expression gives when it gives nothing.
func nullishOf(e ast.Expression, nulls map[string]bool) string {
	if givesNull(e) {
		return "null"
	}
	if id, ok := e.(*ast.Identifier); ok && nulls[string(id.Name)] {
		return "null"
	}
	return "undefined"
}

func givesNull(e ast.Expression) bool {
	switch e := e.(type) {
	case *ast.NullLiteral:
		return true
	case *ast.AwaitExpression:
		return givesNull(e.Argument)
	case *ast.CallExpression:
		if dot, ok := e.Callee.(*ast.DotExpression); ok {
			switch dot.Identifier.Name {
			case "match", "exec", "getPrototypeOf", "parse":
				return true
			}
		}
	}
	return false
}

// nullNames are the variables that something gives null to.
func nullNames(tree *ast.Program) map[string]bool {
	names := map[string]bool{}
	mark := func(target ast.Node, value ast.Expression) {
		if id, ok := target.(*ast.Identifier); ok && value != nil && givesNull(value) {
			names[string(id.Name)] = true
		}
	}
	var visit func(ast.Node)
	visit = func(n ast.Node) {
		switch n := n.(type) {
		case *ast.Binding:
			mark(n.Target, n.Initializer)
		case *ast.AssignExpression:
			mark(n.Left, n.Right)
		}
		children(n, visit)
	}
	visit(tree)
	return names
}
