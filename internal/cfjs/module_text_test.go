package cfjs

import "testing"

func TestTextEncoding(t *testing.T) {
	checkPrinted(t, Runtime20, nil, []printCase{
		{`new TextEncoder().encode('é€😀')`, "Uint8Array [195,169,226,130,172,240,159,152,128]"},
		{`new TextEncoder().encodeInto('aé€', new Uint8Array(3))`, "{read:2,written:3}"},
		{`new TextDecoder().decode(new Uint8Array([240, 159, 152, 128]))`, "😀"},
		{`new TextDecoder().decode(new Uint8Array([97, 226, 130, 98]))`, "a\uFFFDb"},
		{`new TextDecoder().decode(new Uint8Array([239, 187, 191, 97])).length`, "1"},
		{`new TextDecoder('utf-8', {ignoreBOM: true}).decode(new Uint8Array([239, 187, 191, 97])).length`, "2"},
		{`new TextDecoder().decode(new DataView(new Uint8Array([97, 98, 99]).buffer, 1))`, "bc"},
		{`new TextDecoder().decode(new Uint8Array([97]).buffer)`, "a"},
		{`new TextDecoder().decode()`, ""},
		{`(function () { try { new TextDecoder('utf-8', {fatal: true}).decode(new Uint8Array([255])) } catch (e) { return String(e) } })()`, "TypeError: The encoded data was not valid"},
		{`(function () { try { new TextDecoder('latin1') } catch (e) { return String(e) } })()`, `RangeError: The "latin1" encoding is not supported`},
	})
}

func TestBase64Text(t *testing.T) {
	checkPrinted(t, Runtime20, nil, []printCase{
		{`btoa('abc') + btoa('é') + btoa('')`, "YWJj6Q=="},
		{`atob('YWJj') + atob(' Y Q = = ')`, "abca"},
		{`atob('6Q==') === 'é'`, "true"},
		{`atob('YWJjZA')`, "abc"}, // what is behind the last group of four is lost without padding
		{`(function () { try { atob('a') } catch (e) { return String(e) } })()`, "TypeError: the string to be decoded is not correctly encoded"},
		{`(function () { try { atob('YW-j') } catch (e) { return String(e) } })()`, "TypeError: the string to be decoded is not correctly encoded"},
		{`(function () { try { btoa('€') } catch (e) { return String(e) } })()`, "TypeError: invalid character (>= U+00FF)"},
	})
}
