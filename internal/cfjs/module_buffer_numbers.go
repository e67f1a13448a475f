package cfjs

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/grafana/sobek"
)

// bufferNumberMethods: readInt8 to writeDoubleBE.
func bufferNumberMethods() map[string]hostMethod {
	methods := map[string]hostMethod{}
	for _, order := range []struct {
		suffix string
		little bool
	}{{"LE", true}, {"BE", false}} {
		for _, sign := range []struct {
			prefix string
			signed bool
		}{{"Int", true}, {"UInt", false}} {
			for _, bits := range []int{16, 32} {
				name := sign.prefix + strconv.Itoa(bits) + order.suffix
				methods["read"+name] = readInteger(bits/8, sign.signed, order.little)
				methods["write"+name] = writeInteger(bits/8, order.little)
			}
			// A size of 0 is given by the call.
			methods["read"+sign.prefix+order.suffix] = readInteger(0, sign.signed, order.little)
			methods["write"+sign.prefix+order.suffix] = writeInteger(0, order.little)
			methods["read"+sign.prefix+"8"] = readInteger(1, sign.signed, true)
			methods["write"+sign.prefix+"8"] = writeInteger(1, true)
		}
		methods["readFloat"+order.suffix] = readFloat(4, order.little)
		methods["readDouble"+order.suffix] = readFloat(8, order.little)
		methods["writeFloat"+order.suffix] = writeFloat(4, order.little)
		methods["writeDouble"+order.suffix] = writeFloat(8, order.little)
	}
	return methods
}

// number returns the size bytes at an index, sized by an argument if size is 0.
func (b *bufferClass) number(c sobek.FunctionCall, index sobek.Value, size int, byteLength sobek.Value) (data []byte, end int) {
	all := b.bytesOf(c.This, "this")
	at := b.index(index, 0)
	if size == 0 {
		if !sobek.IsNumber(byteLength) {
			panic(b.inv.typeError(`"byteLength" is not a number`))
		}
		if size = int(byteLength.ToInteger()); size > 6 || size < 1 {
			panic(b.inv.typeError(`"byteLength" must be <= 6`))
		}
	}
	if at+size > len(all) {
		panic(b.rangeError("index " + strconv.Itoa(at) + " is outside the bound of the buffer"))
	}
	return all[at : at+size], at + size
}

func readInteger(size int, signed, little bool) hostMethod {
	return func(inv *invocation, c sobek.FunctionCall) sobek.Value {
		data, _ := inv.bufferClass().number(c, c.Argument(0), size, c.Argument(1))
		var u uint64
		for i := range data {
			if little {
				u |= uint64(data[i]) << (8 * i)
			} else {
				u = u<<8 | uint64(data[i])
			}
		}
		if signed {
			shift := 64 - 8*len(data)
			return inv.vm.ToValue(int64(u<<shift) >> shift)
		}
		return inv.vm.ToValue(int64(u))
	}
}

func writeInteger(size int, little bool) hostMethod {
	return func(inv *invocation, c sobek.FunctionCall) sobek.Value {
		value := uint64(c.Argument(0).ToInteger())
		data, end := inv.bufferClass().number(c, c.Argument(1), size, c.Argument(2))
		for i := range data {
			at := i
			if !little {
				at = len(data) - 1 - i
			}
			data[at] = byte(value >> (8 * i))
		}
		return inv.vm.ToValue(end)
	}
}

func byteOrder(little bool) binary.ByteOrder {
	if little {
		return binary.LittleEndian
	}
	return binary.BigEndian
}

func readFloat(size int, little bool) hostMethod {
	return func(inv *invocation, c sobek.FunctionCall) sobek.Value {
		data, _ := inv.bufferClass().number(c, c.Argument(0), size, nil)
		if size == 4 {
			return inv.vm.ToValue(float64(math.Float32frombits(byteOrder(little).Uint32(data))))
		}
		return inv.vm.ToValue(math.Float64frombits(byteOrder(little).Uint64(data)))
	}
}

// writeFloat returns undefined (observed).
func writeFloat(size int, little bool) hostMethod {
	return func(inv *invocation, c sobek.FunctionCall) sobek.Value {
		value := c.Argument(0).ToFloat()
		data, _ := inv.bufferClass().number(c, c.Argument(1), size, nil)
		if size == 4 {
			byteOrder(little).PutUint32(data, math.Float32bits(float32(value)))
		} else {
			byteOrder(little).PutUint64(data, math.Float64bits(value))
		}
		return sobek.Undefined()
	}
}
