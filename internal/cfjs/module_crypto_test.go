package cfjs

import "testing"

func TestCrypto(t *testing.T) {
	checkPrinted(t, Runtime20, nil, []printCase{
		{`crypto.createHash('md5').update('').digest('hex')`, "d41d8cd98f00b204e9800998ecf8427e"},
		{`crypto.createHash('sha1').update('abc').digest('hex')`, "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{`crypto.createHash('sha256').update('a').update(Buffer.from('bc')).digest('hex')`, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{`crypto.createHash('md5').update('é').digest('base64')`, "Zt3Nl8/eq7L2+4qZm0vHbw=="},
		{`crypto.createHash('md5').update('c3a9', 'hex').digest('base64url')`, "Zt3Nl8_eq7L2-4qZm0vHbw"},
		{`crypto.createHash('md5').update('x').digest().length`, "16"},
		// RFC 4231, test case 2; RFC 2202, test case 2.
		{`crypto.createHmac('sha256', 'Jefe').update('what do ya want for nothing?').digest('hex')`, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{`crypto.createHmac('md5', Buffer.from('Jefe')).update('what do ya want for nothing?').digest('hex')`, "750c783e6ab0b503eaa86e310a5db738"},
		{`crypto.createHash('md5').update(new Uint16Array([1])).digest('hex')`, "25daad3d9e60b45043a70c4ab7d3b1c6"},
		{`(function () { try { crypto.createHash('sha512') } catch (e) { return String(e) } })()`, `TypeError: not supported algorithm: "sha512"`},
		{`(function () { try { crypto.createHash('md5').digest('utf8') } catch (e) { return String(e) } })()`, `TypeError: Unknown digest encoding: "utf8"`},
		{`(function () { var h = crypto.createHash('md5'); h.digest(); try { h.update('a') } catch (e) { return String(e) } })()`, "Error: Digest already called"},
		{`(function () { try { crypto.createHash('md5').update.call({}, 'a') } catch (e) { return String(e) } })()`, `TypeError: "this" is not a hash object`},
		{`typeof crypto.timingSafeEqual`, "undefined"},
	})
}

func TestCryptoOfRuntime10ReturnsByteStrings(t *testing.T) {
	checkPrinted(t, Runtime10, nil, []printCase{
		{`require('crypto').createHash('md5').update('x').digest().length`, "16"},
		{`require('crypto').createHash('md5').update('x').digest().toString('hex')`, "9dd4e461268c8034f5c8564e155c67a6"},
		{`require('crypto').createHash('md5').update('x').digest('hex')`, "9dd4e461268c8034f5c8564e155c67a6"},
	})
}
