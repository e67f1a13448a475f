package cfjs

import (
	"strings"

	"github.com/grafana/sobek/ast"
	"github.com/grafana/sobek/token"
	"github.com/grafana/sobek/unistring"
)

// repair mends what our JavaScript engine gets wrong, in the tree:
//
//   - its parser groups `a < b < c` to the right;
//   - its compiler makes code that panics when an arrow function uses the
//     arguments of the function around it.
func repair(program *ast.Program) {
	var visit func(ast.Node)
	visit = func(n ast.Node) {
		if b, ok := n.(*ast.BinaryExpression); ok {
			regroup(b, program.File.Source())
		}
		children(n, visit)
	}
	visit(program)
	captureArguments(program)
}

func isRelational(op token.Token) bool {
	switch op {
	case token.LESS, token.LESS_OR_EQUAL, token.GREATER, token.GREATER_OR_EQUAL, token.INSTANCEOF, token.IN:
		return true
	}
	return false
}

// regroup turns `a < (b < c)` that was written without parentheses to the left.
func regroup(b *ast.BinaryExpression, source string) {
	for isRelational(b.Operator) {
		right, ok := b.Right.(*ast.BinaryExpression)
		if !ok || !isRelational(right.Operator) || right.Idx0() <= b.Left.Idx1() {
			return
		}
		between := source[b.Left.Idx1()-1 : right.Idx0()-1]
		if strings.Contains(between, "(") {
			return
		}
		b.Left = &ast.BinaryExpression{Operator: b.Operator, Left: b.Left, Right: right.Left, Comparison: b.Comparison}
		b.Operator, b.Right, b.Comparison = right.Operator, right.Right, right.Comparison
	}
}

// hostArguments holds the arguments of a function for the arrow functions in it.
const hostArguments = "\x01arguments"

// captureArguments lets arrow functions find the arguments of the function
// around them in a constant.
func captureArguments(program *ast.Program) {
	captured := map[*ast.FunctionLiteral]bool{}
	walk(program, func(n ast.Node, around []ast.Node) {
		id, ok := n.(*ast.Identifier)
		if !ok || id.Name != "arguments" {
			return
		}
		arrow := false
		for i := len(around) - 1; i >= 0; i-- {
			switch f := around[i].(type) {
			case *ast.ArrowFunctionLiteral:
				arrow = true
			case *ast.FunctionLiteral:
				if arrow {
					id.Name = unistring.String(hostArguments)
					captured[f] = true
				}
				return
			}
		}
	})
	for f := range captured {
		at := f.Body.LeftBrace
		f.Body.List = append([]ast.Statement{&ast.LexicalDeclaration{Idx: at, Token: token.CONST, List: []*ast.Binding{{
			Target:      &ast.Identifier{Name: unistring.String(hostArguments), Idx: at},
			Initializer: &ast.Identifier{Name: "arguments", Idx: at},
		}}}}, f.Body.List...)
	}
}
