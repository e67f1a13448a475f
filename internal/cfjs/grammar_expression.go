package cfjs

import "strings"

func (g *grammar) expression() {
	g.assignment()
	for g.accept(",") {
		g.assignment()
		g.node = nodeOther
	}
}

func (g *grammar) assignment() {
	if !g.useLHS && g.arrowAhead(g.tok()) {
		g.arrowFunction()
		return
	}
	g.conditional()
	g.assignmentTail()
}

func (g *grammar) assignmentTail() {
	switch g.tok().kind {
	case "=", "*=", "/=", "%=", "+=", "-=", "<<=", ">>=", ">>>=", "&=", "^=", "|=", "**=":
	default:
		return
	}
	switch g.node {
	case nodeName, nodeProperty:
	case nodeArguments:
		g.syntaxError("Identifier \"arguments\" is forbidden as left-hand in assignment")
	case nodeEval:
		g.syntaxError("Identifier \"eval\" is forbidden as left-hand in assignment")
	default:
		g.referenceError("Invalid left-hand side in assignment")
	}
	g.consume()
	g.assignment()
	g.node = nodeOther
}

// arrowAhead looks whether an arrow function starts at t.
func (g *grammar) arrowAhead(t *lexToken) bool {
	if t.kind == "async" {
		t = g.l.peek(t, true)
	}
	if !t.bindable() {
		if t.kind != "(" {
			return false
		}
		rest := false
		for t = g.peek(t); t.kind != ")"; {
			if rest {
				return false
			}
			if t.kind == "..." {
				rest = true
				t = g.peek(t)
			}
			if !t.bindable() {
				return false
			}
			if t = g.peek(t); t.kind == "," {
				t = g.peek(t)
			}
		}
	}
	return g.l.peek(t, true).kind == "=>"
}

func (g *grammar) conditional() {
	g.binary(len(precedence) - 1)
	for g.is("??") {
		if g.l.prev != ")" && g.node == nodeLogical {
			g.fail()
		}
		g.consume()
		g.binary(bitwiseOr)
	}
	if g.is("?") {
		g.conditionalTail()
	}
}

func (g *grammar) conditionalTail() {
	g.consume()
	g.assignment()
	if !g.is(":") {
		g.fail()
	}
	g.l.popIn()
	g.consume()
	g.assignment()
	g.node = nodeOther
}

// precedence lists binary operators, tightest first.
var precedence = [][]tokenKind{
	{"*", "/", "%"}, {"+", "-"}, {">>", "<<", ">>>"}, {"<", ">", "<=", ">=", "instanceof", "in"},
	{"==", "!=", "===", "!=="}, {"&"}, {"^"}, {"|"}, {"&&"}, {"||"},
}

const bitwiseOr = 7

func (g *grammar) binary(level int) {
	if level < 0 {
		g.exponentiation()
		return
	}
	g.binary(level - 1)
	for {
		kind := g.tok().kind
		if !containsKind(precedence[level], kind) {
			return
		}
		if kind == "in" && g.l.inRefused() {
			g.syntaxError("Invalid left-hand side in for-loop")
		}
		g.consume()
		g.binary(level - 1)
		g.node = nodeOther
		if level > bitwiseOr {
			g.node = nodeLogical
		}
	}
}

func containsKind(kinds []tokenKind, kind tokenKind) bool {
	for _, k := range kinds {
		if k == kind {
			return true
		}
	}
	return false
}

func (g *grammar) exponentiation() {
	if g.useLHS {
		g.useLHS = false
		g.postfix()
		return
	}
	g.unary(false)
}

// unary reads one operand; nested is set below another unary operator, where
// an exponent would be ambiguous.
func (g *grammar) unary(nested bool) {
	operator := g.tok().kind
	switch operator {
	case "delete", "void", "typeof", "+", "-", "~", "!":
		g.consume()
		g.unary(true)
		if g.is("**") {
			g.syntaxError("Either left-hand side or entire exponentiation must be parenthesized")
		}
		if operator == "delete" && g.node == nodeName {
			g.syntaxError("Delete of an unqualified identifier")
		}
		if g.node != nodeNumber || operator != "-" && operator != "+" {
			g.node = nodeOther
		}
	case "await":
		g.await()
	default:
		g.update()
		if !nested && g.accept("**") {
			g.exponentiation()
			g.node = nodeOther
		}
	}
}

func (g *grammar) await() {
	if !g.scope.function().async {
		g.syntaxError("await is only valid in async functions")
	}
	if g.scope.inArgs {
		g.syntaxError("%s", awaitInArguments)
	}
	g.consume()
	g.node = nodeNone
	g.must(func() { g.unary(false) })
	g.node = nodeOther
}

func (g *grammar) update() {
	if !g.accept("++") && !g.accept("--") {
		g.leftHandSide()
		g.postfix()
		return
	}
	g.leftHandSide()
	if g.node != nodeName && g.node != nodeProperty {
		g.referenceError("Invalid left-hand side in prefix operation")
	}
	g.node = nodeOther
}

func (g *grammar) postfix() {
	if !g.is("++") && !g.is("--") || g.l.prev == kindEOL {
		return
	}
	g.consume()
	if g.node != nodeName && g.node != nodeProperty {
		g.referenceError("Invalid left-hand side in postfix operation")
	}
	g.node = nodeOther
}

func (g *grammar) leftHandSide() {
	t := g.tok()
	if t.kind == "new" && g.peek(t).kind == "new" {
		g.consume()
		g.newExpression()
	} else {
		g.member()
	}
	switch g.tok().kind {
	case "(":
		g.call()
		if g.is("?") {
			g.optionalChain()
			return
		}
		for g.is("(") || g.property() {
			if g.is("(") {
				g.call()
			}
		}
	case "?":
		g.optionalChain()
	}
}

