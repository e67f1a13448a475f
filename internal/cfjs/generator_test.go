package cfjs

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A generator writes random programs of what both engines share. It keeps to
// whole numbers and ASCII text, where the listed differences do not reach.
type generator struct {
	rng   *rand.Rand
	out   strings.Builder
	depth int
	next  int
	vars  map[string][]string // names by type: n(umber), s(tring), a(rray of numbers), o(bject)
}

func (g *generator) pick(choices ...string) string { return choices[g.rng.IntN(len(choices))] }

func (g *generator) fresh(kind string) string {
	g.next++
	return kind + strconv.Itoa(g.next)
}

func (g *generator) known(kind string) string {
	if names := g.vars[kind]; len(names) > 0 {
		return names[g.rng.IntN(len(names))]
	}
	switch kind {
	case "n":
		return strconv.Itoa(g.rng.IntN(20))
	case "s":
		return g.pick(`"abc"`, `'x-y'`, `""`, "`t`", `"A1b2"`)
	case "a":
		return g.pick("[1, 2, 3]", "[]", "[5, 4]")
	}
	return g.pick("{a: 1}", "{}", "{b: 2, c: 'x'}")
}

func (g *generator) expr(kind string) string {
	if g.depth > 4 {
		return g.known(kind)
	}
	g.depth++
	defer func() { g.depth-- }()
	switch kind {
	case "n":
		return g.number()
	case "s":
		return g.text()
	case "a":
		return g.array()
	}
	return g.object()
}

func (g *generator) number() string {
	switch g.rng.IntN(14) {
	case 0:
		return fmt.Sprintf("(%s %s %s | 0)", g.expr("n"), g.pick("+", "-", "*", "&", "|", "^"), g.expr("n"))
	case 1:
		return fmt.Sprintf("(%s %% 7)", g.expr("n"))
	case 2:
		return g.expr("s") + ".length"
	case 3:
		return g.expr("a") + ".length"
	case 4:
		return fmt.Sprintf("(%s ? %s : %s)", g.condition(), g.expr("n"), g.expr("n"))
	case 5:
		return fmt.Sprintf("parseInt(%s, 10)", g.expr("s"))
	case 6:
		return fmt.Sprintf("%s.indexOf(%s)", g.expr("s"), g.expr("s"))
	case 7:
		return fmt.Sprintf("%s.reduce((p, q) => p %s q | 0, %s)", g.expr("a"), g.pick("+", "-", "^"), g.expr("n"))
	case 8:
		return fmt.Sprintf("Math.%s(%s, %s)", g.pick("max", "min"), g.expr("n"), g.expr("n"))
	case 9:
		return fmt.Sprintf("(%s >> %d)", g.expr("n"), g.rng.IntN(5))
	case 10:
		return fmt.Sprintf("%s.charCodeAt(%s)", g.expr("s"), g.expr("n"))
	case 11:
		return fmt.Sprintf("Object.keys(%s).length", g.expr("o"))
	case 12:
		return fmt.Sprintf("(%s ?? %s)", g.pick("null", "undefined", g.expr("n")), g.expr("n"))
	}
	return g.known("n")
}

