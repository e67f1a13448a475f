package cfjs

import "testing"

func TestBufferMakes(t *testing.T) {
	checkPrinted(t, Runtime20, nil, []printCase{
		{`Buffer.from('aé')`, "Buffer [97,195,169]"},
		{`Buffer.from('6g61', 'hex')`, "Buffer []"},
		{`Buffer.from('6a6', 'hex')`, "Buffer [106]"},
		{`Buffer.from('YWJj', 'base64').toString()`, "abc"},
		{`Buffer.from('_-8', 'base64url').toString('hex')`, "ffef"},
		{`Buffer.from([1, -1, 256, 1.9])`, "Buffer [1,255,0,1]"},
		{`Buffer.from(new Uint8Array([1, 2, 3]).buffer, 1, 1)`, "Buffer [2]"},
		{`Buffer.from(new String('x'))`, "Buffer [120]"},
		{`Buffer.from(Buffer.from('ab').toJSON())`, "Buffer [97,98]"},
		{`Buffer.alloc(3, 'ab').toString()`, "aba"},
		{`Buffer.concat([Buffer.from('a'), new Uint8Array([98])], 3)`, "Buffer [97,98,0]"},
		{`[Buffer.byteLength('é'), Buffer.byteLength('YWJj', 'base64'), Buffer.byteLength(new ArrayBuffer(5))]`, "[2,3,5]"},
		{`[Buffer.isBuffer(Buffer.alloc(1)), Buffer.isBuffer(new Uint8Array(1)), Buffer.isEncoding('hex')]`, "[true,false,true]"},
		{`Buffer.alloc(1) instanceof Uint8Array`, "true"},
		{`(function () { try { Buffer.from('a', 'latin1') } catch (e) { return String(e) } })()`, `TypeError: "latin1" encoding is not supported`},
		{`(function () { try { Buffer.from(5) } catch (e) { return String(e) } })()`, "TypeError: first argument number is not a string or Buffer-like object"},
		{`(function () { try { new Buffer(5) } catch (e) { return String(e) } })()`, "TypeError: Buffer is not a constructor"},
	})
}

func TestBufferMethods(t *testing.T) {
	checkPrinted(t, Runtime20, nil, []printCase{
		{`Buffer.from('abc').toString('base64') + Buffer.from('ab').toString('base64url')`, "YWJjYWI"},
		{`Buffer.from('abc').toString('utf8', 1, 9)`, "bc"},
		{`'' + Buffer.from('abc') + JSON.stringify(Buffer.from('a'))`, `abc{"type":"Buffer","data":[97]}`},
		{`(function () { var b = Buffer.from('abcd'), s = b.slice(1, -1); s[0] = 88; return b.toString() })()`, "aXcd"},
		{`Buffer.from('abcd').subarray(-2).toString()`, "cd"},
		{`[Buffer.from('abcabc').indexOf('c', 3), Buffer.from('abcabc').lastIndexOf('b', -3), Buffer.from('abc').includes(Buffer.from('bc')), Buffer.from('abc').indexOf(98)]`, "[5,1,true,1]"},
		{`[Buffer.from('a').equals(Buffer.from('a')), Buffer.from('a').compare(Buffer.from('b')), Buffer.compare(Buffer.from('b'), Buffer.from('a'))]`, "[true,-1,1]"},
		{`(function () { var b = Buffer.alloc(5); return [Buffer.from('abc').copy(b, 1), b.toString('hex')] })()`, "[3,'0061626300']"},
		{`Buffer.alloc(5).fill('ab', 1, 4).toString('hex')`, "0061626100"},
		{`Buffer.alloc(3).fill('ff', 'hex')`, "Buffer [255,255,255]"},
		{`(function () { var b = Buffer.alloc(4); return [b.write('abcdef', 2), b.toString('hex')] })()`, "[2,'00006162']"},
		{`Buffer.from([1, 2, 3, 4]).swap16()`, "Buffer [2,1,4,3]"},
		{`Buffer.from([1, 2, 3, 4]).swap32()`, "Buffer [4,3,2,1]"},
		{`(function () { try { Buffer.from('abc').swap64() } catch (e) { return String(e) } })()`, "RangeError: Buffer size must be a multiple of 64-bits"},
		{`(function () { try { Buffer.prototype.toString.call({}) } catch (e) { return String(e) } })()`, `TypeError: "this" argument must be an instance of Buffer or Uint8Array`},
	})
}

func TestBufferNumbers(t *testing.T) {
	checkPrinted(t, Runtime20, nil, []printCase{
		{`(function () { var b = Buffer.from([0x81, 2, 3, 4, 5, 6]); return [b.readInt8(0), b.readUInt8(0), b.readInt16BE(0), b.readUInt16LE(0), b.readInt32LE(0), b.readUInt32BE(0)] })()`,
			"[-127,129,-32510,641,67306113,2164392708]"},
		{`(function () { var b = Buffer.from([0x81, 2, 3, 4, 5, 6]); return [b.readIntBE(0, 6), b.readUIntBE(0, 3), b.readIntLE(0, 3), b.readUIntLE(1, 5)] })()`,
			"[-139629336197882,8454659,197249,25853952770]"},
		{`(function () { var b = Buffer.alloc(8), n = [b.writeInt16BE(-2, 0), b.writeUInt32LE(4000000000, 2), b.writeIntBE(-5, 6, 2)]; return [n, b.toString('hex')] })()`,
			"[[2,6,8],'fffe00286beefffb']"},
		{`(function () { var b = Buffer.alloc(12); b.writeDoubleLE(-1.5, 0); b.writeFloatBE(0.5, 8); return [b.readDoubleLE(0), b.readFloatBE(8), b.toString('hex')] })()`,
			"[-1.5,0.5,'000000000000f8bf3f000000']"},
		{`(function () { try { Buffer.alloc(1).readInt16LE(0) } catch (e) { return String(e) } })()`, "RangeError: index 0 is outside the bound of the buffer"},
		{`(function () { try { Buffer.alloc(9).readIntLE(0, 7) } catch (e) { return String(e) } })()`, `TypeError: "byteLength" must be <= 6`},
	})
}
