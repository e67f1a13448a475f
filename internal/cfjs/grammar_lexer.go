package cfjs

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A tokenKind is the text of a punctuator or keyword, or one of the kinds
// below for tokens whose text varies.
type tokenKind string

const (
	kindEnd          tokenKind = "<end>"
	kindEOL          tokenKind = "<eol>"
	kindName         tokenKind = "<name>"
	kindNumber       tokenKind = "<number>"
	kindString       tokenKind = "<string>"
	kindEscaped      tokenKind = "<string with escapes>"
	kindUnterminated tokenKind = "<unterminated string>"
	kindIllegal      tokenKind = "<illegal>"
	kindComment      tokenKind = "<comment>"
)

// keywords says of each word the grammar knows whether it is reserved. The
// others may still name variables.
var keywords = map[string]bool{
	"arguments": false, "async": false, "await": true, "break": true, "case": true, "catch": true, "class": true,
	"const": true, "continue": true, "debugger": true, "default": true, "delete": true, "do": true, "else": true,
	"enum": true, "eval": false, "export": true, "extends": true, "false": true, "finally": true, "for": true,
	"from": false, "function": true, "if": true, "implements": true, "import": true, "in": true, "instanceof": true,
	"interface": true, "let": true, "meta": false, "new": true, "null": true, "of": false, "package": true,
	"private": true, "protected": true, "public": true, "return": true, "static": true, "super": true, "switch": true,
	"target": false, "this": true, "throw": true, "true": true, "try": true, "typeof": true, "undefined": false,
	"var": true, "void": true, "while": true, "with": true, "yield": true,
}

// operators by first byte, longest first.
var operators = map[byte][]string{
	'=': {"===", "==", "=>", "="}, '+': {"++", "+=", "+"}, '-': {"--", "-=", "-"}, '*': {"**=", "**", "*=", "*"},
	'%': {"%=", "%"}, '&': {"&&", "&=", "&"}, '^': {"^=", "^"}, '|': {"||", "|=", "|"}, '!': {"!==", "!=", "!"},
	'<': {"<<=", "<<", "<=", "<"}, '>': {">>>=", ">>>", ">>=", ">>", ">=", ">"}, '?': {"??", "?"},
	'(': {"("}, ')': {")"}, '[': {"["}, ']': {"]"}, '{': {"{"}, '}': {"}"},
	',': {","}, ':': {":"}, ';': {";"}, '~': {"~"}, '`': {"`"},
}

// A lexToken is one token. Index counts tokens from the start of the source.
type lexToken struct {
	kind              tokenKind
	start, end, index int
	keyword, reserved bool
}

// bindable reports whether the token may name a variable.
func (t *lexToken) bindable() bool {
	return t.kind == kindName || t.kind == "yield" || t.kind == "await" || t.keyword && !t.reserved
}

// identifierName reports whether the token may follow a dot.
func (t *lexToken) identifierName() bool { return t.kind == kindName || t.keyword }

// A lexer cuts source text into tokens on demand, as far as the grammar looks
// ahead and no further: the line of an error is the line reached so far.
type lexer struct {
	src    string
	pos    int
	line   int
	tokens []*lexToken
	head   int       // index of the first token that is not consumed
	prev   tokenKind // kind before head; kindEOL when a line ended there
	in     []bool    // per open bracket: whether the operator `in` is refused
}

func newLexer(src string) *lexer {
	return &lexer{src: src, line: 1, in: []bool{false}}
}

// token returns the first token that is not consumed, without line ends
// unless withEOL.
func (l *lexer) token(withEOL bool) *lexToken {
	for i := l.head; ; i++ {
		t := l.at(i)
		if t.kind != kindEOL || withEOL {
			return t
		}
		l.prev = kindEOL
	}
}

// peek returns the token after t.
func (l *lexer) peek(t *lexToken, withEOL bool) *lexToken {
	for i := t.index + 1; ; i++ {
		if next := l.at(i); next.kind != kindEOL || withEOL {
			return next
		}
	}
}

// consume drops n tokens and the line ends between them.
func (l *lexer) consume(n int) {
	for n > 0 {
		t := l.at(l.head)
		l.prev = t.kind
		if t.kind != kindEOL {
			n--
		}
		l.head++
	}
}

