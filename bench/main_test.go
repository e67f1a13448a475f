package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// planVariable holds a [plan] in the environment of a process that is to be a
// server instead of a benchmark.
const planVariable = "BENCH_PLAN"

func TestMain(m *testing.M) {
	text, child := os.LookupEnv(planVariable)
	if !child {
		os.Exit(m.Run())
	}
	var p plan
	err := json.Unmarshal([]byte(text), &p)
	if err == nil {
		err = p.serve(os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench server:", err)
		os.Exit(1)
	}
}
