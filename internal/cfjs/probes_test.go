package cfjs

import (
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
)

// probes reads testdata/probes.txt: one expression or {body} a line; a line
// that ends in a backslash goes on.
func probes(t testing.TB) []string {
	data, err := os.ReadFile("testdata/probes.txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, line := range strings.Split(strings.ReplaceAll(string(data), "\\\n", "\\\x00"), "\n") {
		line = strings.ReplaceAll(line, "\\\x00", "\\\n")
		if line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list
}

// probeFunction is a probe as a function expression.
func probeFunction(probe string) string {
	if strings.HasPrefix(probe, "{") {
		return "function () " + probe
	}
	return "function () { return (" + probe + "\n) }"
}

// probeOnNJS runs a probe in an engine of its own: njs changes the constants of
// a script when it converts them in place, so probes in one script would meet
// each other's leftovers.
func probeOnNJS(t testing.TB, njs, probe string) string {
	return strings.TrimSuffix(runNJS(t, njs, "function probe(f) { try { console.log(f()) } catch (e) { console.log('throws ' + e) } }\n"+
		"probe("+probeFunction(probe)+");\n"), "\n")
}

var (
	probesOnce    sync.Once
	probesPrinted []string
)

// probesOnNJS returns what the engine prints of each probe; two tests ask.
func probesOnNJS(t testing.TB, njs string, list []string) []string {
	probesOnce.Do(func() {
		probesPrinted = make([]string, len(list))
		var group errgroup.Group
		group.SetLimit(4)
		for i, p := range list {
			group.Go(func() error {
				probesPrinted[i] = probeOnNJS(t, njs, p)
				return nil
			})
		}
		_ = group.Wait()
	})
	return probesPrinted
}

func probeHere(t testing.TB, probe string) string {
	code := "var probe = " + probeFunction(probe) + ";\nfunction handler(event) { try { console.log(probe()) } catch (e) { console.log('throws ' + e) } return event.request }"
	r := mustRun(t, code, mustEvent(t, exampleEvent), nil)
	if r.Failure != NoFailure {
		return r.ErrorMessage
	}
	return strings.Join(r.Logs, "\n")
}

// TestProbesAgreeWithNJS runs every language and library feature of the list on
// both engines. They agree, or the difference is in probeDifferences with its
// reason; a reason that is no longer needed fails as well.
func TestProbesAgreeWithNJS(t *testing.T) {
	njs := njsBinary(t)
	list := probes(t)
	if len(list) < 150 {
		t.Fatalf("only %d probes", len(list))
	}
	theirs := probesOnNJS(t, njs, list)
	seen := map[string]bool{}
	for i, p := range list {
		seen[p] = true
		ours := probeHere(t, p)
		reason, differs := probeDifferences[p]
		switch {
		case ours == theirs[i] && differs:
			t.Errorf("%s\nagrees: %q, although a difference is listed (%s)", p, ours, reason)
		case ours != theirs[i] && !differs:
			t.Errorf("%s\n ours %q\n njs  %q", p, ours, theirs[i])
		}
	}
	for p := range probeDifferences {
		if !seen[p] {
			t.Errorf("a difference is listed for a probe that does not exist: %s", p)
		}
	}
	t.Logf("%d probes, %d listed differences", len(list), len(probeDifferences))
}

// probeDifferences are the probes on which the engines differ, and why that is
// left so.
var probeDifferences = map[string]string{
	"0.1 + 0.2":     "njs computes decimal numbers less exactly in the last digit",
	"Math.cbrt(27)": "njs computes decimal numbers less exactly in the last digit",

	"'\\u{1F600}'.length":       "njs counts code points, here UTF-16 units are counted: differs for characters beyond U+FFFF",
	"'İß'.toLowerCase().length": "njs maps character by character; here one may become several",
	"'ß'.toUpperCase()":         "njs maps character by character; here one may become several",

	"'aXbX'.replaceAll('X', '-')":     "documented for CloudFront; njs has it from 0.7.10 on, the package is older",
	"typeof require('buffer').Buffer": "njs describes the constructor as an object",
	"setTimeout":                      "the njs command line has timers, CloudFront does not (documented)",

	"new RegExp('[')":   "messages about regular expressions are those of the library; PCRE's are not rebuilt",
	"Object.keys(null)": "a built-in function does not learn whether it was given null or undefined",
	"new ({})()":        "our engine has one message for every value that is no constructor",
	"TextEncoder()":     "a constructor of the host does not learn whether new was written",

	"{ function f() { f() } try { f() } catch (e) { return e.name + e.message } }": "a program cannot catch the end of the stack here; uncaught, the text is the same",
	"[function () {}, function foo() {}]":                                          "njs names functions in array literals by their index",
	"'2024-05'.match(/(?<y>\\d+)-(?<m>\\d+)/).groups":                              "njs orders some objects by its hash, here the order is that of the pattern",
}