func (l *lexer) at(i int) *lexToken {
	for len(l.tokens) <= i {
		t := l.next()
		for t.kind == kindComment {
			t = l.next()
		}
		t.index = len(l.tokens)
		l.tokens = append(l.tokens, t)
		switch t.kind {
		case "(", "[", "{":
			l.in = append(l.in, false)
		case ")", "]", "}":
			l.popIn()
		}
	}
	return l.tokens[i]
}

func (l *lexer) popIn() {
	if len(l.in) > 1 {
		l.in = l.in[:len(l.in)-1]
	}
}

func (l *lexer) refuseIn(refuse bool) { l.in[len(l.in)-1] = refuse }
func (l *lexer) inRefused() bool      { return l.in[len(l.in)-1] }
func (l *lexer) text(t *lexToken) string {
	return strings.ToValidUTF8(l.src[t.start:t.end], "\ufffd")
}

// next cuts one token, comments included.
func (l *lexer) next() *lexToken {
	l.skipSpace()
	t := &lexToken{start: l.pos, end: l.pos, kind: kindEnd}
	if l.pos >= len(l.src) {
		return t
	}
	c := l.src[l.pos]
	switch {
	case isWordByte(c) && (c < '0' || c > '9'):
		l.word(t)
	case c == '"' || c == '\'':
		l.str(t, c)
	case c >= '0' && c <= '9', c == '.' && l.pos+1 < len(l.src) && isDigit(l.src[l.pos+1]):
		l.number(t)
	case c == '.':
		l.dots(t)
	case c == '/':
		l.slash(t)
	case c == '\n':
		l.line++
		l.take(t, kindEOL, 1)
	default:
		l.operator(t, c)
	}
	return t
}

func (l *lexer) take(t *lexToken, kind tokenKind, n int) {
	l.pos = t.start + n
	t.kind, t.end = kind, l.pos
}

func (l *lexer) skipSpace() {
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r':
			l.pos++
		case c < 0x80:
			return
		default:
			r, n := utf8.DecodeRuneInString(l.src[l.pos:])
			if !isUnicodeSpace(r) {
				return
			}
			l.pos += n
		}
	}
}

func (l *lexer) operator(t *lexToken, c byte) {
	for _, op := range operators[c] {
		if strings.HasPrefix(l.src[l.pos:], op) {
			l.take(t, tokenKind(op), len(op))
			return
		}
	}
	_, n := utf8.DecodeRuneInString(l.src[l.pos:])
	l.take(t, kindIllegal, n)
	t.start = t.end - 1 // the engine names the last byte of a character it does not know
}

func (l *lexer) dots(t *lexToken) {
	if strings.HasPrefix(l.src[l.pos:], "...") {
		l.take(t, "...", 3)
		return
	}
	l.take(t, ".", 1)
}

func (l *lexer) slash(t *lexToken) {
	rest := l.src[l.pos+1:]
	switch {
	case strings.HasPrefix(rest, "/") && len(rest) > 1:
		n := strings.IndexByte(rest, '\n')
		if n < 0 {
			n = len(rest) - 1
		}
		l.line++
		l.take(t, kindEOL, n+2)
	case strings.HasPrefix(rest, "*"):
		n := strings.Index(rest[1:], "*/")
		if n < 0 {
			l.line += strings.Count(rest, "\n")
			l.take(t, kindIllegal, 2)
			return
		}
		l.line += strings.Count(rest[:n+1], "\n")
		l.take(t, kindComment, n+4)
	case strings.HasPrefix(rest, "="):
		l.take(t, "/=", 2)
	default:
		l.take(t, "/", 1)
	}
}

func (l *lexer) word(t *lexToken) {
	end := l.pos
	for end < len(l.src) && isWordByte(l.src[end]) {
		end++
	}
	word := l.src[l.pos:end]
	l.take(t, kindName, len(word))
	if reserved, ok := keywords[word]; ok {
		t.kind, t.keyword, t.reserved = tokenKind(word), true, reserved
	}
}

