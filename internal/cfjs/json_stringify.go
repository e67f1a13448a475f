package cfjs

import (
	"strconv"
	"strings"

	"github.com/grafana/sobek"
)

// jsonAmendment replaces JSON's functions: the engine goes 31 levels deep and
// has words of its own (observed), and our engine's have no bound.
func jsonAmendment() amendment {
	return amendment{[]string{"JSON"}, func(inv *invocation) {
		object := inv.global("JSON")
		define(object, "parse", inv.function(inv.jsonParse))
		define(object, "stringify", inv.function(inv.jsonStringify))
	}}
}

const errTooDeep = "Nested too deep or a cyclic structure"

func (inv *invocation) jsonParse(c sobek.FunctionCall) sobek.Value {
	v, fault := parseJSON(inv.vm, c.Argument(0).String())
	if fault != "" {
		panic(inv.newError("SyntaxError", fault))
	}
	if reviver, ok := c.Argument(1).(*sobek.Object); ok && isFunction(reviver) {
		holder := inv.vm.NewObject()
		set(holder, "", v)
		return inv.revive(reviver, holder, "", 0)
	}
	return v
}

// revive calls the reviver on every value, innermost first.
func (inv *invocation) revive(reviver, holder *sobek.Object, name string, depth int) sobek.Value {
	if depth >= maxDepth {
		panic(inv.typeError(errTooDeep))
	}
	v := holder.Get(name)
	if o, ok := v.(*sobek.Object); ok {
		for _, key := range o.Keys() {
			if kept := inv.revive(reviver, o, key, depth+1); sobek.IsUndefined(kept) {
				_ = o.Delete(key)
			} else {
				set(o, key, kept)
			}
		}
	}
	return inv.call2(reviver, holder, inv.vm.ToValue(name), v)
}

// call2 calls a function from inside a call of the host.
func (inv *invocation) call2(f sobek.Value, this sobek.Value, args ...sobek.Value) sobek.Value {
	call, ok := sobek.AssertFunction(f)
	if !ok {
		panic(inv.typeError(typeName(f) + " is not a function"))
	}
	v, err := call(this, args...)
	if err != nil {
		panic(err)
	}
	return v
}

// A jsonWriter is one call of JSON.stringify.
type jsonWriter struct {
	inv      *invocation
	out      []byte
	gap      string
	replacer sobek.Value     // a function, or nil
	only     []string        // the property list of a replacer that is an array
	path     []*sobek.Object // objects being written
	full     bool
}

func (inv *invocation) jsonStringify(c sobek.FunctionCall) sobek.Value {
	w := &jsonWriter{inv: inv, gap: jsonGap(c.Argument(2))}
	if o, ok := c.Argument(1).(*sobek.Object); ok {
		switch {
		case isFunction(o):
			w.replacer = o
		case isArray(o):
			w.only = propertyList(o)
		}
	}
	var holder *sobek.Object
	if w.replacer != nil {
		holder = inv.vm.NewObject()
		set(holder, "", c.Argument(0))
	}
	if !w.property(holder, "", c.Argument(0)) {
		return sobek.Undefined()
	}
	if w.full {
		return inv.exceeded()
	}
	return inv.vm.ToValue(string(w.out))
}

// jsonGap is the indentation: up to ten spaces or characters.
func jsonGap(v sobek.Value) string {
	switch {
	case sobek.IsNumber(v):
		return strings.Repeat(" ", int(min(max(v.ToInteger(), 0), 10)))
	case sobek.IsString(v):
		s := v.String()
		return s[:min(len(s), 10)]
	}
	return ""
}

func propertyList(o *sobek.Object) []string {
	list := []string{}
	seen := map[string]bool{}
	for _, index := range o.Keys() {
		name := o.Get(index)
		if sobek.IsString(name) || sobek.IsNumber(name) {
			if s := name.String(); !seen[s] {
				seen[s] = true
				list = append(list, s)
			}
		}
	}
	return list
}

// property writes one value and reports whether there was one to write.
func (w *jsonWriter) property(holder *sobek.Object, name string, v sobek.Value) bool {
	if o, ok := v.(*sobek.Object); ok {
		if f, ok := o.Get("toJSON").(*sobek.Object); ok && isFunction(f) {
			v = w.inv.call2(f, o, w.inv.vm.ToValue(name))
		}
	}
	if w.replacer != nil {
		v = w.inv.call2(w.replacer, holder, w.inv.vm.ToValue(name), v)
	}
	if len(w.out) > maxStringLength || w.inv.over.Load() {
		w.full = true
		w.inv.exceeded()
	}
	if w.full {
		return true
	}
	switch v := v.(type) {
	case nil:
		return false
	case *sobek.Object:
		return w.object(v)
	case sobek.String:
		w.out = appendJSONString(w.out, v.String())
		return true
	}
	return w.primitive(v)
}

func (w *jsonWriter) primitive(v sobek.Value) bool {
	switch typeName(v) {
	case "undefined", "symbol":
		return false
	case "number":
		if sobek.IsNaN(v) || sobek.IsInfinity(v) {
			w.out = append(w.out, "null"...)
			return true
		}
	}
	w.out = append(w.out, v.String()...)
	return true
}

func (w *jsonWriter) object(o *sobek.Object) bool {
	switch o.ClassName() {
	case "Function":
		return false
	case "String":
		w.out = appendJSONString(w.out, o.String())
		return true
	case "Number":
		return w.primitive(o.ToNumber())
	case "Boolean":
		w.out = append(w.out, o.String()...)
		return true
	}
	if len(w.path) >= maxDepth-1 {
		panic(w.inv.typeError(errTooDeep))
	}
	w.path = append(w.path, o)
	if isArray(o) {
		w.elements(o)
	} else {
		w.members(o)
	}
	w.path = w.path[:len(w.path)-1]
	return true
}

func (w *jsonWriter) newline(levels int) {
	if w.gap == "" {
		return
	}
	w.out = append(w.out, '\n')
	for range levels {
		w.out = append(w.out, w.gap...)
	}
}

func (w *jsonWriter) elements(o *sobek.Object) {
	length := o.Get("length").ToInteger()
	if length > maxArrayLength {
		w.full = true
		w.inv.exceeded()
		return
	}
	w.out = append(w.out, '[')
	for i := range length {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.newline(len(w.path))
		name := strconv.FormatInt(i, 10)
		if !w.property(o, name, o.Get(name)) {
			w.out = append(w.out, "null"...)
		}
		if w.full {
			return
		}
	}
	if length == 0 {
		w.newline(len(w.path)) // the engine gives an empty line to nothing (observed)
	}
	w.newline(len(w.path) - 1)
	w.out = append(w.out, ']')
}

func (w *jsonWriter) members(o *sobek.Object) {
	names := w.only
	if names == nil {
		names = o.Keys()
	}
	w.out = append(w.out, '{')
	written := false
	for _, name := range names {
		before := len(w.out)
		if written {
			w.out = append(w.out, ',')
		}
		w.newline(len(w.path))
		w.out = append(appendJSONString(w.out, name), ':')
		if w.gap != "" {
			w.out = append(w.out, ' ')
		}
		if !w.property(o, name, o.Get(name)) {
			w.out = w.out[:before]
			continue
		}
		written = true
		if w.full {
			return
		}
	}
	if !written {
		w.newline(len(w.path))
	}
	w.newline(len(w.path) - 1)
	w.out = append(w.out, '}')
}
