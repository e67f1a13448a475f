package cfjs

import (
	"strconv"
	"strings"

	"github.com/grafana/sobek"
)

// querystringMethods: `import qs from 'querystring'`.
func querystringMethods() map[string]hostMethod {
	return map[string]hostMethod{
		"parse":     (*invocation).queryParse,
		"decode":    (*invocation).queryParse,
		"stringify": (*invocation).queryStringify,
		"encode":    (*invocation).queryStringify,
		"escape": func(inv *invocation, c sobek.FunctionCall) sobek.Value {
			return inv.vm.ToValue(queryEscape(c.Argument(0).String()))
		},
		"unescape": func(inv *invocation, c sobek.FunctionCall) sobek.Value {
			return inv.vm.ToValue(queryUnescape(c.Argument(0).String()))
		},
	}
}

// separator reads an optional argument; empty text means the default.
func separator(v sobek.Value, otherwise string) string {
	if present(v) {
		if s := v.String(); s != "" {
			return s
		}
	}
	return otherwise
}

// coder returns the function that a parse or stringify uses on each name and
// value: an option, or whatever the module's own function is now.
func (inv *invocation) coder(c sobek.FunctionCall, option, member string, native func(string) string) func(string) string {
	var f sobek.Value
	if options, ok := c.Argument(3).(*sobek.Object); ok {
		f = options.Get(option)
	}
	if f == nil && inv.program.features.reaches(member) {
		if this, ok := c.This.(*sobek.Object); ok {
			f = this.Get(member)
			if f == nil {
				return native
			}
		}
	}
	if f == nil {
		return native
	}
	call, ok := sobek.AssertFunction(f)
	if !ok {
		panic(inv.typeError("option " + option + " is not a function"))
	}
	return func(s string) string {
		v, err := call(sobek.Undefined(), inv.vm.ToValue(s))
		if err != nil {
			panic(err)
		}
		return v.String()
	}
}

// queryParse is parse(text, separator, equals, {decodeURIComponent, maxKeys}).
func (inv *invocation) queryParse(c sobek.FunctionCall) sobek.Value {
	text := ""
	if sobek.IsString(c.Argument(0)) {
		text = c.Argument(0).String()
	}
	sep, eq := separator(c.Argument(1), "&"), separator(c.Argument(2), "=")
	decode := inv.coder(c, "decodeURIComponent", "unescape", queryUnescape)
	maxKeys := int64(1000)
	if options, ok := c.Argument(3).(*sobek.Object); ok {
		if v := options.Get("maxKeys"); v != nil {
			maxKeys = v.ToInteger()
		}
	}
	result := inv.vm.CreateObject(nil)
	for n := int64(0); text != "" && (n != maxKeys || maxKeys == 0); n++ {
		var part string
		part, text, _ = strings.Cut(text, sep)
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, eq)
		addParameter(inv, result, decode(name), decode(value))
	}
	return result
}

func addParameter(inv *invocation, to *sobek.Object, name, value string) {
	switch before := to.Get(name).(type) {
	case nil:
		set(to, name, value)
	case *sobek.Object:
		set(before, strconv.FormatInt(before.Get("length").ToInteger(), 10), value)
	default:
		set(to, name, inv.vm.NewArray(before, value))
	}
}

// queryStringify is stringify(object, separator, equals, {encodeURIComponent}).
func (inv *invocation) queryStringify(c sobek.FunctionCall) sobek.Value {
	object, ok := c.Argument(0).(*sobek.Object)
	if !ok {
		return inv.vm.ToValue("")
	}
	sep, eq := separator(c.Argument(1), "&"), separator(c.Argument(2), "=")
	encode := inv.coder(c, "encodeURIComponent", "escape", queryEscape)
	var parts []string
	add := func(name string, v sobek.Value) {
		parts = append(parts, encode(name)+eq+encodeParameter(v, encode))
	}
	for _, name := range object.Keys() {
		v := object.Get(name)
		list, ok := v.(*sobek.Object)
		if !ok || !isArray(list) {
			add(name, v)
			continue
		}
		for i := range list.Get("length").ToInteger() {
			add(name, list.Get(strconv.FormatInt(i, 10)))
		}
	}
	return inv.vm.ToValue(strings.Join(parts, sep))
}

// encodeParameter: only text, booleans and finite numbers have a value.
func encodeParameter(v sobek.Value, encode func(string) string) string {
	if v == nil {
		return ""
	}
	if sobek.IsNumber(v) && (sobek.IsNaN(v) || sobek.IsInfinity(v)) {
		return ""
	}
	switch typeName(v) {
	case "string", "boolean", "number":
		return encode(v.String())
	}
	return ""
}

const queryUnreserved = "!'()*-._~"

func queryEscape(s string) string {
	var b []byte
	for i := range len(s) {
		c := s[i]
		if isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || strings.IndexByte(queryUnreserved, c) >= 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		}
	}
	return string(b)
}

// queryUnescape decodes %XX and "+"; malformed UTF-8 becomes U+FFFD, a "%"
// without two digits stays (documented, observed).
func queryUnescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b = append(b, ' ')
		case s[i] == '%' && hexRun(s[i+1:], 2):
			n, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			b = append(b, byte(n))
			i += 2
		default:
			b = append(b, s[i])
		}
	}
	return decodeUTF8(b)
}
