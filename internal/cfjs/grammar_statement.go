package cfjs

// statementList reads statements up to the token that cannot start one. The
// first is not a boundary for rejections, the others are (observed: this is
// how the engine ends the body of a case).
func (g *grammar) statementList() {
	if g.listEnd() {
		return
	}
	g.statementListItem()
	for scope := g.scope; !g.is("}") && !g.listEnd(); {
		if !g.bounded(g.statementListItem) {
			continue
		}
		if g.is("}") || g.scope != scope || scope.parent == nil {
			g.fail()
		}
		return
	}
}

// listEnd: the end of the source ends only the list of the whole program.
func (g *grammar) listEnd() bool { return g.scope.parent == nil && g.is(kindEnd) }

func (g *grammar) statementListItem() {
	if !g.declaration() {
		g.statement()
	}
}

func (g *grammar) declaration() bool {
	t := g.tok()
	switch t.kind {
	case "function":
		g.functionDeclaration(false)
	case "async":
		if g.l.peek(t, true).kind != "function" {
			return false
		}
		g.consume()
		g.functionDeclaration(true)
	case "class":
		g.notSupported(t)
	case "let", "const":
		next := g.peek(t)
		switch {
		case next.kind == "{" || next.kind == "[" || next.bindable() && !next.reserved:
			g.consume()
			g.variables(t.kind)
			g.semicolon()
		case next.reserved:
			g.consume()
			g.fail()
		default:
			return false
		}
	default:
		return false
	}
	return true
}

func (g *grammar) semicolon() {
	if g.accept(";") || g.is(kindEnd) || g.is("}") || g.l.prev == kindEOL {
		return
	}
	g.fail()
}

func (g *grammar) statement() {
	t := g.tok()
	switch t.kind {
	case kindEnd:
		g.reject()
	case "export":
		g.consume()
		g.syntaxError("Illegal export statement")
	case "import":
		g.consume()
		g.importStatement()
	default:
		g.plainStatement()
	}
}

func (g *grammar) plainStatement() {
	t := g.tok()
	switch t.kind {
	case ";":
		g.consume()
	case "{":
		g.consume()
		g.block()
	case "var":
		g.consume()
		g.variables("var")
		g.semicolon()
	case "if":
		g.ifStatement()
	case "do", "while", "for":
		g.loop(t.kind)
	case "switch":
		g.switchStatement()
	case "continue", "break":
		g.branch(t)
	case "return":
		g.returnStatement()
	case "throw":
		g.throwStatement()
	case "try":
		g.tryStatement()
	case "with":
		g.consume()
		g.notSupported(g.tok())
	case "debugger":
		g.consume()
		if !g.is(";") && !g.is(kindEnd) {
			g.fail()
		}
		g.consume()
	case kindEnd:
		g.fail()
	default:
		if t.bindable() && g.peek(t).kind == ":" {
			g.labelled(t)
			return
		}
		g.expressionStatement()
	}
}

func (g *grammar) expressionStatement() {
	t := g.tok()
	switch t.kind {
	case "function":
		g.syntaxError("Functions can only be declared at top level or inside a block")
	case "class":
		g.syntaxError("Class can only be declared at top level or inside a block")
	case "{":
		g.reject()
	case "async":
		if g.l.peek(t, true).kind == "function" {
			g.notSupported(t)
		}
	case "let", "const":
		switch g.peek(t).kind {
		case kindName:
			g.syntaxError("%s declaration cannot appear in a single-statement context", t.kind)
		case "[":
			g.fail()
		}
	}
	g.node = nodeNone
	g.expression()
	g.semicolon()
}

// block reads a block behind its opening brace.
func (g *grammar) block() {
	g.begin(blockScope)
	g.blockRest()
}

func (g *grammar) blockRest() {
	g.inheritFlow()
	g.node = nodeNone
	if !g.is("}") {
		g.must(g.statementList)
	}
	if !g.is("}") {
		g.fail()
	}
	g.end()
	g.consume()
	g.node = nodeOther
}

// inheritFlow carries the loops around a block into it.
func (g *grammar) inheritFlow() {
	g.scope.loops, g.scope.switches = g.scope.parent.loops, g.scope.parent.switches
}

// variables reads the declarations behind var, let or const.
func (g *grammar) variables(keyword tokenKind) {
	for {
		t := g.tok()
		if t.kind == "{" || t.kind == "[" {
			g.consume()
			g.notSupported(g.tok())
		}
		if !t.bindable() {
			g.fail()
		}
		g.forbidNames(t, "var")
		g.declare(t, declaredKind(keyword))
		g.consume()
		if g.accept("=") {
			g.node = nodeNone
			g.assignment()
		} else if keyword == "const" {
			g.later(&syntaxFault{class: "SyntaxError", message: "missing initializer in const declaration", offset: t.start})
		}
		g.node = nodeOther
		if !g.accept(",") {
			return
		}
	}
}