func (l *lexer) str(t *lexToken, quote byte) {
	t.kind = kindString
	for p := l.pos + 1; ; p++ {
		if p >= len(l.src) || l.src[p] == '\n' || l.src[p] == '\r' {
			t.kind, t.end, l.pos = kindUnterminated, min(p+1, len(l.src)), t.start+1
			return
		}
		switch l.src[p] {
		case '\\':
			t.kind = kindEscaped
			if p++; p+1 < len(l.src) && l.src[p] == '\r' && l.src[p+1] == '\n' {
				p++
			}
		case quote:
			// As in the engine, the text excludes the quotes.
			t.start, t.end, l.pos = t.start+1, p, p+1
			return
		}
	}
}

func (l *lexer) number(t *lexToken) {
	p := l.pos
	if l.src[p] == '0' && p+1 < len(l.src) {
		next := l.src[p+1]
		switch next | 0x20 {
		case 'x', 'o', 'b':
			l.prefixed(t, p+2, next|0x20)
			return
		}
		if isDigit(next) || next == '_' {
			l.illegalNumber(t, p+2)
			return
		}
	}
	p = l.digits(p, isDigit)
	if p < len(l.src) && l.src[p] == '.' {
		p = l.digits(p+1, isDigit)
	}
	if q := p; q < len(l.src) && l.src[q]|0x20 == 'e' {
		if q++; q < len(l.src) && (l.src[q] == '+' || l.src[q] == '-') {
			q++
		}
		if q < len(l.src) && isDigit(l.src[q]) {
			p = l.digits(q, isDigit)
		}
	}
	l.take(t, kindNumber, p-t.start)
}

func (l *lexer) prefixed(t *lexToken, p int, base byte) {
	if p >= len(l.src) {
		l.illegalNumber(t, p)
		return
	}
	accept := map[byte]func(byte) bool{'x': isHex, 'o': isOctal, 'b': isBinary}[base]
	p = l.digits(p, accept)
	if base != 'x' && p < len(l.src) && isDigit(l.src[p]) {
		l.illegalNumber(t, p+1)
		return
	}
	l.take(t, kindNumber, p-t.start)
}

// illegalNumber leaves pos behind the first digit, as the engine does.
func (l *lexer) illegalNumber(t *lexToken, end int) {
	t.kind, t.end = kindIllegal, end
	l.pos = t.start + 1
}

// digits skips digits with single underscores between them.
func (l *lexer) digits(p int, accept func(byte) bool) int {
	for p < len(l.src) && (accept(l.src[p]) || l.src[p] == '_' && p > 0 && accept(l.src[p-1])) {
		p++
	}
	if l.src[p-1] == '_' {
		p--
	}
	return p
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isOctal(c byte) bool  { return c >= '0' && c <= '7' }
func isBinary(c byte) bool { return c == '0' || c == '1' }
func isHex(c byte) bool    { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// isWordByte: names are ASCII in this engine; letters beyond are refused.
func isWordByte(c byte) bool {
	return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '$'
}

func isUnicodeSpace(r rune) bool {
	switch r {
	case 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000, 0xfeff:
		return true
	}
	return r >= 0x2000 && r <= 0x200a
}

// escapeFault returns what is wrong with the escapes of a string or template
// text, or "". Tagged templates may hold octal escapes.
func escapeFault(text string, tagged bool) string {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 >= len(text) {
			continue
		}
		i++
		switch c := text[i]; {
		case c == 'x' && !hexRun(text[i+1:], 2), c == 'u' && !unicodeEscape(text[i+1:]):
			return fmt.Sprintf("Invalid Unicode code point \"%s\"", text)
		case c >= '1' && c <= '7' && !tagged:
			return "Octal escape sequences can't be used in untagged template literals or in strict mode code"
		case (c == '8' || c == '9') && !tagged:
			return `The escapes \8 and \9 can't be used in untagged template literals or in strict mode code`
		}
	}
	return ""
}

func hexRun(s string, n int) bool {
	for i := range n {
		if i >= len(s) || !isHex(s[i]) {
			return false
		}
	}
	return true
}

func unicodeEscape(s string) bool {
	if !strings.HasPrefix(s, "{") {
		return hexRun(s, 4)
	}
	end := strings.IndexByte(s, '}')
	return end >= 2 && end <= 7 && hexRun(s[1:], end-1)
}
