// Package examples runs the examples: each is checked with the commands that
// its readers are told to use.
package examples

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/cli"
	"github.com/popkv/popkv/internal/s3import"
	"github.com/popkv/popkv/popkvtest"
)

// Functions run in this process: workers would protect it from the examples.
// How long they take is no matter here, whatever else the machine does.
func TestMain(m *testing.M) {
	os.Setenv("POPKV_FUNCTIONS_MODE", "inprocess")
	os.Setenv("POPKV_FUNCTIONS_HARD_LIMIT", "20s")
	os.Setenv("POPKV_FUNCTIONS_WALL_LIMIT", "1m")
	os.Exit(m.Run())
}

// folders returns the examples. Every folder is one.
func folders(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	if len(names) < 6 {
		t.Fatalf("only %d examples", len(names))
	}
	return names
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// command runs popkv in this process and returns its exit code and what it
// printed, first to stdout.
func command(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := cli.Main(t.Context(), args, strings.NewReader(""), &stdout, &stderr)
	return code, stdout.String() + stderr.String()
}

// runCases runs a version of an example's function over the example's cases.
func runCases(t *testing.T, folder, function string) (int, string) {
	t.Helper()
	return command(t, "function", "test", function,
		"--cases", filepath.Join(folder, "cases.json"), "--kvs", filepath.Join(folder, "store.json"))
}

func TestExamples(t *testing.T) {
	overview := string(read(t, "README.md"))
	for _, folder := range folders(t) {
		t.Run(folder, func(t *testing.T) {
			function := filepath.Join(folder, "function.js")
			if code, printed := command(t, "function", "lint", function); code != 0 || printed != "" {
				t.Errorf("lint: exit code %d\n%s", code, printed)
			}
			if code, printed := runCases(t, folder, function); code != 0 {
				t.Errorf("exit code %d\n%s", code, printed)
			} else if n := strings.Count("\n"+printed, "\nok "); n < 20 {
				t.Errorf("only %d cases", n)
			}
			// An import takes less than --kvs does.
			store := bytes.NewReader(read(t, folder, "store.json"))
			if _, err := s3import.Read(store, popkv.DefaultLimits(), func(_, _ []byte) error { return nil }); err != nil {
				t.Errorf("store.json: %v", err)
			}
			read(t, folder, "README.md")
			if !strings.Contains(overview, "("+folder+"/)") {
				t.Error("README.md does not link it")
			}
		})
	}
}

// TestExamplesDeploy takes the steps of README.md against a server.
func TestExamplesDeploy(t *testing.T) {
	kv := popkvtest.Start(t)
	t.Setenv("POPKV_ENDPOINT", kv.URL)
	t.Setenv("POPKV_ACCESS_KEY_ID", kv.AccessKeyID)
	t.Setenv("POPKV_SECRET_ACCESS_KEY", kv.SecretAccessKey)
	for _, folder := range folders(t) {
		t.Run(folder, func(t *testing.T) {
			items := map[string]string{}
			_, err := s3import.Read(bytes.NewReader(read(t, folder, "store.json")), popkv.DefaultLimits(), func(key, value []byte) error {
				items[string(key)] = string(value)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			kv.Store(t, folder, items)
			file := filepath.Join(folder, "function.js")
			for _, args := range [][]string{
				{"function", "create", folder, "--code", file, "--store", folder},
				{"function", "publish", folder},
			} {
				if code, printed := command(t, args...); code != 0 {
					t.Fatalf("%s: exit code %d\n%s", strings.Join(args, " "), code, printed)
				}
			}
			if code, printed := command(t, "function", "get", folder, "--stage", "LIVE"); code != 0 || printed != string(read(t, file)) {
				t.Errorf("exit code %d, live is\n%s", code, printed)
			}
		})
	}
}

// A mutant is an example with a fault: one that an author might make, or one
// that a line of the example is there to prevent.
type mutant struct{ fault, from, to string }

var mutants = map[string][]mutant{
	"redirects": {
		{"every redirect is permanent", ": 302;", ": 301;"},
		{"the slash at the end counts", "uri.endsWith('/')", "false"},
		{"a missing key is an error", "includes('KeyNotFound')", "includes('NoSuchKey')"},
		{"long keys are read", "if (Buffer.byteLength(key) > MAX_KEY_BYTES)", "if (Buffer.byteLength(key) > 511)"},
		{"loops", "|| rule.target === request.uri", ""},
		{"410 redirects", "if (rule.status !== 410)", "if (true)"},
		{"the query string is lost", "if (!query)", "if (true)"},
		{"the query string comes behind the fragment", "base + (", "target + ("},
		{"the query string of the target is not seen", "base.includes('?') ? '&' : '?'", "'?'"},
		{"the shortest wildcard wins", "ends.pop()", "ends.shift()"},
		{"wildcards of any depth", "ends.length < MAX_WILDCARDS", "true"},
		{"a path may spell the wildcard", "path.endsWith('*') ? null : ", ""},
		{"an open redirect", "rest.replace(/^[/\\\\]+/, '')", "rest"},
		{"an open redirect by the backslash", "rest.replace(/^[/\\\\]+/, '')", "rest.replace(/^[/]+/, '')"},
		{"any target is taken", "(?![/\\\\])", ""},
		{"what is no rule is taken", "status !== 410 && ", "false && "},
		{"$ has a meaning", "match[2].split('*').join(", "match[2].replace('*', "},
		{"browsers may keep it", "'max-age=3600'", "'max-age=86400'"},
	},
	"ab-test": {
		{"the cookie is not looked at", "known(experiment.variants, request.cookies[cookieName(experiment.id)]) ||", ""},
		{"any cookie is taken", "values.find(value => variants.some(w => w.name === value))", "values[0]"},
		{"only the first of several cookies is looked at", "(cookie.multiValue || [cookie])", "[cookie]"},
		{"the viewer's header is kept", "delete request.headers[HEADER];", ""},
		{"paths that begin alike", "request.uri.startsWith(path + '/')", "request.uri.startsWith(path)"},
		{"pages below are left out", "|| request.uri.startsWith(path + '/')", ""},
		{"an unfair draw", "if (n < 0) {", "if (n <= 0) {"},
		{"weights do not count", "n -= variants[i].weight;", "n -= 34;"},
		{"the last variant instead of the first", "return variants[0];", "return variants[variants.length - 1];"},
		{"the draw does not depend on the experiment", "experiment.id + ':' +", "'' +"},
		{"the path is not rewritten", "request.uri = (variant.prefix || '') + request.uri;", ""},
		{"a cookie with every response", "if (!cookie || cookie.value !== parts[1])", "if (true)"},
		{"a cookie for new viewers only", "if (!cookie || cookie.value !== parts[1])", "if (!cookie)"},
		{"a cookie for the session", "Max-Age=2592000; ", ""},
		{"no try", "console.log('no experiment: ' + e.message);", "throw e;"},
	},
	"jwt": {
		{"the algorithm is not looked at", "header.alg !== 'HS256' || ", ""},
		{"any HS is taken", "header.alg !== 'HS256'", "!String(header.alg).startsWith('HS')"},
		{"any case is taken", "header.alg !== 'HS256'", "String(header.alg).toUpperCase() !== 'HS256'"},
		{"a list of algorithms is taken", "header.alg !== 'HS256'", "String(header.alg) !== 'HS256'"},
		{"none is taken", "header.alg !== 'HS256'", "header.alg !== 'HS256' && header.alg !== 'none'"},
		{"extensions are not looked at", " || header.crit !== undefined", ""},
		{"the signature is not looked at", "if (!equal(signature, parts[2])) {", "if (false) {"},
		{"the beginning of a signature is enough", "equal(signature, parts[2])", "signature.startsWith(parts[2])"},
		{"the first character is not compared", "let i = 0;", "let i = 1;"},
		{"the last character is not compared", "i < a.length;", "i < a.length - 1;"},
		{"only the last character is compared", "difference |=", "difference ="},
		{"the length is not compared", "if (a.length !== b.length)", "if (false)"},
		{"the header is not signed", "update(parts[0] + '.' + parts[1])", "update(parts[1])"},
		{"the key id may be a path", "!/^[\\w-]{1,64}$/.test(kid)", "false"},
		{"the key id may be a number", "typeof kid !== 'string' || ", ""},
		{"keys are not told apart", "kvs.get('jwt/' + kid)", "kvs.get('jwt/k1')"},
		{"short keys are taken", "secret.length < MIN_SECRET_BYTES", "false"},
		{"expiry is not looked at", "!Number.isFinite(claims.exp) || claims.exp + LEEWAY_SECONDS <= now", "false"},
		{"expiry may be missing", "!Number.isFinite(claims.exp) || ", ""},
		{"expiry may be infinite", "!Number.isFinite(claims.exp) || ", "typeof claims.exp !== 'number' || "},
		{"a second too long", "LEEWAY_SECONDS <= now", "LEEWAY_SECONDS < now"},
		{"no leeway", "claims.exp + LEEWAY_SECONDS", "claims.exp"},
		{"nbf is not looked at", "claims.nbf - LEEWAY_SECONDS > now", "false"},
		{"nbf may be text", "!Number.isFinite(claims.nbf) || ", ""},
		{"nbf must be there", "claims.nbf !== undefined && ", ""},
		{"nbf without leeway", "claims.nbf - LEEWAY_SECONDS", "claims.nbf"},
		{"the issuer is not looked at", "claims.iss !== ISSUER || ", ""},
		{"the audience is not looked at", " || ![].concat(claims.aud).includes(AUDIENCE)", ""},
		{"lists of audiences are refused", "![].concat(claims.aud).includes(AUDIENCE)", "claims.aud !== AUDIENCE"},
		{"any subject goes into the header", " || !/^[\\x21-\\x7e]{1,128}$/.test(claims.sub)", ""},
		{"the viewer's x-user counts", "request.headers['x-user'] = {", "request.headers['x-user'] = request.headers['x-user'] || {"},
		{"two headers", "match && !header.multiValue", "match"},
		{"two cookies", "cookie && !cookie.multiValue", "cookie"},
		{"the cookie counts too", "return match && !header.multiValue ? match[1] : '';", "if (match && !header.multiValue) { return match[1]; }"},
		{"the scheme is case-sensitive", "$/i.exec", "$/.exec"},
		{"claims that are no object", "value === null || typeof value !== 'object'", "value === null"},
		{"an error lets in", "return unauthorized('Bearer error=\"invalid_token\"');", "return request;"},
	},
	"maintenance": {
		{"always on", "!state || state.on !== true", "false"},
		{"on if it says anything", "state.on !== true", "!state.on"},
		{"null breaks it", "!state || ", ""},
		{"a missing switch is logged", "if (!String(e).includes('KeyNotFound'))", "if (true)"},
		{"a broken switch closes", "        return request;\n    }\n    if (!state ", "        return unavailable();\n    }\n    if (!state "},
		{"paths are not looked at", "(state.paths || []).includes(request.uri) || ", ""},
		{"paths must be there", "(state.paths || [])", "state.paths"},
		{"the list must be there", "(state.allow || [])", "state.allow"},
		{"the list is not looked at", "(state.allow || []).some(range => contains(range, event.viewer.ip))", "false"},
		{"everybody is on the list", "(state.allow || []).some(range => contains(range, event.viewer.ip))", "true"},
		{"the proxy's word counts", "contains(range, event.viewer.ip)", "contains(range, (request.headers['x-forwarded-for'] || {value: event.viewer.ip}).value)"},
		{"families are not told apart", " || network.length !== address.length", ""},
		{"only whole bytes are compared", "(0xff00 >> Math.min(8, bits - i * 8)) & 0xff", "0xff"},
		{"the last byte is not compared", "i * 8 < bits;", "i * 8 < bits - 8;"},
		{"/BITS of any number", "!(bits >= 0 && bits <= all) || ", ""},
		{"an empty /BITS", " || slash === range.length - 1", ""},
		{"bytes over 255", " && Number(p) < 256", ""},
		{"two double colons", "halves.length > 2 || ", ""},
		{"upper case is no hex", "/^[0-9a-f]{1,4}$/i", "/^[0-9a-f]{1,4}$/"},
		{"any cookie opens", "token !== '' && token === value", "true"},
		{"an empty token opens", "token !== '' && ", ""},
		{"the token is not read", "return token !== '' && token === value;", "return false;"},
		{"a missing token breaks it", "        return false;\n    }\n}\n\nfunction unavailable", "        throw e;\n    }\n}\n\nfunction unavailable"},
		{"a negative wait", "seconds > 0 ? seconds : DEFAULT_RETRY_SECONDS", "seconds"},
		{"no wait", "seconds > 0 ?", "seconds >= 0 ?"},
		{"rounded down", "Math.ceil(", "Math.floor("},
		{"browsers keep it", "'cache-control': { value: 'no-store' },", ""},
		{"always a page", "accept !== undefined && accept.value.includes('application/json')", "false"},
		{"Accept must be there", "accept !== undefined && ", ""},
	},
	"country-routing": {
		{"nothing is blocked", "if (located === '451')", "if (false)"},
		{"assets are not blocked", "if (located === '451')", "if (located === '451' && !UNROUTED.test(request.uri))"},
		{"the choice unblocks", "lookup(code(request.headers['cloudfront-viewer-country']))", "lookup(code(request.cookies.country || request.headers['cloudfront-viewer-country']))"},
		{"prefixes pile up", "if (UNROUTED.test(request.uri))", "if (false)"},
		{"paths that begin alike", "(?:\\/|$)", ""},
		{"a prefix alone is routed", "(?:\\/|$)", "\\/"},
		{"the choice does not count", "chosen ? await lookup(chosen) : located", "located"},
		{"a bad choice goes to the default", "        prefix = located;\n", "        prefix = '';\n"},
		{"no default", "await lookup('*')", "''"},
		{"any key may be chosen", "/^[A-Z]{2}$/.test(value) ? value : ''", "value"},
		{"upper case only", ".value.toUpperCase()", ".value"},
		{"any value is a prefix", "return /^\\/[a-z]{2}$/.test(value);", "return value !== '';"},
		{"a missing key breaks it", "        return '';\n    }\n}", "        throw e;\n    }\n}"},
		{"a missing key is logged", "if (!String(e).includes('KeyNotFound'))", "if (true)"},
		{"the path is lost", "request.uri = prefix + request.uri;", "request.uri = prefix;"},
	},
	"signed-url": {
		{"the signature is not looked at", "if (!equal(expected, signature)) {", "if (false) {"},
		{"the beginning of a signature is enough", "equal(expected, signature)", "expected.startsWith(signature)"},
		{"the first character is not compared", "let i = 0;", "let i = 1;"},
		{"the last character is not compared", "i < a.length;", "i < a.length - 1;"},
		{"only the last character is compared", "difference |=", "difference ="},
		{"the length is not compared", "if (a.length !== b.length)", "if (false)"},
		{"the expiry is not signed", "request.uri + '\\n' + expires", "request.uri + '\\n'"},
		{"the path is not signed", "request.uri + '\\n' + expires", "'\\n' + expires"},
		{"the path is decoded", "update(request.uri +", "update(decodeURIComponent(request.uri) +"},
		{"the expiry is not looked at", "Number(expires) <= Date.now() / 1000", "false"},
		{"a second too long", "Number(expires) <= Date.now() / 1000", "Number(expires) < Date.now() / 1000"},
		{"milliseconds", "Date.now() / 1000", "Date.now()"},
		{"any expiry is taken", "!/^\\d{10}$/.test(expires) || ", ""},
		{"any key id is taken", " || !/^[\\w-]{1,64}$/.test(kid)", ""},
		{"keys are not told apart", "kvs.get('url/' + kid)", "kvs.get('url/k1')"},
		{"short keys are taken", "secret.length < MIN_SECRET_BYTES", "false"},
		{"of two parameters the first is taken", "if (!entry || entry.multiValue)", "if (!entry)"},
		{"the expiry reaches the origin", "delete request.querystring.expires;", ""},
		{"the key id reaches the origin", "delete request.querystring.kid;", ""},
		{"the signature reaches the origin", "delete request.querystring.sig;", ""},
		{"the other parameters are lost", "delete request.querystring.sig;", "request.querystring = {};"},
		{"an error lets in", "statusCode: 403", "statusCode: 200"},
		{"caches keep the refusal", "'cache-control': { value: 'no-store' }", ""},
	},
}

// TestCasesFindFaults shows that the cases of each example can fail: with any
// one fault in its function some of them do.
func TestCasesFindFaults(t *testing.T) {
	names := folders(t)
	for folder := range mutants {
		if !slices.Contains(names, folder) {
			t.Errorf("there are faults for %s, but no such example", folder)
		}
	}
	for _, folder := range names {
		if len(mutants[folder]) < 10 {
			t.Errorf("only %d faults for %s", len(mutants[folder]), folder)
		}
		code := string(read(t, folder, "function.js"))
		for _, m := range mutants[folder] {
			t.Run(fmt.Sprintf("%s/%s", folder, m.fault), func(t *testing.T) {
				t.Parallel()
				if n := strings.Count(code, m.from); n != 1 {
					t.Fatalf("%q is %d times in the function", m.from, n)
				}
				file := filepath.Join(t.TempDir(), "function.js")
				if err := os.WriteFile(file, []byte(strings.Replace(code, m.from, m.to, 1)), 0o600); err != nil {
					t.Fatal(err)
				}
				if code, printed := runCases(t, folder, file); code != 1 || !strings.Contains(printed, "cases failed") {
					t.Errorf("no case fails, exit code %d\n%s", code, printed)
				}
			})
		}
	}
}