func (g *generator) text() string {
	switch g.rng.IntN(18) {
	case 0:
		return fmt.Sprintf("(%s + %s)", g.expr("s"), g.expr(g.pick("n", "s", "a")))
	case 1:
		return fmt.Sprintf("`<${%s}|${%s}>`", g.expr("n"), g.expr("s"))
	case 2:
		return fmt.Sprintf("%s.slice(%s, %s)", g.expr("s"), g.expr("n"), g.expr("n"))
	case 3:
		return fmt.Sprintf("%s.substring(%s)", g.expr("s"), g.expr("n"))
	case 4:
		return fmt.Sprintf("%s.replace(%s, %s)", g.expr("s"), g.pick("/[a-c]/g", "/\\d/", "'x'", "/(\\w)(\\w)/"), g.pick("'-'", "'$&$&'", "'[$1]'", "m => m.toUpperCase()"))
	case 5:
		return g.expr("s") + g.pick(".toUpperCase()", ".toLowerCase()", ".trim()", ".concat('q')", ".charAt(1)")
	case 6:
		return fmt.Sprintf("%s.join(%s)", g.expr("a"), g.known("s"))
	case 7:
		return fmt.Sprintf("String(%s)", g.expr(g.pick("n", "a", "s")))
	case 8:
		return fmt.Sprintf("%s.padStart(%d, %s)", g.expr("s"), g.rng.IntN(12), g.pick("'0'", "'ab'"))
	case 9:
		return fmt.Sprintf("%s.repeat(%d)", g.known("s"), g.rng.IntN(4))
	case 10:
		return fmt.Sprintf("encodeURIComponent(%s)", g.expr("s"))
	case 11:
		return fmt.Sprintf("JSON.stringify(%s)", g.expr("a"))
	case 12:
		return fmt.Sprintf("Buffer.from(%s).toString(%s)", g.expr("s"), g.pick("'hex'", "'base64'", "'base64url'"))
	case 13:
		return fmt.Sprintf("require('crypto').createHash('md5').update(%s).digest('hex')", g.expr("s"))
	case 14:
		return fmt.Sprintf("(typeof %s)", g.expr(g.pick("n", "s", "a", "o")))
	case 15:
		return fmt.Sprintf("%s.split(%s).reverse().join('')", g.expr("s"), g.pick("''", "'-'", "/\\d/"))
	case 16:
		return g.pick("event.request.uri", "event.request.method", "event.viewer.ip", "event.request.headers.host.value")
	}
	return g.known("s")
}

func (g *generator) array() string {
	switch g.rng.IntN(10) {
	case 0:
		return fmt.Sprintf("[%s, %s]", g.expr("n"), g.expr("n"))
	case 1:
		return fmt.Sprintf("%s.map(v => v %s %s | 0)", g.expr("a"), g.pick("+", "*", "-"), g.known("n"))
	case 2:
		return fmt.Sprintf("%s.filter(v => v > %s)", g.expr("a"), g.known("n"))
	case 3:
		return fmt.Sprintf("%s.concat(%s)", g.expr("a"), g.expr(g.pick("a", "n")))
	case 4:
		return fmt.Sprintf("%s.slice(%s)", g.expr("a"), g.expr("n"))
	case 5:
		// A comparator that answers NaN leaves the order to the engine.
		return fmt.Sprintf("%s.slice().sort((x, y) => (isNaN(x) ? 1 : 0) - (isNaN(y) ? 1 : 0) || x - y || 0)", g.expr("a"))
	case 6:
		return fmt.Sprintf("%s.slice().reverse()", g.expr("a"))
	case 7:
		return fmt.Sprintf("%s.split('').map(c => c.charCodeAt(0))", g.expr("s"))
	}
	return g.known("a")
}

func (g *generator) object() string {
	switch g.rng.IntN(6) {
	case 0:
		return fmt.Sprintf("{k: %s, [%s]: %s}", g.expr("n"), g.known("s"), g.expr("s"))
	case 1:
		return fmt.Sprintf("Object.assign({}, %s, {z: %s})", g.expr("o"), g.expr("a"))
	case 2:
		return fmt.Sprintf("JSON.parse(JSON.stringify(%s))", g.expr("o"))
	case 3:
		return "event.request.headers"
	}
	return g.known("o")
}

func (g *generator) condition() string {
	switch g.rng.IntN(7) {
	case 0:
		return fmt.Sprintf("%s %s %s", g.expr("n"), g.pick("<", ">", "<=", "===", "!==", "=="), g.expr("n"))
	case 1:
		return fmt.Sprintf("%s %s %s", g.expr("s"), g.pick("<", "===", "!=="), g.expr("s"))
	case 2:
		return fmt.Sprintf("%s.includes(%s)", g.expr("s"), g.expr("s"))
	case 3:
		return fmt.Sprintf("%s.test(%s)", g.pick("/^[a-z]+$/i", "/\\d{2}/", "/a|b/"), g.expr("s"))
	case 4:
		return fmt.Sprintf("(%s && %s)", g.condition(), g.condition())
	case 5:
		return fmt.Sprintf("!(%s || %s)", g.condition(), g.condition())
	}
	return fmt.Sprintf("'a' in %s", "("+g.expr("o")+")")
}

