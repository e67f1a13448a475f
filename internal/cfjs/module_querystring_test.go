package cfjs

import "testing"

func TestQuerystring(t *testing.T) {
	checkPrinted(t, Runtime20, nil, []printCase{
		{`qs.parse('a=1&b=x%20y+z&a=2&c')`, "{a:['1','2'],b:'x y z',c:''}"},
		{`qs.decode('a:1;b:2', ';', ':')`, "{a:'1',b:'2'}"},
		{`qs.parse('a=%FF%zz%')`, "{a:'\uFFFD%zz%'}"},
		{`qs.parse('a=1&b=2&c=3', '&', '=', {maxKeys: 2})`, "{a:'1',b:'2'}"},
		{`qs.parse('x&'.repeat(1500)).x.length`, "1000"},
		{`qs.parse('x&'.repeat(1500), null, null, {maxKeys: 0}).x.length`, "1500"},
		{`qs.parse('a=b', null, null, {decodeURIComponent: function (s) { return '<' + s + '>' }})`, "{<a>:'<b>'}"},
		{`qs.parse(5)`, "{}"},
		{`qs.parse('__proto__=1').a`, "undefined"},
		{`qs.stringify({a: 'x y', b: [1, true, 'ü'], c: null, d: NaN, e: {}})`, "a=x%20y&b=1&b=true&b=%C3%BC&c=&d=&e="},
		{`qs.encode({a: 1, b: 2}, ';', ':')`, "a:1;b:2"},
		{`qs.stringify('x') === ''`, "true"},
		{`qs.escape("a b!'()*-._~/?")`, "a%20b!'()*-._~%2F%3F"},
		{`qs.unescape('%41%C3%A9+%4')`, "Aé %4"},
		{`(function () { qs.unescape = function (s) { return s.toUpperCase() }; return qs.parse('a=b') })()`, "{A:'B'}"},
	})
}
