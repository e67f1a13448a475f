package cfjs

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// njsBinary returns the engine that the tests compare with: POPKV_NJS, or njs
// in the path (Debian package njs). Without one the test is skipped.
func njsBinary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("POPKV_NJS"); path != "" {
		return path
	}
	path, err := exec.LookPath("njs")
	if err != nil {
		if file := os.Getenv("POPKV_NOT_RUN"); file != "" {
			appendLine(t, file, "comparison with njs: "+t.Name())
		}
		t.Skip("needs the njs binary: install the package njs or set POPKV_NJS")
	}
	return path
}

// appendLine notes a test that did not run for the summary of make test-all.
func appendLine(t testing.TB, file, line string) {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

// runNJS runs source as a script in the engine and returns what it printed.
func runNJS(t testing.TB, njs, source string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "f.js")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	// Safe mode, as a host that runs other people's code has it.
	out, err := exec.CommandContext(ctx, njs, "-u", "-r", file).CombinedOutput()
	if ctx.Err() != nil {
		return "<timeout>"
	}
	if err != nil && len(out) == 0 {
		return "<" + err.Error() + ">"
	}
	return strings.ReplaceAll(string(out), file, "FILE")
}

var thrownLine = regexp.MustCompile(`(?s)^Thrown:\n(.*?)(?: in FILE:(\d+))?\n*$`)

// njsLoads asks the engine whether it loads source; "" means it does.
func njsLoads(t testing.TB, njs, source string) string {
	t.Helper()
	// The program stops before its first statement, so only loading is seen.
	out := runNJS(t, njs, "throw 'loaded';"+source)
	if strings.HasPrefix(out, "Thrown:\nloaded") || strings.Contains(out, "\n    at main (") {
		return ""
	}
	m := thrownLine.FindStringSubmatch(out)
	if m == nil {
		return out
	}
	if m[2] != "" {
		return m[1] + " in " + m[2]
	}
	return m[1]
}

// seededRand returns a source of randomness. Its seed is printed, the same each
// time, drawn anew with POPKV_SEED=random for a search, or given by
// POPKV_SEED to run a failure again.
func seededRand(t *testing.T) *rand.Rand {
	seed := uint64(1)
	switch s := os.Getenv("POPKV_SEED"); s {
	case "":
	case "random":
		seed = rand.Uint64()
	default:
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("POPKV_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// longer returns n, or n times factor when POPKV_SEARCH=1 asks for a search. A
// search is not part of the tests: it still finds differences in the wording
// of syntax errors and in the conversion of huge numbers, see
// docs/guide/functions.md.
func longer(n, factor int) int {
	if os.Getenv("POPKV_SEARCH") == "1" {
		return n * factor
	}
	return n
}
