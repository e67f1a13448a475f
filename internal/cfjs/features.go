package cfjs

import (
	"github.com/grafana/sobek/ast"
	"github.com/grafana/sobek/token"
)

// features is what a program can reach, as far as its text tells.
type features struct {
	// names holds every identifier, property name and string literal: a member
	// whose name is not among them can only be reached by a computed name.
	names map[string]bool
	// reads are member expressions whose name is computed when they run.
	reads []*ast.BracketExpression
	// catches are the catch clauses.
	catches []*ast.CatchStatement
	// builds says that it can make arrays of any length or depth: those may be
	// turned into text without a name.
	builds bool
	// regexps says that a regular expression may run.
	regexps bool
	// accessors says that the program can make getters and setters.
	accessors bool
	// reflects says that the program can list the members of built-in objects.
	reflects bool
}

// buildingNames are the ways to long or deep arrays that are not loops.
var buildingNames = []string{"Array", "length", "push", "unshift", "splice", "concat", "fill", "map", "then", "apply", "split"}

// reflectiveNames give access to members without their names.
var reflectiveNames = []string{"getOwnPropertyNames", "getOwnPropertyDescriptor", "getOwnPropertyDescriptors"}

// accessorNames make getters and setters without a literal.
var accessorNames = []string{"defineProperty", "defineProperties", "__defineGetter__", "__defineSetter__"}

// regexpNames reach the regular expression engine without a literal.
var regexpNames = []string{"RegExp", "match", "search", "matchAll"}

func findFeatures(program *ast.Program) *features {
	f := &features{names: map[string]bool{}}
	v := featureVisitor{features: f, numeric: numericNames(program), writes: map[ast.Node]bool{}}
	v.visit(program)
	for _, name := range reflectiveNames {
		f.reflects = f.reflects || f.names[name]
	}
	for _, name := range accessorNames {
		f.accessors = f.accessors || f.names[name]
	}
	for _, name := range buildingNames {
		f.builds = f.builds || f.names[name]
	}
	f.builds = f.builds || v.loops || v.asyncs > 1
	for _, name := range regexpNames {
		f.regexps = f.regexps || f.names[name]
	}
	return f
}

type featureVisitor struct {
	*features
	numeric map[string]bool
	writes  map[ast.Node]bool // member expressions that are only written to
	loops   bool
	asyncs  int // async functions: one that awaits itself is a loop
}

func (v *featureVisitor) visit(n ast.Node) {
	switch n := n.(type) {
	case *ast.Identifier:
		v.names[string(n.Name)] = true
	case *ast.DotExpression:
		v.names[string(n.Identifier.Name)] = true
	case *ast.PropertyShort:
		v.names[string(n.Name.Name)] = true
	case *ast.StringLiteral:
		v.names[n.Value.String()] = true
	case *ast.PropertyKeyed:
		v.accessors = v.accessors || n.Kind == ast.PropertyKindGet || n.Kind == ast.PropertyKindSet
	case *ast.ForStatement, *ast.ForInStatement, *ast.WhileStatement, *ast.DoWhileStatement:
		v.loops = true
	case *ast.FunctionLiteral:
		v.countAsync(n.Async)
	case *ast.ArrowFunctionLiteral:
		v.countAsync(n.Async)
	case *ast.RegExpLiteral:
		v.regexps = true
	case *ast.CatchStatement:
		v.catches = append(v.catches, n)
	case *ast.AssignExpression:
		if n.Operator == token.ASSIGN {
			v.writes[n.Left] = true
		}
	case *ast.UnaryExpression:
		if n.Operator == token.DELETE {
			v.writes[n.Operand] = true
		}
	case *ast.BracketExpression:
		if _, literal := n.Member.(*ast.StringLiteral); !literal && !v.writes[n] && !v.isNumber(n.Member) {
			v.reads = append(v.reads, n)
		}
	}
	children(n, v.visit)
}

func (v *featureVisitor) countAsync(async bool) {
	if async {
		v.asyncs++
	}
}

func (v *featureVisitor) isNumber(e ast.Expression) bool { return isNumber(e, v.numeric) }

// isNumber reports whether an expression can only be a number.
func isNumber(e ast.Expression, numeric map[string]bool) bool {
	switch e := e.(type) {
	case *ast.NumberLiteral:
		return true
	case *ast.Identifier:
		return numeric[string(e.Name)]
	case *ast.UnaryExpression:
		switch e.Operator {
		case token.INCREMENT, token.DECREMENT, token.PLUS, token.MINUS, token.BITWISE_NOT:
			return true
		}
	case *ast.BinaryExpression:
		switch e.Operator {
		case token.MINUS, token.MULTIPLY, token.SLASH, token.REMAINDER, token.EXPONENT, token.AND, token.OR,
			token.EXCLUSIVE_OR, token.SHIFT_LEFT, token.SHIFT_RIGHT, token.UNSIGNED_SHIFT_RIGHT:
			return true
		case token.PLUS:
			return isNumber(e.Left, numeric) && isNumber(e.Right, numeric)
		}
	}
	return false
}

// numericNames are the names that hold a number in every scope of the program:
// each of their declarations and assignments gives them one, and none is a
// parameter or a loop's key. Scopes are not told apart.
func numericNames(program *ast.Program) map[string]bool {
	numeric, other := map[string]bool{}, map[string]bool{}
	mark := func(target ast.Node, number bool) {
		if id, ok := target.(*ast.Identifier); ok {
			if number {
				numeric[string(id.Name)] = true
			} else {
				other[string(id.Name)] = true
			}
		}
	}
	var visit func(ast.Node)
	visit = func(n ast.Node) {
		switch n := n.(type) {
		case *ast.Binding:
			mark(n.Target, n.Initializer != nil && isNumber(n.Initializer, nil))
		case *ast.AssignExpression:
			switch n.Operator {
			case token.ASSIGN, token.PLUS:
				mark(n.Left, isNumber(n.Right, nil))
			}
		case *ast.CatchStatement:
			mark(n.Parameter, false)
		case *ast.ForDeclaration:
			mark(n.Target, false)
		case *ast.ForIntoExpression:
			mark(n.Expression, false)
		case *ast.FunctionLiteral:
			if n.Name != nil {
				mark(n.Name, false)
			}
		case *ast.ParameterList:
			mark(n.Rest, false)
		}
		children(n, visit)
	}
	visit(program)
	for name := range other {
		delete(numeric, name)
	}
	return numeric
}
