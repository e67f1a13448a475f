package cfjs

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/grafana/sobek"
)

// atob and btoa work on text whose characters stand for bytes.

func (inv *invocation) btoa(c sobek.FunctionCall) sobek.Value {
	data := make([]byte, 0, 64)
	for _, r := range c.Argument(0).String() {
		if r > 0xff {
			panic(inv.typeError("invalid character (>= U+00FF)"))
		}
		data = append(data, byte(r))
	}
	return inv.vm.ToValue(base64.StdEncoding.EncodeToString(data))
}

// atob forgives spaces. Of text without its padding it drops the characters
// behind the last group of four (observed, on every version of the engine).
func (inv *invocation) atob(c sobek.FunctionCall) sobek.Value {
	text := strings.ReplaceAll(c.Argument(0).String(), " ", "")
	whole := text[:len(text)&^3]
	unpadded := whole
	if whole == text {
		unpadded = strings.TrimSuffix(strings.TrimSuffix(text, "="), "=")
	}
	rest := text[len(whole):]
	data, err := base64.RawStdEncoding.DecodeString(unpadded)
	if err != nil || len(rest) == 1 || strings.ContainsFunc(unpadded+rest, notBase64) {
		panic(inv.typeError("the string to be decoded is not correctly encoded"))
	}
	return latin1(data)
}

func notBase64(r rune) bool { return r > 0x7f || !isBase64Byte(byte(r), false) }

// latin1 is text with one character per byte.
func latin1(data []byte) sobek.Value {
	units := make([]uint16, len(data))
	for i, c := range data {
		units[i] = uint16(c)
	}
	return sobek.StringFromUTF16(units)
}

func textEncoderMethods() map[string]hostMethod {
	return map[string]hostMethod{
		"encode": func(inv *invocation, c sobek.FunctionCall) sobek.Value {
			text := ""
			if v := c.Argument(0); len(c.Arguments) > 0 {
				text = v.String()
			}
			return inv.uint8Array([]byte(text))
		},
		"encodeInto": (*invocation).encodeInto,
	}
}

func (inv *invocation) uint8Array(data []byte) *sobek.Object {
	o, err := inv.vm.New(inv.global("Uint8Array"), inv.vm.ToValue(inv.vm.NewArrayBuffer(data)))
	if err != nil {
		panic(err)
	}
	return o
}

// constructor makes a class of the host with a prototype from a table.
func (inv *invocation) constructor(table *hostTable, init func(this *sobek.Object, c sobek.ConstructorCall)) *sobek.Object {
	class := inv.vm.ToValue(func(c sobek.ConstructorCall) *sobek.Object {
		init(c.This, c)
		return nil
	}).(*sobek.Object)
	inv.install(class.Get("prototype").(*sobek.Object), table)
	return class
}

func (inv *invocation) textEncoder() sobek.Value {
	return inv.constructor(inv.program.tables.textEncoder, func(this *sobek.Object, _ sobek.ConstructorCall) {
		hidden(this, "encoding", inv.vm.ToValue("utf-8"))
	})
}

func hidden(o *sobek.Object, name string, v sobek.Value) {
	_ = o.DefineDataProperty(name, v, sobek.FLAG_FALSE, sobek.FLAG_TRUE, sobek.FLAG_FALSE)
}

// encodeInto writes as many whole characters as fit, and says how many UTF-16
// units it read and bytes it wrote.
func (inv *invocation) encodeInto(c sobek.FunctionCall) sobek.Value {
	to, ok := viewBytes(c.Argument(1))
	if !ok {
		panic(inv.typeError(`The "destination" argument must be an instance of Uint8Array`))
	}
	read, written := 0, 0
	for _, r := range c.Argument(0).String() {
		n := utf8.RuneLen(r)
		if written+n > len(to) {
			break
		}
		written += utf8.EncodeRune(to[written:], r)
		read++
		if r > 0xffff {
			read++
		}
	}
	o := inv.vm.NewObject()
	set(o, "read", read)
	set(o, "written", written)
	return o
}

func textDecoderMethods() map[string]hostMethod {
	return map[string]hostMethod{"decode": (*invocation).textDecode}
}

func (inv *invocation) textDecoder() sobek.Value {
	return inv.constructor(inv.program.tables.textDecoder, func(this *sobek.Object, c sobek.ConstructorCall) {
		if v := c.Argument(0); !sobek.IsUndefined(v) {
			if name := v.String(); name != "utf-8" && name != "utf8" {
				panic(inv.newError("RangeError", `The "`+name+`" encoding is not supported`))
			}
		}
		fatal, ignoreBOM := false, false
		if v := c.Argument(1); !sobek.IsUndefined(v) {
			options, ok := v.(*sobek.Object)
			if !ok {
				panic(inv.typeError(`The "options" argument must be of type object`))
			}
			fatal = present(options.Get("fatal")) && options.Get("fatal").ToBoolean()
			ignoreBOM = present(options.Get("ignoreBOM")) && options.Get("ignoreBOM").ToBoolean()
		}
		hidden(this, "encoding", inv.vm.ToValue("utf-8"))
		hidden(this, "fatal", inv.vm.ToValue(fatal))
		hidden(this, "ignoreBOM", inv.vm.ToValue(ignoreBOM))
	})
}

func (inv *invocation) textDecode(c sobek.FunctionCall) sobek.Value {
	this, ok := c.This.(*sobek.Object)
	if !ok || this.Get("fatal") == nil {
		panic(inv.typeError(`"this" is not a TextDecoder`))
	}
	var data []byte
	if v := c.Argument(0); !sobek.IsUndefined(v) {
		if data, ok = rawBytes(v); !ok {
			if o, isObject := v.(*sobek.Object); isObject && o.ExportType() == arrayBufferType {
				data = o.Export().(sobek.ArrayBuffer).Bytes()
			} else {
				panic(inv.typeError(`The "input" argument must be an instance of TypedArray`))
			}
		}
	}
	if this.Get("fatal").ToBoolean() && !utf8.Valid(data) {
		panic(inv.typeError("The encoded data was not valid"))
	}
	text := decodeUTF8(data)
	if !this.Get("ignoreBOM").ToBoolean() {
		text = strings.TrimPrefix(text, "\ufeff")
	}
	return inv.vm.ToValue(text)
}
