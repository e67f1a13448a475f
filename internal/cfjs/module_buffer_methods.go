package cfjs

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/grafana/sobek"
)

// bufferMethods: Buffer.prototype without the methods of Uint8Array.
func bufferMethods() map[string]hostMethod {
	methods := map[string]hostMethod{
		"compare": func(inv *invocation, c sobek.FunctionCall) sobek.Value {
			ranges := []sobek.Value{c.Argument(1), c.Argument(2), c.Argument(3), c.Argument(4)}
			return inv.buffer.compare(c.This, c.Argument(0), ranges)
		},
		"copy": (*invocation).bufferCopy,
		"equals": func(inv *invocation, c sobek.FunctionCall) sobek.Value {
			return inv.vm.ToValue(inv.buffer.compare(c.This, c.Argument(0), nil).ToInteger() == 0)
		},
		"fill": (*invocation).bufferFill,
		"includes": func(inv *invocation, c sobek.FunctionCall) sobek.Value {
			return inv.vm.ToValue(inv.bufferSearch(c, false) >= 0)
		},
		"indexOf": func(inv *invocation, c sobek.FunctionCall) sobek.Value {
			return inv.vm.ToValue(inv.bufferSearch(c, false))
		},
		"lastIndexOf": func(inv *invocation, c sobek.FunctionCall) sobek.Value {
			return inv.vm.ToValue(inv.bufferSearch(c, true))
		},
		"slice":    (*invocation).bufferSlice,
		"subarray": (*invocation).bufferSlice,
		"toJSON":   (*invocation).bufferToJSON,
		"toString": (*invocation).bufferToString,
		"write":    (*invocation).bufferWrite,
	}
	for _, bits := range []int{16, 32, 64} {
		methods["swap"+strconv.Itoa(bits)] = bufferSwap(bits / 8)
	}
	for name, method := range bufferNumberMethods() {
		methods[name] = method
	}
	return methods
}

func (inv *invocation) bufferCopy(c sobek.FunctionCall) sobek.Value {
	b := inv.bufferClass()
	source, target := b.bytesOf(c.This, "source"), b.bytesOf(c.Argument(0), "target")
	to := b.slice(target, c.Argument(1), sobek.Undefined(), "target")
	from := b.slice(source, c.Argument(2), c.Argument(3), "source")
	return inv.vm.ToValue(copy(to, from))
}

// bufferFill takes (value, offset, end, encoding), where a string value may be
// followed by its encoding at once.
func (inv *invocation) bufferFill(c sobek.FunctionCall) sobek.Value {
	b := inv.bufferClass()
	data := b.bytesOf(c.This, "this")
	value, encoding := c.Argument(0), c.Argument(3)
	offset, end := 0, len(data)
	if v := c.Argument(1); sobek.IsString(value) && sobek.IsString(v) {
		encoding = v
	} else {
		offset = b.index(v, 0)
		if v := c.Argument(2); sobek.IsString(value) && sobek.IsString(v) {
			encoding = v
		} else {
			end = b.index(v, len(data))
		}
	}
	if offset > len(data) {
		panic(b.rangeError(`"offset" is out of range`))
	}
	if end > len(data) {
		panic(b.rangeError(`"end" is out of range`))
	}
	if offset < end {
		b.fillBytes(data[offset:end], value, encoding)
	}
	return c.This
}

// fillBytes repeats a value over data; an empty text fills with zeros.
func (b *bufferClass) fillBytes(data []byte, value, encoding sobek.Value) {
	var pattern []byte
	switch view, ok := viewBytes(value); {
	case sobek.IsString(value):
		pattern = b.inv.encodingOf(encoding).decode(value.String())
	case ok:
		pattern = slices.Clone(view)
	default:
		pattern = []byte{toByte(value)}
	}
	if len(pattern) == 0 {
		clear(data)
		return
	}
	for n := 0; n < len(data); {
		n += copy(data[n:], pattern)
	}
}

