package cfjs

import (
	"bytes"
	"reflect"
	"strconv"

	"github.com/grafana/sobek"
)

// maxBufferBytes bounds a buffer: a function has 2 MB of memory (documented).
const maxBufferBytes = 2 << 20

// A bufferClass is Buffer of one invocation. A buffer is a Uint8Array with
// Buffer's prototype.
type bufferClass struct {
	inv         *invocation
	uint8       *sobek.Object
	constructor *sobek.Object
	prototype   *sobek.Object
}

func bufferStatics() map[string]hostMethod {
	return map[string]hostMethod{
		"alloc":           func(inv *invocation, c sobek.FunctionCall) sobek.Value { return inv.buffer.alloc(c, true) },
		"allocUnsafe":     func(inv *invocation, c sobek.FunctionCall) sobek.Value { return inv.buffer.alloc(c, false) },
		"allocUnsafeSlow": func(inv *invocation, c sobek.FunctionCall) sobek.Value { return inv.buffer.alloc(c, false) },
		"byteLength":      func(inv *invocation, c sobek.FunctionCall) sobek.Value { return inv.buffer.byteLength(c) },
		"compare": func(inv *invocation, c sobek.FunctionCall) sobek.Value {
			return inv.buffer.compare(c.Argument(0), c.Argument(1), nil)
		},
		"concat":     func(inv *invocation, c sobek.FunctionCall) sobek.Value { return inv.buffer.concat(c) },
		"from":       func(inv *invocation, c sobek.FunctionCall) sobek.Value { return inv.buffer.from(c) },
		"isBuffer":   func(inv *invocation, c sobek.FunctionCall) sobek.Value { return inv.buffer.isBuffer(c.Argument(0)) },
		"isEncoding": func(inv *invocation, c sobek.FunctionCall) sobek.Value { return inv.buffer.isEncoding(c.Argument(0)) },
	}
}

func (inv *invocation) bufferClass() *bufferClass {
	if inv.buffer != nil {
		return inv.buffer
	}
	b := &bufferClass{inv: inv, uint8: inv.global("Uint8Array"), prototype: inv.vm.NewObject()}
	inv.buffer = b
	_ = b.prototype.SetPrototype(b.uint8.Get("prototype").(*sobek.Object))
	b.constructor = inv.vm.ToValue(func(sobek.ConstructorCall) *sobek.Object {
		panic(inv.typeError("Buffer is not a constructor"))
	}).(*sobek.Object)
	_ = b.constructor.DefineDataProperty("prototype", b.prototype, sobek.FLAG_FALSE, sobek.FLAG_FALSE, sobek.FLAG_FALSE)
	_ = b.constructor.DefineDataProperty("name", inv.vm.ToValue("Buffer"), sobek.FLAG_FALSE, sobek.FLAG_TRUE, sobek.FLAG_FALSE)
	_ = b.prototype.DefineDataProperty("constructor", b.constructor, sobek.FLAG_TRUE, sobek.FLAG_TRUE, sobek.FLAG_FALSE)
	inv.install(b.constructor, inv.program.tables.bufferStatics)
	inv.install(b.prototype, inv.program.tables.bufferMethods)
	return b
}

// bufferModule is `import buffer from 'buffer'`.
func (inv *invocation) bufferModule() *sobek.Object {
	o := inv.vm.NewObject()
	set(o, "Buffer", inv.bufferClass().constructor)
	return o
}

// make returns a buffer that owns data.
func (b *bufferClass) make(data []byte) *sobek.Object {
	return b.view(b.inv.vm.ToValue(b.inv.vm.NewArrayBuffer(data)), 0, len(data))
}

// view returns a buffer over part of an ArrayBuffer.
func (b *bufferClass) view(arrayBuffer sobek.Value, offset, length int) *sobek.Object {
	vm := b.inv.vm
	o, err := vm.New(b.uint8, arrayBuffer, vm.ToValue(offset), vm.ToValue(length))
	if err != nil {
		panic(err)
	}
	_ = o.SetPrototype(b.prototype)
	return o
}

var (
	bytesType       = reflect.TypeFor[[]byte]()
	arrayBufferType = reflect.TypeFor[sobek.ArrayBuffer]()
)

