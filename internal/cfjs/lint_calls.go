package cfjs

import "github.com/grafana/sobek/ast"

// calls reports calls that the runtime refuses or that are hardly meant.
func (l *linter) calls(tree *ast.Program) {
	declared := declaredNames(tree)
	handles := kvsHandles(tree)
	walk(tree, func(n ast.Node, around []ast.Node) {
		switch n := n.(type) {
		case *ast.CallExpression:
			l.call(n, declared)
			if kvsRead(n, handles) && !isAwaited(n, around) {
				l.at(n.Idx0(), "kvs-not-awaited", LevelWarning, "the call returns a promise, not the value")
			}
		case *ast.NewExpression:
			if isName(n.Callee, "Function") && !declared["Function"] {
				l.at(n.New, "eval", LevelError, `function constructor is disabled in "safe" mode`)
			}
		}
	})
}

func isName(e ast.Expression, name string) bool {
	id, ok := e.(*ast.Identifier)
	return ok && string(id.Name) == name
}

func (l *linter) call(n *ast.CallExpression, declared map[string]bool) {
	switch {
	case isName(n.Callee, "eval"):
		l.at(n.Idx0(), "eval", LevelError, "Not implemented")
	case isName(n.Callee, "Function") && !declared["Function"]:
		l.at(n.Idx0(), "eval", LevelError, `function constructor is disabled in "safe" mode`)
	}
	dot, ok := n.Callee.(*ast.DotExpression)
	if !ok {
		return
	}
	name := string(dot.Identifier.Name)
	switch {
	case isName(dot.Left, "console") && !declared["console"]:
		if name != "log" {
			l.at(dot.Identifier.Idx, "console-method", LevelError, `(intermediate value)["`+name+`"] is not a function`)
		} else if len(n.ArgumentList) > 1 {
			l.at(n.Idx0(), "console-arguments", LevelWarning, "console.log takes one argument")
		}
	case name == "createHash" || name == "createHmac":
		if len(n.ArgumentList) == 0 {
			return
		}
		algorithm, ok := n.ArgumentList[0].(*ast.StringLiteral)
		if ok && hashAlgorithms[algorithm.Value.String()] == nil {
			l.at(algorithm.Idx, "hash-algorithm", LevelError, `not supported algorithm: "`+algorithm.Value.String()+`"`)
		}
	}
}

// kvsHandles are the variables that hold what kvs() returned.
func kvsHandles(tree *ast.Program) map[string]bool {
	handles := map[string]bool{}
	walk(tree, func(n ast.Node, _ []ast.Node) {
		b, ok := n.(*ast.Binding)
		if !ok {
			return
		}
		call, ok := b.Initializer.(*ast.CallExpression)
		if !ok {
			return
		}
		dot, ok := call.Callee.(*ast.DotExpression)
		if id, isID := b.Target.(*ast.Identifier); ok && isID && dot.Identifier.Name == "kvs" {
			handles[string(id.Name)] = true
		}
	})
	return handles
}

func kvsRead(n *ast.CallExpression, handles map[string]bool) bool {
	dot, ok := n.Callee.(*ast.DotExpression)
	if !ok {
		return false
	}
	id, ok := dot.Left.(*ast.Identifier)
	if !ok || !handles[string(id.Name)] {
		return false
	}
	switch dot.Identifier.Name {
	case "get", "exists", "count", "meta":
		return true
	}
	return false
}

// isAwaited: a promise may be awaited, returned, passed on, kept in a variable,
// array or object, or used by a method; anything else drops it or takes it for
// the value.
func isAwaited(n ast.Node, around []ast.Node) bool {
	switch parent := around[len(around)-1].(type) {
	case *ast.BinaryExpression, *ast.TemplateLiteral, *ast.IfStatement, *ast.ExpressionStatement, *ast.UnaryExpression, *ast.BracketExpression:
		return false
	case *ast.ConditionalExpression:
		return parent.Test != n
	case *ast.DotExpression:
		switch parent.Identifier.Name {
		case "then", "catch", "finally":
			return true
		}
		return false
	}
	return true
}
