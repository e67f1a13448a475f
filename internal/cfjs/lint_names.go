package cfjs

import (
	"strings"

	"github.com/grafana/sobek/ast"
	"github.com/grafana/sobek/token"
)

// globals20 are the names that runtime 2.0 defines; runtime 1.0 lacks those of
// globalsSince20.
const (
	globals20 = "AggregateError Array ArrayBuffer Boolean Buffer DataView Date Error EvalError Float32Array Float64Array Function Infinity " +
		"Int16Array Int32Array Int8Array InternalError JSON Math NaN Number Object Promise RangeError ReferenceError RegExp " +
		"String Symbol SyntaxError TextDecoder TextEncoder TypeError URIError Uint16Array Uint32Array Uint8Array " +
		"Uint8ClampedArray arguments atob btoa console decodeURI decodeURIComponent encodeURI encodeURIComponent eval " +
		"globalThis isFinite isNaN parseFloat parseInt require undefined"
	globalsSince20 = " AggregateError Buffer TextDecoder TextEncoder atob btoa "
)

// names reports names that nothing defines and built-in members that the
// engine lacks.
func (l *linter) names(tree *ast.Program) {
	declared := declaredNames(tree)
	own := ownMembers(tree)
	own["toLocaleString"] = own["toLocaleString"] || findFeatures(tree).names["Date"] // which has one
	walk(tree, func(n ast.Node, around []ast.Node) {
		switch n := n.(type) {
		case *ast.Identifier:
			name := string(n.Name)
			if !declared[name] && !l.isGlobal(name) && isReference(n, around) {
				l.at(n.Idx, "undefined-name", LevelError, `"`+name+`" is not defined`)
			}
		case *ast.CallExpression:
			if dot, ok := n.Callee.(*ast.DotExpression); ok {
				l.member(dot, declared, own)
			}
		}
	})
}

func (l *linter) isGlobal(name string) bool {
	if l.runtime == Runtime10 && (name == "MemoryError" || strings.Contains(globalsSince20, " "+name+" ")) {
		return name == "MemoryError"
	}
	return strings.Contains(" "+globals20+" ", " "+name+" ")
}

// member reports a call of a method that the engine lacks: of a built-in object
// by its name, or of any value when the program defines no such method itself.
func (l *linter) member(dot *ast.DotExpression, declared, own map[string]bool) {
	name := string(dot.Identifier.Name)
	object, isName := dot.Left.(*ast.Identifier)
	missing := false
	if isName && !declared[string(object.Name)] && lacks(absent[string(object.Name)], name) {
		missing = true
	}
	if !own[name] {
		for holder, names := range absent {
			if strings.HasSuffix(holder, ".prototype") && lacks(names, name) && name != "toString" && name != "compile" {
				missing = true
			}
		}
	}
	if isName && string(object.Name) == "console" && !declared["console"] {
		missing = false
	}
	if missing {
		l.at(dot.Identifier.Idx, "missing-member", LevelError, `(intermediate value)["`+name+`"] is not a function`)
	}
}

func lacks(names, name string) bool { return strings.Contains(" "+names+" ", " "+name+" ") }

// isReference tells a use of a name from labels and from the names of function
// expressions, and leaves out typeof, which may ask for anything.
func isReference(n *ast.Identifier, around []ast.Node) bool {
	switch parent := around[len(around)-1].(type) {
	case *ast.UnaryExpression:
		return parent.Operator != token.TYPEOF
	case *ast.PropertyKeyed:
		return parent.Key != ast.Expression(n) || parent.Computed
	}
	return true
}

// declaredNames are the names that any scope of the program declares.
func declaredNames(tree *ast.Program) map[string]bool {
	names := map[string]bool{}
	add := func(e ast.Node) {
		if id, ok := e.(*ast.Identifier); ok && id != nil {
			names[string(id.Name)] = true
		}
	}
	walk(tree, func(n ast.Node, _ []ast.Node) {
		switch n := n.(type) {
		case *ast.Binding:
			add(n.Target)
		case *ast.FunctionLiteral:
			add(n.Name)
		case *ast.ParameterList:
			add(n.Rest)
		case *ast.CatchStatement:
			add(n.Parameter)
		case *ast.ForDeclaration:
			add(n.Target)
		case *ast.ImportDeclaration:
			if n.ImportClause != nil {
				add(n.ImportClause.ImportedDefaultBinding)
			}
		case *ast.ObjectPattern, *ast.ArrayPattern:
			children(n, add)
		}
	})
	return names
}

// ownMembers are the property names that the program itself gives a value.
func ownMembers(tree *ast.Program) map[string]bool {
	names := map[string]bool{}
	walk(tree, func(n ast.Node, _ []ast.Node) {
		switch n := n.(type) {
		case *ast.PropertyShort:
			names[string(n.Name.Name)] = true
		case *ast.PropertyKeyed:
			if key, ok := n.Key.(*ast.StringLiteral); ok {
				names[key.Value.String()] = true
			}
		case *ast.AssignExpression:
			if dot, ok := n.Left.(*ast.DotExpression); ok {
				names[string(dot.Identifier.Name)] = true
			}
		}
	})
	return names
}
