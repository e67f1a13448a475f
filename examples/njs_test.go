package examples

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// njsBinary returns the engine of the real service, as in package cfjs:
// POPKV_NJS, or njs in the path. Without one the test is skipped, and noted for
// the summary of make test-all.
func njsBinary(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("POPKV_NJS"); path != "" {
		return path
	}
	path, err := exec.LookPath("njs")
	if err != nil {
		if file := os.Getenv("POPKV_NOT_RUN"); file != "" {
			f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteString("examples with njs: " + t.Name() + "\n"); err != nil {
				t.Fatal(err)
			}
		}
		t.Skip("needs the njs binary: install the package njs or set POPKV_NJS")
	}
	return path
}

var cloudfrontImport = regexp.MustCompile(`(?m)^import (\w+) from 'cloudfront';$`)

// onNJS runs an example's function over the example's cases in the real engine,
// with a cloudfront module of a few lines, and returns what it printed: a line
// for each case that fails, and "done N" after the last.
func onNJS(t *testing.T, njs, folder, code string) string {
	t.Helper()
	var document struct {
		Data []struct{ Key, Value string }
	}
	if err := json.Unmarshal(read(t, folder, "store.json"), &document); err != nil {
		t.Fatal(err)
	}
	items := map[string]string{}
	for _, item := range document.Data {
		items[item.Key] = item.Value
	}
	store, err := json.Marshal(items)
	if err != nil {
		t.Fatal(err)
	}
	code = cloudfrontImport.ReplaceAllString(code, "const $1 = CLOUDFRONT;")
	code = strings.Replace(code, "import crypto from 'crypto';", "const crypto = require('crypto');", 1)
	source := strings.NewReplacer("STORE", string(store), "CASES", string(read(t, folder, "cases.json")), "CODE", code).Replace(njsHarness)
	file := filepath.Join(t.TempDir(), "f.js")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, njs, "-u", "-r", file).CombinedOutput()
	if ctx.Err() != nil {
		t.Fatal(context.Cause(ctx))
	}
	if err != nil && len(out) == 0 {
		t.Fatal(err)
	}
	return string(out)
}

// njsHarness does what `popkv function test --cases` does, for what the
// examples need of it. The function is made anew for each case.
const njsHarness = `
var file = CASES;
var output = console;
function load(CLOUDFRONT, console) {
CODE
return handler; }
function merge(target, patch) {
	if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) { return patch; }
	var merged = {};
	if (target !== null && typeof target === 'object' && !Array.isArray(target)) { Object.assign(merged, target); }
	Object.keys(patch).forEach(function (k) {
		if (patch[k] === null) { delete merged[k]; } else { merged[k] = merge(merged[k], patch[k]); }
	});
	return merged;
}
function copy(v) { return JSON.parse(JSON.stringify(v)); }
function normal(v) {
	if (v === null || typeof v !== 'object') { return JSON.stringify(v); }
	if (Array.isArray(v)) { return '[' + v.map(normal).join() + ']'; }
	return '{' + Object.keys(v).filter(function (k) { return v[k] !== undefined; }).sort().map(function (k) { return k + ':' + normal(v[k]); }).join() + '}';
}
function model(v) {
	v = merge(v.statusCode ? {headers: {}, cookies: {}} : {headers: {}, cookies: {}, querystring: {}}, v);
	return normal(v);
}
function query(q) {
	var parts = [];
	Object.keys(q).forEach(function (name) {
		(q[name].multiValue || [q[name]]).forEach(function (v) { parts.push(v.value === '' ? name : name + '=' + v.value); });
	});
	return parts.length ? parts.join('&') : undefined;
}
function kvs(items) {
	return {
		get: function (key, options) {
			return new Promise(function (resolve, reject) {
				if (!(key in items)) { reject(new Error('KeyNotFound')); return; }
				try { resolve(options && options.format === 'json' ? JSON.parse(items[key]) : items[key]); } catch (e) { reject(e); }
			});
		},
		exists: function (key) { return Promise.resolve(key in items); },
	};
}
async function runCase(c) {
	var event = copy(merge(file.event, c.event || {}));
	if (event.response) { event.response = merge({headers: {}, cookies: {}}, event.response); }
	var given = copy(event);
	event.request.rawQueryString = function () { return query(given.request.querystring); };
	var items = merge(STORE, c.items || {});
	var now = c.now || file.now;
	Date.now = function () { return Date.parse(now); };
	var logs = [];
	var got;
	try {
		var handler = load({kvs: function () { return kvs(items); }}, {log: function (line) { logs.push(String(line)); }});
		got = await handler(event);
	} catch (e) {
		return String(e);
	}
	if (c.request ? got.statusCode : !got.statusCode) { return 'the other kind of object'; }
	got = model(copy(got));
	var want = model(c.request ? merge(given.request, c.request) : merge(given.response || {}, c.response));
	if (got !== want) { return 'got ' + got + ', want ' + want; }
	if (c.logs && normal(logs) !== normal(c.logs)) { return 'log: got ' + normal(logs) + ', want ' + normal(c.logs); }
	return '';
}
async function main() {
	for (var i = 0; i < file.cases.length; i++) {
		var difference = await runCase(file.cases[i]);
		if (difference) { output.log((file.cases[i].name + ': ' + difference).slice(0, 1500)); }
	}
	output.log('done ' + file.cases.length);
}
main();
`

// TestExamplesOnNJS runs each example in the real engine: it parses the
// function, and every case comes out as here.
func TestExamplesOnNJS(t *testing.T) {
	njs := njsBinary(t)
	for _, folder := range folders(t) {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			var cases struct{ Cases []struct{} }
			if err := json.Unmarshal(read(t, folder, "cases.json"), &cases); err != nil {
				t.Fatal(err)
			}
			code := string(read(t, folder, "function.js"))
			if got, want := onNJS(t, njs, folder, code), "done "+strconv.Itoa(len(cases.Cases))+"\n"; got != want {
				t.Errorf("%s", got)
			}

			// The comparison can fail.
			broken := strings.Replace(code, "return request;", "request.uri = '/broken'; return request;", -1)
			if got := onNJS(t, njs, folder, broken); !strings.Contains(got, ": got {") {
				t.Errorf("a broken function is not noticed: %s", got)
			}
			if got := onNJS(t, njs, folder, code+"\nconst a = event?.b;"); !strings.Contains(got, "SyntaxError") {
				t.Errorf("a syntax error is not noticed: %s", got)
			}
		})
	}
}