// optionalChain: the engine starts to read `?.` and then finds no way on, so
// the error names what follows the chain.
func (g *grammar) optionalChain() {
	for {
		t := g.tok()
		if t.kind != "?" || g.peek(t).kind != "." {
			return
		}
		g.consume()
		if !g.peek(g.tok()).identifierName() {
			g.consume()
			g.fail()
		}
		g.l.consume(2)
		if t = g.tok(); t.kind != "?" || g.peek(t).kind != "." {
			g.fail()
		}
	}
}

func (g *grammar) call() {
	g.consume()
	g.node = nodeCall
	g.arguments()
	g.node = nodeCall
}

func (g *grammar) arguments() {
	if g.accept(")") {
		return
	}
	g.scope.inArgs = true
	for {
		g.assignment()
		if !g.accept(",") || g.is(")") {
			break
		}
	}
	g.scope.inArgs = false
	g.expect(")")
}

func (g *grammar) newExpression() {
	if g.accept("new") {
		g.newExpression()
		if g.is("(") {
			g.call()
		}
		return
	}
	g.memberNew()
}

func (g *grammar) member() {
	t := g.tok()
	switch t.kind {
	case "super", "import":
		g.notSupported(t)
	case "new":
		g.consume()
		g.memberNew()
	default:
		g.primary()
	}
	for g.property() {
	}
}

func (g *grammar) memberNew() {
	t := g.tok()
	switch t.kind {
	case ".":
		g.fail()
	case "super", "import":
		g.notSupported(t)
	}
	g.primary()
	for g.property() {
	}
	if g.is("(") {
		g.call()
	}
	g.node = nodeOther
}

// property reads one `.name`, `[expression]` or template behind an operand.
func (g *grammar) property() bool {
	t := g.tok()
	switch t.kind {
	case "[":
		g.node = nodeNone
		g.consume()
		g.expression()
		g.expect("]")
		g.node = nodeProperty
	case ".":
		if !g.peek(t).identifierName() {
			g.consume()
			g.fail()
		}
		g.l.consume(2)
		g.node = nodeProperty
	case "`":
		g.template(true)
	default:
		return false
	}
	return true
}

func (g *grammar) primary() {
	t := g.tok()
	switch t.kind {
	case kindNumber:
		g.consume()
		g.node = nodeNumber
		return
	case kindEscaped:
		// Behind a call the engine takes any string for a tagged template's.
		if fault := escapeFault(g.l.src[t.start:t.end], g.node == nodeCall); fault != "" {
			g.syntaxError("%s", fault)
		}
		g.consume()
	case kindUnterminated:
		g.syntaxError("Unterminated string \"%s\"", g.l.text(t))
	case "[":
		g.consume()
		g.arrayElements()
	case "{":
		g.consume()
		g.objectLiteral()
	case "function":
		g.functionOperand(t, false)
	case "class":
		g.notSupported(t)
	case "async":
		if g.l.peek(t, true).kind != "function" {
			g.reference(t)
			return
		}
		g.consume()
		g.functionOperand(g.tok(), true)
	case "/", "/=":
		g.regexp(t)
	case "`":
		g.template(false)
	case "(":
		g.consume()
		g.node = nodeNone
		g.must(g.expression)
		g.expect(")")
		return
	case kindString, "true", "false":
		g.consume()
	default:
		g.reference(t)
		return
	}
	g.node = nodeOther
}

func (g *grammar) functionOperand(t *lexToken, async bool) {
	next := g.peek(t)
	g.consume()
	if next.kind == "*" {
		g.notSupported(next)
	}
	g.functionExpression(async)
}

func (g *grammar) reference(t *lexToken) {
	switch {
	case t.kind == "this" || t.kind == "null":
		g.node = nodeOther
	case t.kind == "arguments":
		if !g.scope.hasArguments() {
			g.syntaxError("\"arguments\" object in global scope")
		}
		g.node = nodeArguments
	case t.kind == "eval":
		g.node = nodeEval
	case t.bindable():
		g.node = nodeName
	default:
		g.reject()
	}
	g.consume()
}

func (g *grammar) template(tagged bool) {
	from := g.tok().start + 1
	for g.templateText(from, tagged) {
		g.node = nodeNone
		g.must(g.expression)
		if !g.is("}") {
			g.syntaxError("Missing \"}\" in template expression")
		}
		from = g.tok().start + 1
	}
	g.node = nodeOther
}

// regexp reads a literal behind the token `/` or `/=`.
func (g *grammar) regexp(t *lexToken) {
	l := g.l
	l.pos = t.start + 1
	class := false
	for p := l.pos; ; p++ {
		if p >= len(l.src) || l.src[p] == '\n' || l.src[p] == '\r' {
			g.syntaxError("Unterminated RegExp \"%s\"", l.src[t.start:min(p, len(l.src))])
		}
		switch c := l.src[p]; {
		case c == '\\':
			if p++; p >= len(l.src) || l.src[p] == '\n' || l.src[p] == '\r' {
				g.syntaxError("Unterminated RegExp \"%s\"", l.src[t.start:min(p, len(l.src))])
			}
		case c == '[':
			class = true
		case c == ']':
			class = false
		case c == '/' && !class:
			g.regexpFlags(p + 1)
			return
		}
	}
}

func (g *grammar) regexpFlags(start int) {
	l, seen := g.l, ""
	p := start
	for ; p < len(l.src) && l.src[p] >= 'a' && l.src[p] <= 'z'; p++ {
		if c := string(l.src[p]); !strings.Contains("gimy", c) || strings.Contains(seen, c) {
			g.syntaxError("Invalid RegExp flags \"%s\"", l.src[start:p+1])
		}
		seen += string(l.src[p])
	}
	l.pos = p
	g.consume()
}