func declaredKind(keyword tokenKind) variableKind {
	if keyword == "var" {
		return varVariable
	}
	return letVariable
}

func (g *grammar) parenthesized() {
	g.expect("(")
	g.node = nodeNone
	g.must(g.expression)
	g.expect(")")
}

func (g *grammar) ifStatement() {
	g.consume()
	g.expect("(")
	g.node = nodeNone
	g.expression()
	g.expect(")")
	g.plainStatement()
	if g.accept("else") {
		g.plainStatement()
	}
}

func (g *grammar) switchStatement() {
	g.consume()
	g.parenthesized()
	g.expect("{")
	g.begin(blockScope)
	g.inheritFlow()
	g.scope.switches++
	hasDefault := false
	for !g.accept("}") {
		g.node = nodeNone
		switch {
		case g.accept("case"):
			g.expression()
		case g.is("default"):
			if hasDefault {
				g.syntaxError("More than one default clause in switch statement")
			}
			hasDefault = true
			g.consume()
		default:
			g.fail()
		}
		g.expect(":")
		if !g.is("case") && !g.is("default") && !g.is("}") {
			g.statementList()
		}
	}
	g.end()
}

func (g *grammar) branch(t *lexToken) {
	g.consume()
	next := g.tok()
	labelled := false
	switch {
	case next.kind == ";":
		g.consume()
	case next.bindable():
		if g.l.prev == kindEOL {
			break
		}
		if !g.scope.label(g.l.text(next)) {
			g.syntaxError("Undefined label \"%s\"", g.l.text(next))
		}
		labelled = true
		g.consume()
	case next.kind != kindEnd && next.kind != "}" && g.l.prev != kindEOL:
		g.fail()
	}
	inside := g.scope.loops > 0 || t.kind == "break" && g.scope.switches > 0
	if !inside && !labelled {
		f := g.faultAt(t, "Illegal "+string(t.kind)+" statement")
		f.line = g.lineOf(t)
		g.later(f)
	}
}

// lineOf is the line of a token, for faults found after parsing.
func (g *grammar) lineOf(t *lexToken) int {
	line := 1
	for i := range t.start {
		if g.l.src[i] == '\n' {
			line++
		}
	}
	return line
}

func (g *grammar) returnStatement() {
	if !g.scope.insideFunction() {
		g.consume()
		g.tok()
		g.syntaxError("Illegal return statement")
	}
	g.consume()
	if g.accept(";") {
		return
	}
	if g.tok(); g.l.prev == kindEOL {
		return
	}
	g.node = nodeNone
	// The engine takes whatever it cannot read here for the end of the statement.
	if !g.bounded(g.expression) {
		g.semicolon()
	}
}

func (g *grammar) throwStatement() {
	g.consume()
	if g.tok(); g.l.prev == kindEOL {
		g.syntaxError("Illegal newline after throw")
	}
	g.node = nodeNone
	g.expression()
	g.semicolon()
}

func (g *grammar) tryStatement() {
	g.consume()
	g.expect("{")
	g.block()
	if g.finally() {
		return
	}
	if !g.accept("catch") {
		g.syntaxError("Missing catch or finally after try")
	}
	g.begin(blockScope)
	if t := g.tok(); t.kind != "(" {
		g.notSupported(t)
	}
	g.consume()
	t := g.tok()
	if !t.bindable() {
		if t.kind != "{" {
			g.fail()
		}
		g.notSupported(t)
	}
	g.declare(t, catchVariable)
	g.consume()
	g.expect(")")
	g.expect("{")
	g.blockRest()
	g.finally()
}

func (g *grammar) finally() bool {
	if !g.accept("finally") {
		return false
	}
	g.must(func() {
		g.expect("{")
		g.block()
	})
	return true
}

func (g *grammar) labelled(t *lexToken) {
	name := g.l.text(t)
	if g.scope.label(name) {
		g.syntaxError("Label \"%s\" has already been declared", name)
	}
	owner := g.scope
	owner.setLabel(name, true)
	g.l.consume(2)
	if g.is("function") {
		panic(&syntaxFault{class: "SyntaxError", offset: g.tok().start,
			message: "In strict mode code, functions can only be declared at top level or inside a block."})
	}
	g.node = nodeNone
	g.plainStatement()
	// A label of nothing but a semicolon stays known (observed).
	owner.setLabel(name, g.node == nodeNone)
}

func (g *grammar) importStatement() {
	if g.scope.parent != nil {
		g.syntaxError("Illegal import statement")
	}
	t := g.tok()
	if t.kind != kindName {
		g.syntaxError("Non-default import is not supported")
	}
	g.declare(t, letVariable)
	g.consume()
	g.expect("from")
	name := g.tok()
	if name.kind != kindString {
		g.fail()
	}
	if module := g.l.text(name); !g.modules[module] {
		g.syntaxError("Cannot find module \"%s\"", module)
	}
	g.consume()
	g.semicolon()
}
