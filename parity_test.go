package popkv_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/popkv/popkv/internal/cfjs"
)

// TestEveryParityRowNamesATest reads the table of docs/guide/functions.md that
// compares popkv with AWS: each row says supported, different or missing, and
// names tests that exist. A name is "package TestX" or "package TestX/case",
// where the case is a text of that test, of a variable of its package, or of
// its testdata.
func TestEveryParityRowNamesATest(t *testing.T) {
	packages := testPackages(t)
	features := map[string]bool{}
	for _, row := range parityRows(t) {
		feature, status, tests := row[0], row[1], row[3]
		if features[feature] {
			t.Errorf("%s: is there twice", feature)
		}
		features[feature] = true
		if !slices.Contains([]string{"supported", "different", "missing"}, status) {
			t.Errorf("%s: %q is not supported, different or missing", feature, status)
		}
		if status != "supported" && row[2] == "" {
			t.Errorf("%s: is %s, and no note says how", feature, status)
		}
		names := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(tests, -1)
		if len(names) == 0 {
			t.Errorf("%s: names no test", feature)
		}
		for _, name := range names {
			if !packages.has(name[1]) {
				t.Errorf("%s: there is no test %s", feature, name[1])
			}
		}
	}
	for _, name := range []string{
		"cfjs TestNothing", "nothing TestGrammar", "cfjs TestGrammar/no such case", "cfjs Grammar", "TestGrammar", "cfjs mustRun",
		"cfjs TestKVSErrors/the request as it came", "cfapi TestWireFixtures/function-life/no such step",
	} {
		if packages.has(name) {
			t.Errorf("%q passes for the name of a test", name)
		}
	}
}

// parityRows returns the rows of the comparison: feature, status, note, test.
func parityRows(t *testing.T) [][]string {
	t.Helper()
	page, err := os.ReadFile("docs/guide/functions.md")
	if err != nil {
		t.Fatal(err)
	}
	const header = "| feature | status | note | test |"
	var rows [][]string
	inside := false
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == header:
			inside = true
		case !strings.HasPrefix(line, "|"):
			inside = false
		case inside && !strings.HasPrefix(line, "|---"):
			cells := strings.Split(strings.ReplaceAll(strings.Trim(line, "|"), `\|`, "\x00"), "|")
			if len(cells) != 4 {
				t.Fatalf("a row of %d cells: %s", len(cells), line)
			}
			for i := range cells {
				cells[i] = strings.ReplaceAll(strings.TrimSpace(cells[i]), "\x00", "|")
			}
			rows = append(rows, cells)
		}
	}
	if len(rows) < 100 {
		t.Fatalf("only %d rows; is the header of the tables still %s ?", len(rows), header)
	}
	return rows
}

// testTexts are, by package and function, the texts that name its cases. The
// function "" stands for the package: its variables and its testdata.
type testTexts map[string]map[string]map[string]bool

func (p testTexts) has(name string) bool {
	pkg, test, _ := strings.Cut(name, " ")
	test, path, sub := strings.Cut(test, "/")
	texts, ok := p[pkg][test]
	if !ok || !strings.HasPrefix(test, "Test") {
		return false
	}
	known := func(text string) bool { return texts[text] || p[pkg][""][text] }
	if !sub || known(path) {
		return true
	}
	// A file of testdata and a step in it.
	return strings.Contains(path, "/") && !slices.ContainsFunc(strings.Split(path, "/"), func(part string) bool { return !known(part) })
}

var testdataTitle = regexp.MustCompile(`^-- (.*?)(: request)? --$`)

// testPackages reads the tests of every package, by the last part of its path.
func testPackages(t *testing.T) testTexts {
	t.Helper()
	all := testTexts{}
	add := func(pkg, test, text string) {
		if all[pkg] == nil {
			all[pkg] = map[string]map[string]bool{}
		}
		if all[pkg][test] == nil {
			all[pkg][test] = map[string]bool{}
		}
		all[pkg][test][text] = true
	}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && (file != "." && strings.HasPrefix(name, ".") || name == "node_modules" || name == "fuzz") {
			return filepath.SkipDir
		}
		pkg, data, isData := strings.Cut(filepath.ToSlash(file), "/testdata/")
		switch {
		case d.IsDir():
		case isData && (strings.HasSuffix(file, ".txtar") || strings.HasSuffix(file, ".txt")):
			pkg = filepath.Base(pkg)
			add(pkg, "", strings.TrimSuffix(filepath.Base(data), ".txtar"))
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(text)) {
				line = strings.TrimSuffix(line, "\n")
				if m := testdataTitle.FindStringSubmatch(line); m != nil {
					line = m[1]
				}
				add(pkg, "", line)
			}
		case strings.HasSuffix(file, "_test.go"):
			pkg = filepath.Base(filepath.Dir(file))
			if pkg == "." {
				pkg = "popkv"
			}
			syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				return err
			}
			for _, decl := range syntax.Decls {
				test := ""
				if f, ok := decl.(*ast.FuncDecl); ok {
					test = f.Name.Name
				}
				add(pkg, test, "")
				ast.Inspect(decl, func(n ast.Node) bool {
					if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
						if text, err := strconv.Unquote(literal.Value); err == nil {
							add(pkg, test, text)
						}
					}
					return true
				})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const parityEvent = `{"context":{"eventType":"viewer-request"},"viewer":{"ip":"192.0.2.1"},"request":{"method":"GET","uri":"/","headers":{"x-cache":{"value":"1"}}}}`