// bufferSearch looks for (value, from, encoding).
func (inv *invocation) bufferSearch(c sobek.FunctionCall, last bool) int {
	b := inv.bufferClass()
	data := b.bytesOf(c.This, "this")
	value, from, encoding := c.Argument(0), c.Argument(1), c.Argument(2)
	if sobek.IsString(value) && sobek.IsString(from) {
		from, encoding = sobek.Undefined(), from
	}
	var pattern []byte
	switch view, ok := viewBytes(value); {
	case sobek.IsString(value):
		pattern = inv.encodingOf(encoding).decode(value.String())
	case ok:
		pattern = view
	case sobek.IsNumber(value):
		pattern = []byte{toByte(value)}
	default:
		panic(inv.typeError(`"value" argument ` + typeName(value) + " is not a string or Buffer-like object"))
	}
	if last {
		return lastIndex(data, pattern, from)
	}
	return firstIndex(data, pattern, from)
}

func firstIndex(data, pattern []byte, from sobek.Value) int {
	start := 0
	if !sobek.IsUndefined(from) {
		if start = int(from.ToInteger()); start < 0 {
			start = max(start+len(data), 0)
		}
		if start >= len(data) {
			return -1
		}
	}
	if i := bytes.Index(data[start:], pattern); i >= 0 {
		return i + start
	}
	return -1
}

func lastIndex(data, pattern []byte, from sobek.Value) int {
	end := len(data)
	if !sobek.IsUndefined(from) {
		n := int(from.ToInteger())
		if n < 0 {
			n += len(data)
		}
		if n < 0 {
			return -1
		}
		end = min(n+len(pattern), len(data))
	}
	return bytes.LastIndex(data[:end], pattern)
}

// bufferSlice makes a view of the same bytes; negative positions count from
// the end.
func (inv *invocation) bufferSlice(c sobek.FunctionCall) sobek.Value {
	b := inv.bufferClass()
	data := b.bytesOf(c.This, "this")
	position := func(v sobek.Value, otherwise int) int {
		if sobek.IsUndefined(v) {
			return otherwise
		}
		n := int(v.ToInteger())
		if n < 0 {
			n += len(data)
		}
		return min(max(n, 0), len(data))
	}
	start := position(c.Argument(0), 0)
	end := max(position(c.Argument(1), len(data)), start)
	o := c.This.(*sobek.Object)
	return b.view(o.Get("buffer"), int(o.Get("byteOffset").ToInteger())+start, end-start)
}

func (inv *invocation) bufferToJSON(c sobek.FunctionCall) sobek.Value {
	data := inv.bufferClass().bytesOf(c.This, "this")
	elements := make([]any, len(data))
	for i, x := range data {
		elements[i] = int(x)
	}
	o := inv.vm.NewObject()
	set(o, "type", "Buffer")
	set(o, "data", inv.vm.NewArray(elements...))
	return o
}

func (inv *invocation) bufferToString(c sobek.FunctionCall) sobek.Value {
	b := inv.bufferClass()
	data := b.bytesOf(c.This, "this")
	encoding := inv.encodingOf(c.Argument(0))
	start := min(b.index(c.Argument(1), 0), len(data))
	end := min(b.index(c.Argument(2), len(data)), len(data))
	if start >= end {
		return inv.vm.ToValue("")
	}
	return inv.vm.ToValue(encoding.encode(data[start:end]))
}

// bufferWrite takes (text, offset, length, encoding); the encoding may come
// earlier.
func (inv *invocation) bufferWrite(c sobek.FunctionCall) sobek.Value {
	b := inv.bufferClass()
	data := b.bytesOf(c.This, "this")
	text, encoding := c.Argument(0), c.Argument(3)
	if !sobek.IsString(text) {
		panic(inv.typeError("first argument must be a string"))
	}
	offset, length := 0, len(data)
	if v := c.Argument(1); sobek.IsString(v) {
		encoding = v
	} else {
		offset = b.index(v, 0)
		if v := c.Argument(2); sobek.IsString(v) {
			encoding = v
		} else {
			length = b.index(v, len(data))
		}
	}
	bytes := inv.encodingOf(encoding).decode(text.String())
	if offset >= len(data) {
		panic(b.rangeError(`"offset" is out of range`))
	}
	return inv.vm.ToValue(copy(data[offset:min(offset+length, len(data))], bytes))
}

func bufferSwap(size int) hostMethod {
	return func(inv *invocation, c sobek.FunctionCall) sobek.Value {
		b := inv.bufferClass()
		data := b.bytesOf(c.This, "this")
		if len(data)%size != 0 {
			panic(b.rangeError("Buffer size must be a multiple of " + strconv.Itoa(size*8) + "-bits"))
		}
		for i := 0; i < len(data); i += size {
			slices.Reverse(data[i : i+size])
		}
		return c.This
	}
}
