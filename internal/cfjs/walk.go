package cfjs

import "github.com/grafana/sobek/ast"

// children calls visit for each direct child of n, in source order. Nodes that
// are absent are not visited.
func children(n ast.Node, visit func(ast.Node)) {
	w := childWalker{visit}
	switch n := n.(type) {
	case *ast.Program:
		w.statements(n.Body)
	case ast.Statement:
		w.statement(n)
	case ast.Expression:
		w.expression(n)
	default:
		w.other(n)
	}
}

type childWalker struct{ visit func(ast.Node) }

func (w childWalker) expr(e ast.Expression) {
	if e != nil {
		w.visit(e)
	}
}

func (w childWalker) exprs(list []ast.Expression) {
	for _, e := range list {
		w.expr(e)
	}
}

func (w childWalker) stmt(s ast.Statement) {
	if s != nil {
		w.visit(s)
	}
}

func (w childWalker) statements(list []ast.Statement) {
	for _, s := range list {
		w.stmt(s)
	}
}

func (w childWalker) block(b *ast.BlockStatement) {
	if b != nil {
		w.visit(b)
	}
}

func (w childWalker) bindings(list []*ast.Binding) {
	for _, b := range list {
		w.visit(b)
	}
}

func (w childWalker) properties(list []ast.Property) {
	for _, p := range list {
		w.visit(p)
	}
}

func (w childWalker) statement(n ast.Statement) {
	switch n := n.(type) {
	case *ast.BlockStatement:
		w.statements(n.List)
	case *ast.CatchStatement:
		if n.Parameter != nil {
			w.visit(n.Parameter)
		}
		w.block(n.Body)
	case *ast.CaseStatement:
		w.expr(n.Test)
		w.statements(n.Consequent)
	case *ast.DoWhileStatement:
		w.stmt(n.Body)
		w.expr(n.Test)
	case *ast.ExpressionStatement:
		w.expr(n.Expression)
	case *ast.ForInStatement:
		w.visit(n.Into)
		w.expr(n.Source)
		w.stmt(n.Body)
	case *ast.ForOfStatement:
		w.visit(n.Into)
		w.expr(n.Source)
		w.stmt(n.Body)
	case *ast.ForStatement:
		if n.Initializer != nil {
			w.visit(n.Initializer)
		}
		w.expr(n.Test)
		w.expr(n.Update)
		w.stmt(n.Body)
	case *ast.IfStatement:
		w.expr(n.Test)
		w.stmt(n.Consequent)
		w.stmt(n.Alternate)
	case *ast.LabelledStatement:
		w.stmt(n.Statement)
	case *ast.ReturnStatement:
		w.expr(n.Argument)
	case *ast.SwitchStatement:
		w.expr(n.Discriminant)
		for _, c := range n.Body {
			w.visit(c)
		}
	case *ast.ThrowStatement:
		w.expr(n.Argument)
	case *ast.TryStatement:
		w.block(n.Body)
		if n.Catch != nil {
			w.visit(n.Catch)
		}
		w.block(n.Finally)
	case *ast.VariableStatement:
		w.bindings(n.List)
	case *ast.LexicalDeclaration:
		w.bindings(n.List)
	case *ast.WhileStatement:
		w.expr(n.Test)
		w.stmt(n.Body)
	case *ast.WithStatement:
		w.expr(n.Object)
		w.stmt(n.Body)
	case *ast.FunctionDeclaration:
		w.visit(n.Function)
	case *ast.ClassDeclaration:
		w.visit(n.Class)
	}
}

func (w childWalker) expression(n ast.Expression) {
	switch n := n.(type) {
	case *ast.ArrayLiteral:
		w.exprs(n.Value)
	case *ast.ArrayPattern:
		w.exprs(n.Elements)
		w.expr(n.Rest)
	case *ast.AssignExpression:
		w.expr(n.Left)
		w.expr(n.Right)
	case *ast.AwaitExpression:
		w.expr(n.Argument)
	case *ast.BinaryExpression:
		w.expr(n.Left)
		w.expr(n.Right)
	case *ast.BracketExpression:
		w.expr(n.Left)
		w.expr(n.Member)
	case *ast.CallExpression:
		w.expr(n.Callee)
		w.exprs(n.ArgumentList)
	case *ast.ConditionalExpression:
		w.expr(n.Test)
		w.expr(n.Consequent)
		w.expr(n.Alternate)
	case *ast.DotExpression:
		w.expr(n.Left)
	case *ast.OptionalChain:
		w.expr(n.Expression)
	case *ast.Optional:
		w.expr(n.Expression)
	case *ast.FunctionLiteral:
		w.visit(n.ParameterList)
		w.block(n.Body)
	case *ast.ArrowFunctionLiteral:
		w.visit(n.ParameterList)
		w.visit(n.Body)
	case *ast.NewExpression:
		w.expr(n.Callee)
		w.exprs(n.ArgumentList)
	case *ast.ObjectLiteral:
		w.properties(n.Value)
	case *ast.ObjectPattern:
		w.properties(n.Properties)
		w.expr(n.Rest)
	case *ast.SequenceExpression:
		w.exprs(n.Sequence)
	case *ast.TemplateLiteral:
		w.expr(n.Tag)
		w.exprs(n.Expressions)
	case *ast.UnaryExpression:
		w.expr(n.Operand)
	case *ast.YieldExpression:
		w.expr(n.Argument)
	case *ast.Binding:
		w.visit(n.Target)
		w.expr(n.Initializer)
	case *ast.PropertyShort:
		w.expr(n.Initializer)
	case *ast.PropertyKeyed:
		w.expr(n.Key)
		w.expr(n.Value)
	case *ast.SpreadElement:
		w.expr(n.Expression)
	}
}

// other covers the nodes that are neither statement nor expression. Bodies of
// classes are left out: a program with a class does not load.
func (w childWalker) other(n ast.Node) {
	switch n := n.(type) {
	case *ast.ParameterList:
		w.bindings(n.List)
		w.expr(n.Rest)
	case *ast.ExpressionBody:
		w.expr(n.Expression)
	case *ast.ForLoopInitializerExpression:
		w.expr(n.Expression)
	case *ast.ForLoopInitializerVarDeclList:
		w.bindings(n.List)
	case *ast.ForLoopInitializerLexicalDecl:
		w.bindings(n.LexicalDeclaration.List)
	case *ast.ForIntoVar:
		w.visit(n.Binding)
	case *ast.ForDeclaration:
		w.visit(n.Target)
	case *ast.ForIntoExpression:
		w.expr(n.Expression)
	}
}
