package cfjs

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/grafana/sobek"
)

// A byteEncoding turns text into bytes and back, by the engine's lenient rules:
// decoding stops at the first character that does not belong (observed).
type byteEncoding struct {
	decode func(string) []byte
	encode func([]byte) string
}

var byteEncodings = map[string]byteEncoding{
	"utf8":      {func(s string) []byte { return []byte(s) }, decodeUTF8},
	"utf-8":     {func(s string) []byte { return []byte(s) }, decodeUTF8},
	"hex":       {decodeHex, hex.EncodeToString},
	"base64":    {func(s string) []byte { return decodeBase64(s, base64.RawStdEncoding) }, base64.StdEncoding.EncodeToString},
	"base64url": {func(s string) []byte { return decodeBase64(s, base64.RawURLEncoding) }, base64.RawURLEncoding.EncodeToString},
}

// encodingOf reads the argument that names an encoding; it may be left out.
func (inv *invocation) encodingOf(v sobek.Value) byteEncoding {
	if sobek.IsUndefined(v) {
		return byteEncodings["utf8"]
	}
	if !sobek.IsString(v) {
		panic(inv.typeError("encoding must be a string"))
	}
	e, ok := byteEncodings[v.String()]
	if !ok {
		panic(inv.typeError(`"` + v.String() + `" encoding is not supported`))
	}
	return e
}

// decodeUTF8 replaces each malformed sequence by one U+FFFD, as the WHATWG
// decoder counts them: a sequence that stops early is one, not one per byte.
func decodeUTF8(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	out := make([]byte, 0, len(b)+8)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			n = malformedLength(b)
		}
		out = utf8.AppendRune(out, r)
		b = b[n:]
	}
	return string(out)
}

// malformedLength is how many bytes at the start of b could begin a character
// but do not complete one; at least 1.
func malformedLength(b []byte) int {
	need, low, high := 0, byte(0x80), byte(0xbf)
	switch c := b[0]; {
	case c >= 0xc2 && c <= 0xdf:
		need = 1
	case c >= 0xe0 && c <= 0xef:
		need = 2
		if c == 0xe0 {
			low = 0xa0
		} else if c == 0xed {
			high = 0x9f
		}
	case c >= 0xf0 && c <= 0xf4:
		need = 3
		if c == 0xf0 {
			low = 0x90
		} else if c == 0xf4 {
			high = 0x8f
		}
	}
	n := 1
	for n <= need && n < len(b) && b[n] >= low && b[n] <= high {
		n++
		low, high = 0x80, 0xbf
	}
	return n
}

func decodeHex(s string) []byte {
	n := 0
	for n < len(s) && isHex(s[n]) {
		n++
	}
	b, _ := hex.DecodeString(s[:n&^1])
	return b
}

func decodeBase64(s string, e *base64.Encoding) []byte {
	n := 0
	for n < len(s) && isBase64Byte(s[n], e == base64.RawURLEncoding) {
		n++
	}
	if n%4 == 1 {
		n--
	}
	b, _ := e.DecodeString(s[:n])
	return b
}

func isBase64Byte(c byte, url bool) bool {
	switch {
	case isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z':
		return true
	case url:
		return c == '-' || c == '_'
	}
	return c == '+' || c == '/'
}

// typeName is the engine's word for the type of a value.
func typeName(v sobek.Value) string {
	switch {
	case v == nil || sobek.IsUndefined(v):
		return "undefined"
	case sobek.IsNull(v):
		return "null"
	case sobek.IsString(v):
		return "string"
	case sobek.IsNumber(v):
		return "number"
	}
	o, ok := v.(*sobek.Object)
	if !ok {
		if _, ok := v.(*sobek.Symbol); ok {
			return "symbol"
		}
		return "boolean"
	}
	switch class := o.ClassName(); class {
	case "Array", "Function", "RegExp", "Date":
		return strings.ToLower(class)
	case "String", "Number", "Boolean", "Symbol":
		return "object " + strings.ToLower(class)
	}
	return "object"
}
