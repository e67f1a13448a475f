package cfjs

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/grafana/sobek"
)

// parseJSON reads JSON by the engine's rules: 31 levels at most, its own words
// for faults, positions counted in characters. fault is "" on success.
//
// It replaces JSON.parse of our engine, which has other words, no bound on the
// depth, and takes longer.
func parseJSON(vm *sobek.Runtime, text string) (value sobek.Value, fault string) {
	p := &jsonParser{vm: vm, src: text, depth: maxDepth}
	p.space()
	if p.pos == len(text) {
		return nil, p.at("Unexpected end of input", p.pos)
	}
	if value = p.value(); p.fault != "" {
		return nil, p.fault
	}
	if p.space(); p.pos != len(text) {
		return nil, p.at("Unexpected token", p.pos)
	}
	return value, ""
}

type jsonParser struct {
	vm    *sobek.Runtime
	src   string
	pos   int
	depth int
	fault string
}

func (p *jsonParser) at(message string, pos int) string {
	return fmt.Sprintf("%s at position %d", message, utf8.RuneCountInString(p.src[:pos]))
}

func (p *jsonParser) fail(message string, pos int) sobek.Value {
	if p.fault == "" {
		p.fault = p.at(message, pos)
	}
	return nil
}

func (p *jsonParser) space() {
	for p.pos < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.pos]) >= 0 {
		p.pos++
	}
}

// end reports, and fails on, the end of the text behind white space.
func (p *jsonParser) end() bool {
	if p.space(); p.pos < len(p.src) {
		return false
	}
	p.fail("Unexpected end of input", p.pos)
	return true
}

func (p *jsonParser) value() sobek.Value {
	switch c := p.src[p.pos]; {
	case c == '{':
		return p.object()
	case c == '[':
		return p.array()
	case c == '"':
		return p.str()
	case c == '-' || isDigit(c):
		return p.number()
	}
	for literal, v := range map[string]any{"true": true, "false": false, "null": nil} {
		if strings.HasPrefix(p.src[p.pos:], literal) {
			p.pos += len(literal)
			return p.vm.ToValue(v)
		}
	}
	return p.fail("Unexpected token", p.pos)
}

func (p *jsonParser) enter() bool {
	if p.depth--; p.depth == 0 {
		p.fail("Nested too deep", p.pos)
		return false
	}
	return true
}

func (p *jsonParser) object() sobek.Value {
	if !p.enter() {
		return nil
	}
	o := p.vm.NewObject()
	for first := true; ; first = false {
		p.pos++
		if p.end() {
			return nil
		}
		if c := p.src[p.pos]; c == '}' && first {
			break
		} else if c == '}' {
			return p.fail("Trailing comma", p.pos-1)
		} else if c != '"' {
			return p.fail("Unexpected token", p.pos)
		}
		if !p.member(o) {
			return nil
		}
		if c := p.src[p.pos]; c == '}' {
			break
		} else if c != ',' {
			return p.fail("Unexpected token", p.pos)
		}
	}
	p.pos++
	p.depth++
	return o
}

func (p *jsonParser) member(o *sobek.Object) bool {
	name := p.str()
	if p.fault != "" {
		return false
	}
	if p.space(); p.pos == len(p.src) || p.src[p.pos] != ':' {
		p.fail("Unexpected token", p.pos)
		return false
	}
	if p.pos++; p.end() {
		return false
	}
	v := p.value()
	if p.fault != "" {
		return false
	}
	_ = o.DefineDataProperty(name.String(), v, sobek.FLAG_TRUE, sobek.FLAG_TRUE, sobek.FLAG_TRUE)
	return !p.end()
}

