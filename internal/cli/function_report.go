package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/popkv/popkv/internal/cfjs"
)

// A replayReport is what a function did with the requests of a log.
type replayReport struct {
	Requests   int `json:"Requests"`     // that the function ran for
	NotInvoked int `json:"NotInvoked"`   // that it does not run for
	Skipped    int `json:"SkippedLines"` // lines that are no requests

	Unchanged int `json:"Unchanged"` // passed on as they were
	Rewritten int `json:"Rewritten"` // passed on, but changed
	Answered  int `json:"Answered"`  // answered by the function, or with a changed answer
	Failed    int `json:"Failed"`

	Changes     []statusChange `json:"ChangedResponses"` // status in the log against the status now
	Failures    []failureCount `json:"Failures"`
	Examples    []replayLine   `json:"Examples"` // the first of both, as many as were asked for
	Utilization percentiles    `json:"ComputeUtilization"`

	show      int
	histogram [101]int // runs by utilization
}

// A statusChange counts responses whose status would be another one. From is
// what the log says, or "function" where a function answered; To is "origin"
// where no function answers any more.
type statusChange struct {
	From  string `json:"From"`
	To    string `json:"To"`
	Count int    `json:"Count"`
}

// A failureCount counts runs that failed in the same way.
type failureCount struct {
	Message string `json:"FunctionErrorMessage"`
	Count   int    `json:"Count"`
}

// A replayLine is one line of the log and what became of it.
type replayLine struct {
	Line    int    `json:"Line"`
	Request string `json:"Request"`
	Outcome string `json:"Outcome"`
}

// percentiles are of the compute utilization, in percent.
type percentiles struct {
	P50 int `json:"P50"`
	P90 int `json:"P90"`
	P99 int `json:"P99"`
	Max int `json:"Max"`
}

func newReplayReport(show int) *replayReport {
	return &replayReport{show: show, Changes: []statusChange{}, Failures: []failureCount{}, Examples: []replayLine{}}
}

// add counts one run.
func (r *replayReport) add(e logEntry, kind cfjs.EventType, result cfjs.Result) {
	r.Requests++
	r.histogram[result.ComputeUtilization]++
	event := e.event(kind)
	switch {
	case result.Failure != cfjs.NoFailure:
		r.Failed++
		r.failed(strings.TrimSpace(result.ErrorMessage))
		r.example(e, strings.TrimSpace(result.ErrorMessage))
	case result.Response != nil:
		r.answered(e, event, result)
	default:
		if sameOutput(cfjs.Result{Request: &event.Request}, result) && result.Origin == nil {
			r.Unchanged++
		} else {
			r.Rewritten++
		}
		if e.generated && kind == cfjs.ViewerRequest {
			r.changed(e, "function", "origin")
		}
	}
}

// answered counts a run that returned a response. In a viewer-response event
// that is what it was given, changed or not.
func (r *replayReport) answered(e logEntry, event *cfjs.Event, result cfjs.Result) {
	if event.Response != nil && sameOutput(cfjs.Result{Response: event.Response}, result) {
		r.Unchanged++
		return
	}
	r.Answered++
	if result.Response.StatusCode == e.status {
		return
	}
	to := strconv.Itoa(result.Response.StatusCode)
	r.changed(e, strconv.Itoa(e.status), to)
}

func sameOutput(a, b cfjs.Result) bool { return a.Output() == b.Output() }

func (r *replayReport) changed(e logEntry, from, to string) {
	r.example(e, from+" -> "+to)
	for i := range r.Changes {
		if r.Changes[i].From == from && r.Changes[i].To == to {
			r.Changes[i].Count++
			return
		}
	}
	r.Changes = append(r.Changes, statusChange{from, to, 1})
}

func (r *replayReport) failed(message string) {
	for i := range r.Failures {
		if r.Failures[i].Message == message {
			r.Failures[i].Count++
			return
		}
	}
	if len(r.Failures) < maxFailures {
		r.Failures = append(r.Failures, failureCount{message, 1})
	}
}

// maxFailures bounds the different messages that are counted: a function may
// put anything into one.
const maxFailures = 100

func (r *replayReport) example(e logEntry, outcome string) {
	if len(r.Examples) < r.show {
		r.Examples = append(r.Examples, replayLine{e.line, e.method + " " + e.target, outcome})
	}
}

// finish orders the counts and works out the percentiles.
func (r *replayReport) finish() {
	slices.SortStableFunc(r.Changes, func(a, b statusChange) int { return b.Count - a.Count })
	slices.SortStableFunc(r.Failures, func(a, b failureCount) int { return b.Count - a.Count })
	r.Utilization = percentiles{r.percentile(50), r.percentile(90), r.percentile(99), r.percentile(100)}
}

// percentile is the utilization that so many percent of the runs do not exceed.
func (r *replayReport) percentile(percent int) int {
	seen := 0
	for utilization, n := range r.histogram {
		if seen += n; seen*100 >= r.Requests*percent {
			return utilization
		}
	}
	return 0
}

// header and cells are the counts alone, for CSV.
func (*replayReport) header() []string {
	return []string{"Requests", "NotInvoked", "SkippedLines", "Unchanged", "Rewritten", "Answered", "ChangedResponses", "Failed", "P50", "P90", "P99", "Max"}
}

func (r *replayReport) cells() []string {
	changed := 0
	for _, c := range r.Changes {
		changed += c.Count
	}
	var cells []string
	for _, n := range []int{r.Requests, r.NotInvoked, r.Skipped, r.Unchanged, r.Rewritten, r.Answered, changed, r.Failed,
		r.Utilization.P50, r.Utilization.P90, r.Utilization.P99, r.Utilization.Max} {
		cells = append(cells, strconv.Itoa(n))
	}
	return cells
}

// print prints the report; for people as a few sentences.
func (r *replayReport) print(out *output) error {
	r.finish()
	if out.String() != "table" {
		return one(out, r)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d", out.heading("Requests:"), r.Requests)
	if r.NotInvoked > 0 {
		fmt.Fprintf(&b, ", and %d that the function is not invoked for", r.NotInvoked)
	}
	if r.Skipped > 0 {
		fmt.Fprintf(&b, ", %d lines are none", r.Skipped)
	}
	fmt.Fprintf(&b, "\n  unchanged %d, rewritten %d, answered %d, failed %d\n", r.Unchanged, r.Rewritten, r.Answered, r.Failed)
	fmt.Fprintf(&b, "%s p50 %d %%, p90 %d %%, p99 %d %%, max %d %%\n", out.heading("Utilization:"),
		r.Utilization.P50, r.Utilization.P90, r.Utilization.P99, r.Utilization.Max)
	if len(r.Changes) > 0 {
		fmt.Fprintf(&b, "%s\n", out.heading("Changed responses:"))
	}
	for _, c := range r.Changes {
		fmt.Fprintf(&b, "  %6d  %s -> %s\n", c.Count, c.From, c.To)
	}
	if len(r.Failures) > 0 {
		fmt.Fprintf(&b, "%s\n", out.heading("Failures:"))
	}
	for _, f := range r.Failures {
		fmt.Fprintf(&b, "  %6d  %s\n", f.Count, printable(f.Message))
	}
	if len(r.Examples) > 0 {
		fmt.Fprintf(&b, "%s\n", out.heading("Examples:"))
	}
	for _, l := range r.Examples {
		fmt.Fprintf(&b, "  line %d: %s: %s\n", l.Line, printable(l.Request), printable(l.Outcome))
	}
	_, err := io.WriteString(out.w, b.String())
	return err
}