// logged runs statements in an async handler and returns what they logged, or
// the error.
func logged(t *testing.T, runtime cfjs.Runtime, code string) string {
	t.Helper()
	source := "async function handler(event) {\n" + code + "\nreturn event.request; }"
	if runtime == cfjs.Runtime20 {
		source = "import cf from 'cloudfront'; import crypto from 'crypto'; import qs from 'querystring'; import buffer from 'buffer';\n" + source
	} else {
		source = strings.TrimPrefix(source, "async ")
	}
	event, err := cfjs.ParseEvent([]byte(parityEvent))
	if err != nil {
		t.Fatal(err)
	}
	r, err := cfjs.Compile([]byte(source), runtime).Run(t.Context(), &event, &cfjs.MapStore{}, cfjs.Options{HardLimit: 1e10, WallLimit: 1e11})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(append(r.Logs, r.ErrorMessage), "\n")
}

// TestParityOfBuiltIns asks for every member that AWS documents, and for those
// that it documents for runtime 2.0 only.
func TestParityOfBuiltIns(t *testing.T) {
	for _, c := range []struct {
		name    string
		runtime cfjs.Runtime
		object  string // an expression; "" is the global names
		names   string
		want    string // those that are missing
	}{
		{"Object", cfjs.Runtime20, "Object", "create defineProperty defineProperties freeze seal preventExtensions isFrozen isSealed isExtensible keys values entries assign is getOwnPropertyDescriptor getOwnPropertyDescriptors getOwnPropertyNames getPrototypeOf setPrototypeOf", ""},
		{"String", cfjs.Runtime20, "String", "fromCharCode fromCodePoint", ""},
		{"String.prototype", cfjs.Runtime20, "''", "charAt charCodeAt codePointAt concat indexOf lastIndexOf includes startsWith endsWith match replace replaceAll search slice split substr substring repeat padStart padEnd trim trimStart trimEnd toLowerCase toUpperCase", ""},
		{"Array", cfjs.Runtime20, "Array", "isArray of", ""},
		{"Array.prototype", cfjs.Runtime20, "[]", "concat copyWithin every fill filter find findIndex forEach includes indexOf join lastIndexOf map pop push reduce reduceRight reverse shift slice some sort splice unshift entries keys", ""},
		{"Number", cfjs.Runtime20, "Number", "EPSILON MAX_SAFE_INTEGER MIN_SAFE_INTEGER MAX_VALUE MIN_VALUE NEGATIVE_INFINITY POSITIVE_INFINITY isFinite isInteger isNaN isSafeInteger parseFloat parseInt", ""},
		{"Number.prototype", cfjs.Runtime20, "(1)", "toExponential toFixed toPrecision", ""},
		{"Math", cfjs.Runtime20, "Math", "E LN10 LN2 LOG10E LOG2E PI SQRT1_2 SQRT2 abs acos acosh asin asinh atan atan2 atanh cbrt ceil clz32 cos cosh exp expm1 floor fround hypot imul log log10 log1p log2 max min pow random round sign sin sinh sqrt tan tanh trunc", ""},
		{"Promise", cfjs.Runtime20, "Promise", "all allSettled any race resolve reject", ""},
		{"Promise.prototype", cfjs.Runtime20, "Promise.prototype", "then catch finally", ""},
		{"RegExp", cfjs.Runtime20, "/a/", "exec test toString source global ignoreCase multiline sticky flags lastIndex", ""},
		{"Date", cfjs.Runtime20, "Date", "now parse UTC", ""},
		{"typed arrays", cfjs.Runtime20, "(new Uint8Array(1))", "set subarray slice fill map filter every some find findIndex forEach includes indexOf join lastIndexOf reduce reduceRight reverse sort copyWithin buffer byteLength byteOffset length", ""},
		{"DataView", cfjs.Runtime20, "(new DataView(new ArrayBuffer(8)))", "getInt8 getUint8 getInt16 getUint16 getInt32 getUint32 getFloat32 getFloat64 setInt8 setUint8 setInt16 setUint16 setInt32 setUint32 setFloat32 setFloat64", ""},
		{"Symbol", cfjs.Runtime20, "Symbol", "for keyFor iterator asyncIterator", ""},
		{"globals", cfjs.Runtime20, "", "Int8Array Uint8Array Uint8ClampedArray Int16Array Uint16Array Int32Array Uint32Array Float32Array Float64Array ArrayBuffer DataView TextEncoder TextDecoder atob btoa encodeURI decodeURI encodeURIComponent decodeURIComponent globalThis console Buffer Error EvalError InternalError RangeError ReferenceError SyntaxError TypeError URIError", ""},
		{"Buffer", cfjs.Runtime20, "Buffer", "alloc allocUnsafe byteLength compare concat from isBuffer isEncoding", ""},
		{"Buffer.prototype", cfjs.Runtime20, "Buffer.from('a')", "compare copy equals fill includes indexOf lastIndexOf readInt8 readUInt8 readInt16BE readInt16LE readUInt16BE readUInt16LE readInt32BE readInt32LE readUInt32BE readUInt32LE readIntBE readIntLE readUIntBE readUIntLE readFloatBE readFloatLE readDoubleBE readDoubleLE writeInt8 writeUInt8 writeInt16BE writeInt16LE writeUInt16BE writeUInt16LE writeInt32BE writeInt32LE writeUInt32BE writeUInt32LE writeIntBE writeIntLE writeUIntBE writeUIntLE writeFloatBE writeFloatLE writeDoubleBE writeDoubleLE subarray slice swap16 swap32 swap64 toJSON toString write buffer byteOffset length", ""},
		{"querystring", cfjs.Runtime20, "qs", "parse decode stringify encode escape unescape", ""},
		{"cloudfront", cfjs.Runtime20, "cf", "kvs updateRequestOrigin selectRequestOriginById createRequestOriginGroup edgeLocation cwt", "cwt"},
		{"kvs", cfjs.Runtime20, "cf.kvs()", "get exists meta count", ""},
		{"globals of 1.0", cfjs.Runtime10, "", "Buffer atob btoa TextEncoder TextDecoder", "Buffer atob btoa TextEncoder TextDecoder"},
		{"members of globalThis", cfjs.Runtime20, "globalThis", "Object JSON Buffer console atob btoa TextEncoder InternalError require", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var code strings.Builder
			for _, name := range strings.Fields(c.names) {
				member := "typeof " + name
				if c.object != "" {
					member = "typeof " + c.object + "." + name
				}
				code.WriteString("if (" + member + " === 'undefined') { console.log('" + name + "'); }\n")
			}
			if got := strings.Join(strings.Fields(logged(t, c.runtime, code.String())), " "); got != c.want {
				t.Errorf("missing: %s, want %q; does docs/guide/functions.md say so?", got, c.want)
			}
		})
	}
}

