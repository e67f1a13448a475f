package cfjs

import (
	"strconv"
	"unicode/utf8"

	"github.com/grafana/sobek"
)

// Runtime 1.0 has byte strings: text with one character per byte, made by
// String.bytesFrom and digest and turned to and from UTF-8 by four methods
// (documented; removed in 2.0).

// byteString returns the bytes of text: its characters if all are bytes, else
// its UTF-8.
func byteString(v sobek.Value) []byte {
	text := v.String()
	data := make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xff {
			return []byte(text)
		}
		data = append(data, byte(r))
	}
	return data
}

func byteStringAmendments() []amendment {
	method := func(name string, f func(inv *invocation, this sobek.Value) sobek.Value) amendment {
		return amendment{[]string{name}, func(inv *invocation) {
			define(inv.intrinsic("String.prototype"), name, inv.function(func(c sobek.FunctionCall) sobek.Value {
				return f(inv, c.This)
			}))
		}}
	}
	return []amendment{
		{[]string{"bytesFrom"}, func(inv *invocation) {
			define(inv.global("String"), "bytesFrom", inv.function(inv.bytesFrom))
		}},
		{[]string{"toString"}, encodedToString},
		method("toBytes", func(inv *invocation, this sobek.Value) sobek.Value {
			for _, r := range this.String() {
				if r > 0xff {
					return sobek.Null()
				}
			}
			return this
		}),
		method("fromBytes", func(inv *invocation, this sobek.Value) sobek.Value { return this }),
		method("toUTF8", func(inv *invocation, this sobek.Value) sobek.Value { return latin1([]byte(this.String())) }),
		method("fromUTF8", func(inv *invocation, this sobek.Value) sobek.Value {
			data := byteString(this)
			if !utf8.Valid(data) {
				return sobek.Null()
			}
			return inv.vm.ToValue(string(data))
		}),
	}
}

func define(o *sobek.Object, name string, v sobek.Value) {
	_ = o.DefineDataProperty(name, v, sobek.FLAG_TRUE, sobek.FLAG_TRUE, sobek.FLAG_FALSE)
}

// bytesFrom makes a byte string of an array of bytes, or of encoded text.
func (inv *invocation) bytesFrom(c sobek.FunctionCall) sobek.Value {
	v := c.Argument(0)
	if sobek.IsString(v) {
		if sobek.IsUndefined(c.Argument(1)) {
			return v
		}
		return latin1(inv.encodingOf(c.Argument(1)).decode(v.String()))
	}
	o, ok := v.(*sobek.Object)
	if !ok || !isArray(o) {
		panic(inv.typeError("value must be a string or array"))
	}
	var data []byte
	for i := range o.Get("length").ToInteger() {
		if len(data) > maxBufferBytes {
			return inv.exceeded()
		}
		data = append(data, toByte(o.Get(strconv.FormatInt(i, 10))))
	}
	return latin1(data)
}

// encodedToString lets toString of a byte string take an encoding.
func encodedToString(inv *invocation) {
	proto := inv.intrinsic("String.prototype")
	original, ok := proto.Get("toString").Export().(func(sobek.FunctionCall) sobek.Value)
	if !ok {
		return
	}
	define(proto, "toString", inv.function(func(c sobek.FunctionCall) sobek.Value {
		if encoding := c.Argument(0); sobek.IsString(c.This) && sobek.IsString(encoding) {
			return inv.vm.ToValue(inv.encodingOf(encoding).encode(byteString(c.This)))
		}
		return original(c)
	}))
}