func (g *generator) line(format string, args ...any) {
	fmt.Fprintf(&g.out, strings.Repeat("  ", g.depth+1)+format+"\n", args...)
}

func (g *generator) statement() {
	switch g.rng.IntN(10) {
	case 0:
		g.line("if (%s) {", g.condition())
		g.block()
		g.line("} else {")
		g.block()
		g.line("}")
	case 1:
		i := g.fresh("i")
		g.line("for (let %s = 0; %s < %d; %s++) {", i, i, g.rng.IntN(5), i)
		g.block()
		g.line("}")
	case 2:
		g.line("try {")
		g.block()
		g.line("  %s", g.pick("throw new TypeError('t')", "null.x", ";({}).y.z", "throw 'plain'", "nothing()", "JSON.parse('{')"))
		e := g.fresh("e")
		g.line("} catch (%s) { out.push(String(%s)) }", e, e)
	case 3:
		g.line("switch (%s %% 3) { case 0: out.push('zero'); case 1: out.push('one'); break; default: out.push('more') }", g.expr("n"))
	case 4:
		f := g.fresh("f")
		g.line("function %s(p, q) { return p %s q | 0 }", f, g.pick("+", "-", "*"))
		g.line("out.push(%s(%s, %s))", f, g.expr("n"), g.expr("n"))
	case 5:
		g.line("for (const k in %s) { out.push(k) }", g.pick("{p: 1, q: 2}", "[7, 8]"))
	case 6:
		kind := g.pick("n", "s")
		if len(g.vars[kind]) > 0 {
			// Text stays short, or loops make it grow beyond all bounds.
			g.line("%s %s %s", g.known(kind), g.pick("=", "+="), g.expr(kind)+map[string]string{"s": ".slice(0, 9)"}[kind])
		}
	case 7:
		kind := g.pick("n", "s", "a", "o")
		name := g.fresh(kind)
		g.line("%s %s = %s", g.pick("let", "var"), name, g.expr(kind))
		if g.depth == 0 {
			g.vars[kind] = append(g.vars[kind], name)
		}
	default:
		g.line("out.push(%s)", g.expr(g.pick("n", "s", "a", "o")))
	}
}

func (g *generator) block() {
	g.depth++
	for range 1 + g.rng.IntN(2) {
		if g.depth < 4 {
			g.statement()
		}
	}
	g.depth--
}

func (g *generator) program() string {
	g.out.WriteString(g.pick("", "async ") + "function handler(event) {\n  const out = []\n")
	for range 3 + g.rng.IntN(8) {
		g.statement()
	}
	g.out.WriteString("  console.log(out.length)\n  return out\n}\n")
	return g.out.String()
}

// randomEvent is a viewer request with a few random entries.
func randomEvent(rng *rand.Rand) string {
	value := func() map[string]any { return map[string]any{"value": strconv.FormatUint(rng.Uint64(), 36)} }
	entries := func(names ...string) map[string]any {
		m := map[string]any{}
		for _, n := range names {
			if rng.IntN(2) == 0 {
				m[n] = value()
			}
		}
		return m
	}
	headers := entries("accept", "user-agent", "x-a")
	headers["host"] = map[string]any{"value": "example.com"}
	data, _ := json.Marshal(map[string]any{
		"version": "1.0", "context": map[string]any{"eventType": "viewer-request"}, "viewer": map[string]any{"ip": "192.0.2.1"},
		"request": map[string]any{"method": "GET", "uri": "/" + strconv.FormatUint(rng.Uint64(), 36), "headers": headers,
			"querystring": entries("a", "b"), "cookies": entries("c")},
	})
	return string(data)
}

func TestRandomProgramsAgreeWithNJS(t *testing.T) {
	njs := njsBinary(t)
	rng := seededRand(t)
	for i := range longer(80, 25) {
		g := &generator{rng: rng, vars: map[string][]string{}}
		code, event := g.program(), randomEvent(rng)
		ours, theirs := onCfjs(t, code, event, nil), onNJS(t, njs, code, event, nil)
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("program %d (-njs +ours)\n%s\n%s", i, code, diff)
		}
	}
}