// TestParityDifferences pins what docs/guide/functions.md calls different or
// missing, and what no other test shows. A case that fails because popkv has become
// like AWS is to be removed, with the word in its row.
func TestParityDifferences(t *testing.T) {
	const failed = "The CloudFront function associated with the CloudFront distribution is invalid or could not run. "
	for _, c := range []struct{ name, code, want string }{
		{"WebCrypto", "globalThis.crypto.subtle;", failed + `TypeError: cannot get property "subtle" of undefined`},
		{"cwt", "cf.cwt.validateToken('x', {});", failed + `TypeError: cannot get property "validateToken" of undefined`},
		{"error cause", "console.log(typeof new Error('a', {cause: 1}).cause);", "number\n"},
		{"error stack", "console.log(typeof new Error('a').stack);", "string\n"},
		{"order of integer keys", "console.log(Object.keys({b: 1, a: 2, 1: 3}).join());", "1,b,a\n"},
		{"null in a parameter", "function f(v) { return v.x; } try { f(null); } catch (e) { console.log(e.message); }", "cannot get property \"x\" of undefined\n"},
		{"console.log of several", "console.log('a', 1);", "a 1\n"},
		{"rawQueryString in 1.0", "console.log(typeof event.request.rawQueryString);", "undefined\n"},
		{"cookie header", "event.request.headers.cookie = {value: 'a=b'};", ""},
		{"set-cookie header", "return {statusCode: 200, headers: {'set-cookie': {value: 'a=b'}}};", ""},
		{"string of characters beyond U+FFFF", "console.log('\\u{1F600}'.length);", "2\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			runtime := cfjs.Runtime20
			if strings.HasSuffix(c.name, " in 1.0") {
				runtime = cfjs.Runtime10
			}
			if got := logged(t, runtime, c.code); got != c.want {
				t.Errorf("got %q, want %q; does docs/guide/functions.md say so?", got, c.want)
			}
		})
	}
}