// viewBytes returns the bytes of a Uint8Array or Buffer, not a copy.
func viewBytes(v sobek.Value) ([]byte, bool) {
	o, ok := v.(*sobek.Object)
	if !ok || o.ExportType() != bytesType {
		return nil, false
	}
	data, ok := o.Export().([]byte)
	return data, ok
}

// rawBytes returns the bytes behind any typed array or DataView, not a copy.
func rawBytes(v sobek.Value) ([]byte, bool) {
	o, ok := v.(*sobek.Object)
	if !ok {
		return nil, false
	}
	back, ok := o.Get("buffer").(*sobek.Object)
	if !ok || back.ExportType() != arrayBufferType {
		return nil, false
	}
	data := back.Export().(sobek.ArrayBuffer).Bytes()
	start := int(o.Get("byteOffset").ToInteger())
	end := start + int(o.Get("byteLength").ToInteger())
	if start < 0 || end > len(data) || start > end {
		return nil, false
	}
	return data[start:end], true
}

// typedArray reports whether o is a typed array, and its length.
func typedArray(o *sobek.Object) (int, bool) {
	if o.ClassName() != "Object" {
		return 0, false
	}
	switch o.ExportType() {
	case bytesType, reflect.TypeFor[[]int8](), reflect.TypeFor[[]int16](), reflect.TypeFor[[]uint16](),
		reflect.TypeFor[[]int32](), reflect.TypeFor[[]uint32](), reflect.TypeFor[[]float32](), reflect.TypeFor[[]float64]():
		return int(o.Get("length").ToInteger()), true
	}
	return 0, false
}

// bytesOf returns the bytes of an argument that must be a buffer.
func (b *bufferClass) bytesOf(v sobek.Value, name string) []byte {
	data, ok := viewBytes(v)
	if !ok {
		panic(b.inv.typeError(`"` + name + `" argument must be an instance of Buffer or Uint8Array`))
	}
	return data
}

func (b *bufferClass) rangeError(message string) *sobek.Object {
	return b.inv.newError("RangeError", message)
}

// index reads an argument as an index; undefined gives the default.
func (b *bufferClass) index(v sobek.Value, otherwise int) int {
	if sobek.IsUndefined(v) {
		return otherwise
	}
	n := v.ToInteger()
	if n < 0 || n > 1<<53-1 {
		panic(b.rangeError("invalid index"))
	}
	return int(n)
}

func (b *bufferClass) alloc(c sobek.FunctionCall, fill bool) sobek.Value {
	size := c.Argument(0)
	if !sobek.IsNumber(size) {
		panic(b.inv.typeError(`"size" argument must be of type number`))
	}
	n := size.ToFloat()
	if n < 0 || n > 1<<31-1 || n != n {
		panic(b.rangeError("invalid size"))
	}
	if n > maxBufferBytes {
		return b.inv.exceeded()
	}
	data := make([]byte, int(n))
	if v := c.Argument(1); fill && !sobek.IsUndefined(v) {
		b.fillBytes(data, v, c.Argument(2))
	}
	return b.make(data)
}

func (b *bufferClass) byteLength(c sobek.FunctionCall) sobek.Value {
	v := c.Argument(0)
	if sobek.IsString(v) {
		return b.inv.vm.ToValue(len(b.inv.encodingOf(c.Argument(1)).decode(v.String())))
	}
	if o, ok := v.(*sobek.Object); ok {
		if n := o.Get("byteLength"); n != nil && sobek.IsNumber(n) {
			return n
		}
	}
	panic(b.inv.typeError("first argument " + typeName(v) + " is not a string or Buffer-like object"))
}

func (b *bufferClass) from(c sobek.FunctionCall) sobek.Value {
	v := c.Argument(0)
	if sobek.IsString(v) {
		return b.make(b.inv.encodingOf(c.Argument(1)).decode(v.String()))
	}
	o, ok := v.(*sobek.Object)
	if !ok {
		panic(b.notBufferLike(v))
	}
	if o.ExportType() == arrayBufferType {
		return b.fromArrayBuffer(o, c)
	}
	if valueOf, ok := sobek.AssertFunction(o.Get("valueOf")); ok {
		if p, err := valueOf(o); err == nil && sobek.IsString(p) {
			return b.make(b.inv.encodingOf(c.Argument(1)).decode(p.String()))
		}
	}
	return b.fromArrayLike(o, v)
}

