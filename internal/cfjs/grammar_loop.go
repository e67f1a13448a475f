package cfjs

func (g *grammar) loop(keyword tokenKind) {
	g.consume()
	switch keyword {
	case "do":
		g.loopBody()
		g.expect("while")
		g.parenthesized()
	case "while":
		g.parenthesized()
		g.loopBody()
	default:
		if t := g.tok(); t.kind == "await" {
			g.notSupported(t)
		}
		g.expect("(")
		g.begin(blockScope)
		g.inheritFlow()
		g.forHead()
		g.end()
	}
}

func (g *grammar) loopBody() {
	g.scope.loops++
	g.plainStatement()
	g.scope.loops--
}

// forHead reads a for statement behind its opening parenthesis.
func (g *grammar) forHead() {
	g.node = nodeNone
	t := g.tok()
	switch t.kind {
	case ";":
		next := g.peek(t)
		g.consume()
		if next.kind != ";" {
			g.expression()
		}
		g.forUpdate()
	case "var", "let", "const":
		g.consume()
		g.forVariables(t.kind)
	case "await":
		g.expression()
		g.forCondition()
	default:
		if g.arrowAhead(t) {
			g.expression()
			g.forCondition()
			return
		}
		g.forExpression(t)
	}
}

func (g *grammar) forVariables(keyword tokenKind) {
	t := g.tok()
	if t.kind == "{" || t.kind == "[" {
		g.notSupported(t)
	}
	if !t.bindable() {
		g.fail()
	}
	g.forbidNames(t, "var")
	if g.peek(t).kind != "in" {
		g.l.refuseIn(true)
		g.forDeclarations(keyword)
		return
	}
	g.declare(t, declaredKind(keyword))
	g.node = nodeNone
	g.l.consume(2)
	g.expression()
	g.expect(")")
	g.loopBody()
}

// forDeclarations reads the list of `for (var a = 1, b;`.
func (g *grammar) forDeclarations(keyword tokenKind) {
	g.variables(keyword)
	g.forCondition()
}

// forExpression reads `for (left in object)` or `for (expression;`.
func (g *grammar) forExpression(first *lexToken) {
	if g.bounded(g.leftHandSide); g.node == nodeNone {
		g.l.refuseIn(true)
		g.expression()
		g.forCondition()
		return
	}
	if g.is("in") {
		g.forIn(first)
		return
	}
	g.l.refuseIn(true)
	if g.is("?") {
		g.must(func() {
			g.conditionalTail()
			g.assignmentTail()
		})
	} else {
		g.useLHS = true
		g.assignment()
	}
	for g.accept(",") {
		g.assignment()
	}
	g.forCondition()
}

func (g *grammar) forIn(first *lexToken) {
	if g.node != nodeName && g.node != nodeProperty {
		g.referenceError("Invalid left-hand side \"" + g.l.text(first) + "\" in for-in statement")
	}
	g.consume()
	g.must(g.expression)
	g.expect(")")
	g.node = nodeNone
	g.loopBody()
}

// forCondition reads on from the first semicolon.
func (g *grammar) forCondition() {
	t := g.tok()
	switch t.kind {
	case "of":
		g.notSupported(t)
	case ";":
	default:
		g.fail()
	}
	g.l.refuseIn(false)
	next := g.peek(t)
	g.node = nodeNone
	g.consume()
	if next.kind != ";" {
		g.expression()
	}
	g.forUpdate()
}

// forUpdate reads on from the second semicolon.
func (g *grammar) forUpdate() {
	g.expect(";")
	g.node = nodeNone
	if !g.is(")") {
		g.expression()
	}
	g.expect(")")
	g.node = nodeNone
	g.loopBody()
}
