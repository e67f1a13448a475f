package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv/internal/cfjs"
)

func TestPercentiles(t *testing.T) {
	r := newReplayReport(0)
	for i := range 100 {
		r.add(logEntry{method: "GET", target: "/"}, cfjs.ViewerRequest,
			cfjs.Result{Failure: cfjs.ExecutionError, ErrorMessage: fmt.Sprint("message ", i%3), ComputeUtilization: i + 1})
	}
	r.finish()
	if diff := cmp.Diff(percentiles{50, 90, 99, 100}, r.Utilization); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]failureCount{{"message 0", 34}, {"message 1", 33}, {"message 2", 33}}, r.Failures); diff != "" {
		t.Error(diff)
	}
	if len(r.Examples) != 0 {
		t.Errorf("%d examples, none were asked for", len(r.Examples))
	}
	for i := range 10 * maxFailures {
		r.failed(fmt.Sprint("other ", i))
	}
	if len(r.Failures) != maxFailures {
		t.Errorf("%d messages are kept", len(r.Failures))
	}
}

func TestProgressBar(t *testing.T) {
	var terminal bytes.Buffer
	bar := &progressBar{w: &terminal, on: true, total: 200}
	log := bar.watch(strings.NewReader(strings.Repeat("x", 100)))
	if n, err := log.Read(make([]byte, 100)); n != 100 || err != nil {
		t.Fatal(n, err)
	}
	bar.clear()
	if want := "\r[" + strings.Repeat("=", 15) + strings.Repeat(" ", 15) + "]  50 %\r\x1b[K"; terminal.String() != want {
		t.Errorf("%q, want %q", terminal.String(), want)
	}
	bar.total = 0
	if got := bar.text(); got != "0 KiB" {
		t.Errorf("%q of a file of unknown size", got)
	}

	// What is not a terminal sees nothing of it.
	terminal.Reset()
	bar.on = false
	bar.draw()
	bar.clear()
	if terminal.Len() != 0 {
		t.Errorf("%q", terminal.String())
	}
}