func (p *jsonParser) array() sobek.Value {
	if !p.enter() {
		return nil
	}
	elements := []any{}
	for {
		p.pos++
		if p.end() {
			return nil
		}
		if p.src[p.pos] == ']' {
			if len(elements) > 0 {
				return p.fail("Trailing comma", p.pos-1)
			}
			break
		}
		v := p.value()
		if p.fault != "" || p.end() {
			return nil
		}
		elements = append(elements, v)
		if c := p.src[p.pos]; c == ']' {
			break
		} else if c != ',' {
			return p.fail("Unexpected token", p.pos)
		}
	}
	p.pos++
	p.depth++
	return p.vm.NewArray(elements...)
}

// number reads digits as the engine does, which forgives a leading zero.
func (p *jsonParser) number() sobek.Value {
	start := p.pos
	if p.src[p.pos] == '-' {
		if p.pos+1 == len(p.src) {
			return p.fail("Unexpected number", p.pos)
		}
		p.pos++
	}
	digits := p.pos
	p.digits()
	if p.pos == digits {
		return p.fail("Unexpected number", p.pos)
	}
	if p.pos < len(p.src) && p.src[p.pos] == '.' {
		p.pos++
		p.digits()
	}
	if p.pos < len(p.src) && p.src[p.pos]|0x20 == 'e' {
		mark := p.pos
		p.pos++
		if p.pos < len(p.src) && (p.src[p.pos] == '+' || p.src[p.pos] == '-') {
			p.pos++
		}
		if p.digits() == 0 {
			p.pos = mark
		}
	}
	text := strings.TrimSuffix(p.src[start:p.pos], ".")
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && (n != 0 || text[0] != '-') && n < 1<<53 && n > -1<<53 {
		return p.vm.ToValue(n)
	}
	f, _ := strconv.ParseFloat(text, 64) // out of range gives ±Inf or 0, as it should
	return p.vm.ToValue(f)
}

func (p *jsonParser) digits() int {
	start := p.pos
	for p.pos < len(p.src) && isDigit(p.src[p.pos]) {
		p.pos++
	}
	return p.pos - start
}

// str reads a string whose opening quote is at pos.
func (p *jsonParser) str() sobek.Value {
	start := p.pos + 1
	escaped := false
	for i := start; i < len(p.src); i++ {
		switch c := p.src[i]; {
		case c == '"':
			p.pos = i + 1
			if escaped {
				return p.vm.ToValue(unescapeJSON(p.src[start:i]))
			}
			return p.vm.ToValue(p.src[start:i])
		case c < ' ':
			return p.fail("Forbidden source char", i)
		case c == '\\':
			escaped = true
			if i++; i == len(p.src) {
				return p.fail("Unexpected end of input", i)
			}
			if p.src[i] == 'u' {
				for range 4 {
					if i++; i == len(p.src) {
						return p.fail("Unexpected end of input", i)
					} else if !isHex(p.src[i]) {
						return p.fail("Invalid Unicode escape sequence", i)
					}
				}
			} else if strings.IndexByte(`"\/nrtbf`, p.src[i]) < 0 {
				return p.fail("Unknown escape char", i)
			}
		}
	}
	return p.fail("Unexpected end of input", len(p.src))
}

// unescapeJSON decodes escapes; half of a surrogate pair becomes U+FFFD.
func unescapeJSON(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		i++
		if at := strings.IndexByte("nrtbf", s[i]); at >= 0 {
			b = append(b, "\n\r\t\b\f"[at])
			continue
		}
		if s[i] != 'u' {
			b = append(b, s[i])
			continue
		}
		r := hexRune(s[i+1 : i+5])
		i += 4
		if utf16.IsSurrogate(r) && strings.HasPrefix(s[i+1:], `\u`) {
			if pair := utf16.DecodeRune(r, hexRune(s[i+3:i+7])); pair != utf8.RuneError {
				r = pair
				i += 6
			}
		}
		b = utf8.AppendRune(b, r)
	}
	return string(b)
}

func hexRune(s string) rune {
	n, _ := strconv.ParseUint(s, 16, 32)
	return rune(n)
}