func (b *bufferClass) notBufferLike(v sobek.Value) *sobek.Object {
	return b.inv.typeError("first argument " + typeName(v) + " is not a string or Buffer-like object")
}

// fromArrayLike copies the elements of an array or of what toJSON made.
func (b *bufferClass) fromArrayLike(o *sobek.Object, original sobek.Value) sobek.Value {
	length := o.Get("length")
	if length == nil {
		kind := o.Get("type")
		data, ok := o.Get("data").(*sobek.Object)
		if kind == nil || kind.String() != "Buffer" || !ok {
			panic(b.notBufferLike(original))
		}
		return b.fromArrayLike(data, original)
	}
	n := length.ToInteger()
	if n > maxBufferBytes {
		return b.inv.exceeded()
	}
	data := make([]byte, max(n, 0))
	for i := range data {
		if v := o.Get(strconv.Itoa(i)); v != nil {
			data[i] = toByte(v)
		}
	}
	return b.make(data)
}

func toByte(v sobek.Value) byte {
	return byte(int64(v.ToFloat()))
}

func (b *bufferClass) fromArrayBuffer(o *sobek.Object, c sobek.FunctionCall) sobek.Value {
	size := int(o.Get("byteLength").ToInteger())
	offset := b.index(c.Argument(1), 0)
	if offset > size {
		panic(b.rangeError(`"offset" is outside of buffer bounds`))
	}
	length := size - offset
	if v := c.Argument(2); !sobek.IsUndefined(v) {
		length = int(max(v.ToInteger(), 0))
	}
	if offset+length > size {
		panic(b.rangeError(`"length" is outside of buffer bounds`))
	}
	return b.view(o, offset, length)
}

func (b *bufferClass) concat(c sobek.FunctionCall) sobek.Value {
	list, ok := c.Argument(0).(*sobek.Object)
	if !ok || !isArray(list) {
		panic(b.inv.typeError(`"list" argument must be an instance of Array`))
	}
	var all []byte
	for i := range int(list.Get("length").ToInteger()) {
		data, ok := viewBytes(list.Get(strconv.Itoa(i)))
		if !ok {
			panic(b.inv.typeError(`"list[` + strconv.Itoa(i) + `]" argument must be an instance of Buffer or Uint8Array`))
		}
		if all = append(all, data...); len(all) > maxBufferBytes {
			return b.inv.exceeded()
		}
	}
	if length := c.Argument(1); !sobek.IsUndefined(length) {
		if !sobek.IsNumber(length) {
			panic(b.inv.typeError(`"length" argument must be of type number`))
		}
		n := length.ToFloat()
		if n < 0 || n > maxBufferBytes {
			panic(b.rangeError(`"length" is out of range`))
		}
		resized := make([]byte, int(n))
		copy(resized, all)
		all = resized
	}
	return b.make(all)
}

func (b *bufferClass) isBuffer(v sobek.Value) sobek.Value {
	o, ok := v.(*sobek.Object)
	return b.inv.vm.ToValue(ok && o.Prototype() == b.prototype)
}

func (b *bufferClass) isEncoding(v sobek.Value) sobek.Value {
	if !sobek.IsUndefined(v) {
		b.inv.encodingOf(v) // throws for one it does not know (observed)
	}
	return b.inv.vm.ToValue(!sobek.IsUndefined(v))
}

// compare orders two buffers; ranges are targetStart, targetEnd, sourceStart,
// sourceEnd.
func (b *bufferClass) compare(source, target sobek.Value, ranges []sobek.Value) sobek.Value {
	s, t := b.bytesOf(source, "source"), b.bytesOf(target, "target")
	if ranges != nil {
		t = b.slice(t, ranges[0], ranges[1], "target")
		s = b.slice(s, ranges[2], ranges[3], "source")
	}
	return b.inv.vm.ToValue(bytes.Compare(s, t))
}

// slice cuts a range that must lie inside the buffer.
func (b *bufferClass) slice(data []byte, start, end sobek.Value, name string) []byte {
	from := b.index(start, 0)
	if from > len(data) {
		panic(b.rangeError(`"` + name + `Start" is out of range: ` + strconv.Itoa(from)))
	}
	to := b.index(end, len(data))
	if to > len(data) {
		panic(b.rangeError(`"` + name + `End" is out of range: ` + strconv.Itoa(to)))
	}
	return data[from:max(from, to)]
}
