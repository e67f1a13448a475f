package cfjs

import (
	"slices"

	"github.com/grafana/sobek/ast"
	"github.com/grafana/sobek/file"
	"github.com/grafana/sobek/token"
	"github.com/grafana/sobek/unistring"
)

// Names of the host's functions in a rewritten program. No source text can
// spell them.
const (
	hostCaught = "\x01caught"  // (error), gives it the engine's wording
	hostKey    = "\x01key"     // (property key) -> the same, its member made ready
	hostModule = "\x01module " // and its name: a module
)

// rewrite turns a parsed program into one expression, a function of the host's
// values that runs the program and returns its handler:
//
//	(function (caught, key, cloudfront, console, ...) { return (() => {
//	    const cf = cloudfront;   // every import, first
//	    ...the program...
//	    return handler;
//	})() })
//
// The inner function gives the program a scope of its own, in which it may take
// the names of the parameters. Catch clauses first call
// caught, computed reads pass their key through key. Positions stay as they
// are. The tree is changed in place.
func rewrite(program *ast.Program, f *features, modules, env []string) *ast.Program {
	for _, c := range f.catches {
		if id, ok := c.Parameter.(*ast.Identifier); ok {
			c.Body.List = append([]ast.Statement{&ast.ExpressionStatement{Expression: hostCall(hostCaught, id, id.Idx)}}, c.Body.List...)
		}
	}
	for _, read := range f.reads {
		read.Member = hostCall(hostKey, read.Member, read.Member.Idx0())
	}
	var imports, rest []ast.Statement
	for _, s := range program.Body {
		if d, ok := s.(*ast.ImportDeclaration); ok {
			imports = append(imports, importBinding(d))
		} else {
			rest = append(rest, s)
		}
	}
	body := &ast.BlockStatement{LeftBrace: 1, RightBrace: 1, List: append(imports, rest...)}
	if declaresHandler(program) {
		body.List = append(body.List, &ast.ReturnStatement{Return: 1, Argument: &ast.Identifier{Name: "handler", Idx: 1}})
	}
	inner := &ast.ArrowFunctionLiteral{Start: 1, ParameterList: parameterList(nil), Body: body, DeclarationList: program.DeclarationList}
	parameters := []string{hostCaught, hostKey}
	for _, name := range modules {
		parameters = append(parameters, hostModule+name)
	}
	parameters = append(parameters, env...)
	call := &ast.CallExpression{Callee: inner, LeftParenthesis: 1, RightParenthesis: 1}
	function := &ast.FunctionLiteral{
		Function:      1,
		ParameterList: parameterList(parameters),
		Body: &ast.BlockStatement{LeftBrace: 1, RightBrace: 1, List: []ast.Statement{
			&ast.ReturnStatement{Return: 1, Argument: call},
		}},
	}
	return &ast.Program{
		Body: []ast.Statement{&ast.ExpressionStatement{Expression: function}},
		File: program.File,
	}
}

func parameterList(names []string) *ast.ParameterList {
	list := &ast.ParameterList{Opening: 1, Closing: 1}
	for _, name := range names {
		list.List = append(list.List, &ast.Binding{Target: &ast.Identifier{Name: unistring.String(name), Idx: 1}})
	}
	return list
}

func hostCall(name string, argument ast.Expression, at file.Idx) *ast.CallExpression {
	return &ast.CallExpression{
		Callee:           &ast.Identifier{Name: unistring.String(name), Idx: at},
		LeftParenthesis:  at,
		ArgumentList:     []ast.Expression{argument},
		RightParenthesis: at,
	}
}

func importBinding(d *ast.ImportDeclaration) ast.Statement {
	return &ast.LexicalDeclaration{Idx: d.Idx, Token: token.CONST, List: []*ast.Binding{{
		Target:      d.ImportClause.ImportedDefaultBinding,
		Initializer: &ast.Identifier{Name: hostModule + importedModule(d), Idx: d.Idx},
	}}}
}

// importedModules lists the modules that a program imports, each once.
func importedModules(program *ast.Program) []string {
	var names []string
	for _, s := range program.Body {
		if d, ok := s.(*ast.ImportDeclaration); ok && !slices.Contains(names, importedModule(d).String()) {
			names = append(names, importedModule(d).String())
		}
	}
	return names
}

func importedModule(d *ast.ImportDeclaration) unistring.String {
	if d.FromClause != nil {
		return d.FromClause.ModuleSpecifier
	}
	return d.ModuleSpecifier
}

// declaresHandler reports whether the program binds the name handler at its
// top level, by a function or any declaration.
func declaresHandler(program *ast.Program) bool {
	found := false
	isHandler := func(e ast.Expression) {
		if id, ok := e.(*ast.Identifier); ok && id != nil && id.Name == "handler" {
			found = true
		}
	}
	for _, s := range program.Body {
		switch s := s.(type) {
		case *ast.FunctionDeclaration:
			isHandler(s.Function.Name)
		case *ast.LexicalDeclaration:
			for _, b := range s.List {
				isHandler(b.Target)
			}
		case *ast.ImportDeclaration:
			if s.ImportClause != nil {
				isHandler(s.ImportClause.ImportedDefaultBinding)
			}
		}
	}
	for _, d := range program.DeclarationList {
		for _, b := range d.List {
			isHandler(b.Target)
		}
	}
	return found
}
