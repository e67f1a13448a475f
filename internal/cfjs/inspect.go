package cfjs

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/sobek"
)

const (
	// maxDepth is how deep the engine descends into values when it prints,
	// parses or serializes them (observed).
	maxDepth = 32
	// maxInspectBytes bounds a printed value; the log is shorter anyway.
	maxInspectBytes = 64 << 10
)

// inspect prints a value as console.log does: text plain, everything else in
// the engine's notation, such as {a:1,b:['x']} (observed). Getters do not run.
func (inv *invocation) inspect(v sobek.Value) string {
	if sobek.IsString(v) {
		return v.String()
	}
	p := &inspector{inv: inv}
	p.value(v)
	if p.deep {
		return "TypeError: Nested too deep or a cyclic structure"
	}
	return string(p.out)
}

type inspector struct {
	inv  *invocation
	out  []byte
	path []*sobek.Object // objects being printed
	deep bool
}

// enough reports whether there is no use in printing on.
func (p *inspector) enough() bool {
	return len(p.out) > maxInspectBytes || p.deep || p.inv.over.Load()
}

func (p *inspector) add(s string) { p.out = append(p.out, s...) }

func (p *inspector) value(v sobek.Value) {
	switch v := v.(type) {
	case nil:
		p.add("undefined")
	case *sobek.Object:
		p.object(v)
	case sobek.String:
		p.out = appendQuoted(p.out, v.String())
	case *sobek.Symbol:
		p.add("Symbol(" + v.String() + ")")
	default:
		if sobek.IsNumber(v) && v.ToFloat() == 0 && math.Signbit(v.ToFloat()) {
			p.add("-0")
			return
		}
		p.add(v.String())
	}
}

// appendQuoted quotes text in a structure; the quote itself is not escaped.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '\'')
	quoted := appendJSONString(nil, s)
	inner := strings.ReplaceAll(string(quoted[1:len(quoted)-1]), `\"`, `"`)
	b = append(b, inner...)
	return append(b, '\'')
}

func (p *inspector) object(o *sobek.Object) {
	switch class := o.ClassName(); class {
	case "Function":
		p.function(o)
	case "Error":
		p.add(p.inv.thrownText(o))
	case "RegExp":
		p.add(o.String())
	case "Date":
		p.add(dateText(o))
	case "String":
		p.add("[String: ")
		p.out = appendQuoted(p.out, o.String())
		p.add("]")
	case "Number", "Boolean", "Symbol":
		p.add("[" + class + ": " + o.String() + "]")
	default:
		if t, ok := typedArray(o); ok {
			p.typed(o, t)
			return
		}
		p.structure(o, class == "Array")
	}
}

func (p *inspector) function(o *sobek.Object) {
	name := ""
	if v := o.Get("name"); v != nil && sobek.IsString(v) {
		name = v.String()
	}
	switch {
	case strings.ContainsAny(name, "./"): // one of the host's
		name = "native"
	case name == "":
		p.add("[Function]")
		return
	}
	p.add("[Function: " + name + "]")
}

func dateText(o *sobek.Object) string {
	t, ok := o.Export().(time.Time)
	if !ok {
		return "Invalid Date"
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func (p *inspector) typed(o *sobek.Object, length int) {
	tag := tagOf(o)
	if b := p.inv.buffer; b != nil && o.Prototype() == b.prototype {
		tag = "Buffer"
	}
	p.add(tag + " [")
	for i := range length {
		if i > 0 {
			p.add(",")
		}
		p.add(o.Get(strconv.Itoa(i)).String())
		if len(p.out) > maxInspectBytes {
			break
		}
	}
	p.add("]")
}

func tagOf(o *sobek.Object) string {
	if tag := o.GetSymbol(sobek.SymToStringTag); tag != nil && sobek.IsString(tag) {
		return tag.String()
	}
	return ""
}

// structure prints an object or array with its enumerable properties.
func (p *inspector) structure(o *sobek.Object, array bool) {
	for _, outer := range p.path {
		if outer == o {
			p.add("[Circular]")
			return
		}
	}
	if len(p.path) >= maxDepth {
		p.deep = true
		return
	}
	p.path = append(p.path, o)
	defer func() { p.path = p.path[:len(p.path)-1] }()
	if tag := tagOf(o); tag != "" {
		p.add(tag + " ")
	}
	if array {
		p.add("[")
		if index := o.Get("index"); index != nil && o.Get("input") != nil {
			p.match(o)
		} else {
			p.elements(o)
		}
		p.add("]")
		return
	}
	p.add("{")
	for i, name := range o.Keys() {
		if i > 0 {
			p.add(",")
		}
		p.add(name + ":")
		p.property(o, name)
		if p.enough() {
			return
		}
	}
	p.add("}")
}

// match prints what a regular expression found; it always has groups.
func (p *inspector) match(o *sobek.Object) {
	for i := range o.Get("length").ToInteger() {
		p.value(o.Get(strconv.FormatInt(i, 10)))
		p.add(",")
	}
	p.add("groups:")
	p.value(o.Get("groups"))
	p.add(",index:")
	p.value(o.Get("index"))
	p.add(",input:")
	p.value(o.Get("input"))
}

// elements prints an array; runs of holes print as <empty> or <n empty items>.
func (p *inspector) elements(o *sobek.Object) {
	next, written := int64(0), false
	separate := func() {
		if written {
			p.add(",")
		}
		written = true
	}
	hole := func(to int64) {
		switch n := to - next; {
		case n == 1:
			separate()
			p.add("<empty>")
		case n > 1:
			separate()
			p.add("<" + strconv.FormatInt(n, 10) + " empty items>")
		}
	}
	length := o.Get("length").ToInteger()
	for _, name := range o.Keys() {
		index, err := strconv.ParseUint(name, 10, 32)
		if err == nil {
			hole(int64(index))
			next = int64(index) + 1
		}
		separate()
		if err != nil {
			p.add(name + ":")
		}
		p.property(o, name)
		if p.enough() {
			return
		}
	}
	hole(length)
}

func (p *inspector) property(o *sobek.Object, name string) {
	if p.inv.program.features.accessors {
		if kind := p.inv.accessorKind(o, name); kind != "" {
			p.add("'" + kind + "'")
			return
		}
	}
	p.value(o.Get(name))
}

// accessorKind says whether a property has a getter or setter, as it prints.
func (inv *invocation) accessorKind(o *sobek.Object, name string) string {
	describe, ok := sobek.AssertFunction(inv.global("Object").Get("getOwnPropertyDescriptor"))
	if !ok {
		return ""
	}
	v, err := describe(sobek.Undefined(), o, inv.vm.ToValue(name))
	descriptor, ok := v.(*sobek.Object)
	if err != nil || !ok {
		return ""
	}
	get, set := present(descriptor.Get("get")), present(descriptor.Get("set"))
	switch {
	case get && set:
		return "[Getter/Setter]"
	case get:
		return "[Getter]"
	case set:
		return "[Setter]"
	}
	return ""
}
