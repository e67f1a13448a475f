package cfjs

func (g *grammar) begin(kind scopeKind) { g.scope = newGrammarScope(g.scope, kind) }
func (g *grammar) end()                 { g.scope = g.scope.parent }

func (g *grammar) functionDeclaration(async bool) {
	g.consume()
	t := g.tok()
	if !t.bindable() {
		g.fail()
	}
	g.forbidNames(t, "function")
	g.consume()
	if !g.is("(") {
		g.fail()
	}
	g.consume()
	g.declare(t, functionVariable)
	g.begin(functionScope)
	g.scope.async = async
	g.functionRest()
}

func (g *grammar) functionExpression(async bool) {
	g.begin(functionScope)
	g.scope.async = async
	if t := g.tok(); t.bindable() {
		g.consume()
		g.scope.add(g.l.text(t), functionVariable, g.scope).self = true
	}
	g.expect("(")
	g.functionRest()
}

func (g *grammar) arrowFunction() {
	g.begin(functionScope)
	g.scope.arrow = true
	g.scope.async = g.accept("async")
	if t := g.tok(); t.bindable() {
		g.scope.add(g.l.text(t), varVariable, g.scope)
		g.consume()
	} else {
		g.expect("(")
		g.parameters()
		g.expect(")")
	}
	g.expect("=>")
	g.node = nodeNone
	if g.accept("{") {
		g.functionBody()
		return
	}
	g.assignment()
	g.end()
	g.node = nodeOther
}

// method reads a function behind its opening parenthesis and returns the
// number of its parameters.
func (g *grammar) method(async bool) int {
	g.begin(functionScope)
	g.scope.async = async
	g.node = nodeNone
	return g.functionRest()
}

func (g *grammar) functionRest() int {
	n := g.parameters()
	g.expect(")")
	g.expect("{")
	g.functionBody()
	return n
}

func (g *grammar) functionBody() {
	g.node = nodeNone
	if !g.is("}") {
		g.statementList()
	}
	if !g.is("}") {
		g.fail()
	}
	g.end()
	g.consume()
	g.node = nodeOther
}

func (g *grammar) parameters() (n int) {
	rest := false
	for {
		t := g.tok()
		switch {
		case t.kind == "...":
			if rest {
				g.fail()
			}
			g.consume()
			if !g.tok().bindable() {
				g.fail()
			}
			rest = true
			continue
		case t.kind == "{" || t.kind == "[":
			g.notSupported(t)
		case !t.bindable():
			return n
		}
		if v := g.scope.variables[g.l.text(t)]; v != nil && !v.self {
			g.syntaxError("Duplicate parameter names")
		}
		g.scope.add(g.l.text(t), varVariable, g.scope)
		n++
		g.consume()
		if !g.is(",") {
			return n
		}
		if rest {
			g.syntaxError("Rest parameter must be last formal parameter")
		}
		g.consume()
	}
}

func (g *grammar) arrayElements() {
	for {
		switch g.tok().kind {
		case "]":
			g.consume()
			return
		case ",":
			g.consume()
		case "...":
			g.fail()
		default:
			g.node = nodeNone
			g.must(g.assignment)
			if !g.accept(",") && !g.is("]") {
				g.fail()
			}
		}
	}
}

func (g *grammar) objectLiteral() {
	g.node = nodeNone
	proto := 0
	g.objectProperty(&proto)
	for g.accept(",") {
		g.objectProperty(&proto)
	}
	g.expect("}")
}

func (g *grammar) objectProperty(proto *int) {
	t := g.tok()
	next := func() tokenKind { return g.peek(t).kind }
	switch t.kind {
	case "}":
		return
	case "...":
		g.notSupported(t)
	case "[":
		g.consume()
		g.computedProperty(false)
	case kindString, kindEscaped, kindNumber:
		switch next() {
		case ":":
			g.namedValue(t, proto)
		case "(":
			g.l.consume(2)
			g.method(false)
		default:
			g.consume()
			g.fail()
		}
	case "async":
		g.asyncProperty(t, proto)
	default:
		g.identifierProperty(t, proto)
	}
}

func (g *grammar) identifierProperty(t *lexToken, proto *int) {
	if !t.identifierName() {
		g.reject()
	}
	switch next := g.peek(t); {
	case next.kind == ":":
		g.namedValue(t, proto)
	case next.kind == "(":
		g.l.consume(2)
		g.method(false)
	case t.reserved:
		g.consume()
		g.fail()
	case g.l.text(t) == "get" || g.l.text(t) == "set":
		g.accessor(t)
	default:
		g.shorthand()
	}
}

func (g *grammar) shorthand() {
	g.consume()
	if t := g.tok(); t.kind == "=" {
		g.notSupported(t)
	}
	g.node = nodeName
}

// namedValue reads `name: value`.
func (g *grammar) namedValue(t *lexToken, proto *int) {
	if t.kind == kindEscaped {
		if fault := escapeFault(g.l.src[t.start:t.end], g.node == nodeCall); fault != "" {
			g.syntaxError("%s", fault)
		}
	}
	isProto := g.l.text(t) == "__proto__"
	g.l.consume(2)
	g.node = nodeNone
	g.assignment()
	if isProto {
		if *proto++; *proto > 1 {
			g.syntaxError("Duplicate __proto__ fields are not allowed in object literals")
		}
	}
}

func (g *grammar) asyncProperty(t *lexToken, proto *int) {
	name := g.peek(t)
	switch {
	case name.kind == "[":
		g.l.consume(2)
		g.computedProperty(true)
		return
	case name.kind == ":":
		g.namedValue(t, proto)
		return
	case !name.identifierName():
		g.fail()
	}
	if g.peek(name).kind != "(" {
		g.consume()
		g.fail()
	}
	g.l.consume(3)
	g.method(true)
}

func (g *grammar) computedProperty(async bool) {
	g.assignment()
	g.expect("]")
	switch {
	case !async && g.accept(":"):
		g.node = nodeNone
		g.assignment()
	case g.accept("("):
		g.method(async)
	default:
		g.fail()
	}
}

// accessor reads a getter or setter, or a property that is only named so.
func (g *grammar) accessor(t *lexToken) {
	name := g.peek(t)
	switch {
	case name.kind == "[":
		g.l.consume(2)
		g.assignment()
		g.expect("]")
	case name.kind == kindString || name.kind == kindEscaped || name.kind == kindNumber || name.identifierName():
		g.l.consume(2)
	default:
		g.shorthand()
		return
	}
	g.expect("(")
	n := g.method(false)
	if g.l.text(t) == "get" && n != 0 {
		g.syntaxError("Getter must not have any formal parameters")
	}
	if g.l.text(t) == "set" && n != 1 {
		g.syntaxError("Setter must have exactly one formal parameter")
	}
}
