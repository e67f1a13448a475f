package cfjs

import (
	"strings"

	"github.com/grafana/sobek/ast"
	"github.com/grafana/sobek/file"
	"github.com/grafana/sobek/token"
)

// syntax reports every construct that keeps code from loading. The engine
// itself stops at the first.
func (l *linter) syntax(tree *ast.Program) {
	walk(tree, func(n ast.Node, around []ast.Node) {
		switch n := n.(type) {
		case ast.Statement:
			l.statementSyntax(n)
		case ast.Expression:
			l.expressionSyntax(n, around)
		}
	})
	for _, e := range tree.ExportEntries {
		l.at(e.Idx, "export", LevelError, "Illegal export statement")
	}
	for _, i := range tree.ImportEntries {
		l.importSyntax(i)
	}
}

func (l *linter) importSyntax(i *ast.ImportDeclaration) {
	switch {
	case l.runtime == Runtime10:
		l.at(i.Idx, "runtime-version", LevelError, `Unexpected token "import"`)
	case i.ImportClause == nil || i.ImportClause.ImportedDefaultBinding == nil:
		l.at(i.Idx, "import-form", LevelError, "Non-default import is not supported")
	case !importable[l.runtime][string(importedModule(i))]:
		l.at(i.Idx, "import-form", LevelError, `Cannot find module "`+string(importedModule(i))+`"`)
	}
}

func (l *linter) statementSyntax(n ast.Statement) {
	switch n := n.(type) {
	case *ast.ForOfStatement:
		l.at(n.For, "for-of", LevelError, `Token "of" not supported in this version`)
	case *ast.ClassDeclaration:
		l.at(n.Class.Class, "class", LevelError, `Token "class" not supported in this version`)
	case *ast.CatchStatement:
		if n.Parameter == nil {
			l.at(n.Catch, "catch-binding", LevelError, `Token "{" not supported in this version`)
		}
	case *ast.WithStatement:
		l.at(n.With, "with", LevelError, `Token "(" not supported in this version`)
	case *ast.LexicalDeclaration:
		if l.runtime == Runtime10 {
			l.at(n.Idx, "runtime-version", LevelError, `Unexpected token "`+n.Token.String()+`"`)
		}
	}
}

func (l *linter) expressionSyntax(n ast.Expression, around []ast.Node) {
	switch n := n.(type) {
	case *ast.SpreadElement:
		before := l.src[:n.Idx0()-1]
		l.report("spread", LevelError, strings.LastIndex(before, "..."), `Unexpected token "..."`)
	case *ast.ObjectPattern:
		l.at(n.LeftBrace, "destructuring", LevelError, `Token "{" not supported in this version`)
	case *ast.ArrayPattern:
		l.at(n.LeftBracket, "destructuring", LevelError, `Token "[" not supported in this version`)
	case *ast.ClassLiteral:
		l.at(n.Class, "class", LevelError, `Token "class" not supported in this version`)
	case *ast.OptionalChain:
		l.at(n.Idx0(), "optional-chaining", LevelError, `Unexpected token "."`)
	case *ast.AssignExpression:
		switch n.Operator {
		case token.LOGICAL_AND, token.LOGICAL_OR, token.COALESCE:
			l.at(n.Idx0(), "logical-assignment", LevelError, `Unexpected token "="`)
		}
	case *ast.NumberLiteral:
		if at := strings.IndexByte(n.Literal, '_'); at >= 0 && l.runtime == Runtime10 {
			l.at(n.Idx+file.Idx(at), "runtime-version", LevelError, `Unexpected token "`+n.Literal[at:]+`"`)
		}
		if strings.HasSuffix(n.Literal, "n") && !strings.HasPrefix(n.Literal, "0x") {
			l.at(n.Idx, "bigint", LevelError, `Unexpected token "n"`)
		}
	case *ast.RegExpLiteral:
		if strings.Trim(n.Flags, "gimy") != "" {
			l.at(n.Idx, "regexp-flags", LevelError, `Invalid RegExp flags "`+n.Flags+`"`)
		}
	case *ast.AwaitExpression:
		l.awaitSyntax(n, around)
	case *ast.FunctionLiteral:
		l.functionSyntax(n.Function, n.ParameterList, n.Generator, n.Async)
	case *ast.ArrowFunctionLiteral:
		l.functionSyntax(n.Start, n.ParameterList, false, n.Async)
	}
}

func (l *linter) functionSyntax(at file.Idx, parameters *ast.ParameterList, generator, async bool) {
	if generator {
		l.at(at, "generator", LevelError, `Unexpected token "*"`)
	}
	if async && l.runtime == Runtime10 {
		l.at(at, "runtime-version", LevelError, `Unexpected token "function"`)
	}
	for _, p := range parameters.List {
		if p.Initializer != nil {
			l.at(p.Idx0(), "default-parameter", LevelError, `Unexpected token "="`)
		}
	}
}

func (l *linter) awaitSyntax(n *ast.AwaitExpression, around []ast.Node) {
	if awaitInCall(n, around) {
		l.at(n.Await, "await-in-arguments", LevelError, awaitInArguments)
	}
	for _, a := range around {
		switch a.(type) {
		case *ast.FunctionLiteral, *ast.ArrowFunctionLiteral:
			return
		}
	}
	l.at(n.Await, "top-level-await", LevelError, "await is only valid in async functions")
}

// awaitInCall reports whether an await stands among the arguments of a call, up
// to the function around it. The engine's own check overlooks an await behind
// another call among the same arguments and then runs astray (observed).
func awaitInCall(n ast.Node, around []ast.Node) bool {
	for i := len(around) - 1; i >= 0; i-- {
		switch a := around[i].(type) {
		case *ast.FunctionLiteral, *ast.ArrowFunctionLiteral:
			return false
		case *ast.CallExpression:
			if a.Callee != n {
				return true
			}
		case *ast.NewExpression:
			if a.Callee != n {
				return true
			}
		}
		n = around[i]
	}
	return false
}

// runtimeFault finds what the grammar alone does not: an await that the engine
// would mistreat, and what runtime 1.0 does not read.
func runtimeFault(tree *ast.Program, runtime Runtime) *syntaxFault {
	l := &linter{src: tree.File.Source(), runtime: runtime}
	l.syntax(tree)
	l.sort()
	for _, d := range l.found {
		if d.Rule == "await-in-arguments" || d.Rule == "runtime-version" {
			return &syntaxFault{class: "SyntaxError", message: d.Message, line: d.Line, offset: -1, column: d.Column}
		}
	}
	return nil
}
