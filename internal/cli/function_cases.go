package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/popkv/popkv/internal/cfjs"
	"github.com/popkv/popkv/internal/cfworker"
)

// A caseFile is what --cases names: runs of one function and what each must
// come to. Event is what the events of the cases have in common.
type caseFile struct {
	Now   time.Time      `json:"now"` // what Date says; zero is the time of the run
	Event jsontext.Value `json:"event"`
	Cases []functionCase `json:"cases"`
}

// A functionCase is one run. Event is a JSON merge patch (RFC 7396) on the
// event of the file. Exactly one of Request, Response and Error is set: the
// first two are merge patches on what the event has under that name, so that
// an empty one means "passed on as it was".
type functionCase struct {
	Name     string             `json:"name"`
	Now      time.Time          `json:"now"`
	Event    jsontext.Value     `json:"event"`
	Items    map[string]*string `json:"items"` // in place of the store's; null is a missing key
	Request  jsontext.Value     `json:"request"`
	Response jsontext.Value     `json:"response"`
	Error    string             `json:"error"` // part of the FunctionErrorMessage
	Logs     []string           `json:"logs"`  // all lines; nil is not compared
}

// readCases reads a case file. A member that no one reads is an error: a case
// with a misspelt expectation would pass.
func readCases(text []byte) (caseFile, error) {
	var f caseFile
	if err := json.Unmarshal(text, &f, json.RejectUnknownMembers(true)); err != nil {
		return f, err
	}
	if len(f.Cases) == 0 {
		return f, errors.New("there are no cases in it")
	}
	names := map[string]bool{}
	for _, c := range f.Cases {
		if c.Name == "" || names[c.Name] {
			return f, fmt.Errorf("two cases are named %q, or one is not named", c.Name)
		}
		names[c.Name] = true
		expectations := 0
		for _, set := range []bool{c.Request != nil, c.Response != nil, c.Error != ""} {
			if set {
				expectations++
			}
		}
		if expectations != 1 {
			return f, fmt.Errorf("case %q must have one of request, response and error", c.Name)
		}
	}
	return f, nil
}

// event is the event of a case.
func (f *caseFile) event(c *functionCase) (cfjs.Event, jsontext.Value, error) {
	text, err := mergePatch(cmp.Or(string(f.Event), "{}"), cmp.Or(string(c.Event), "{}"))
	if err != nil {
		return cfjs.Event{}, nil, err
	}
	event, err := cfjs.ParseEvent(text)
	return event, text, err
}

// output is the FunctionOutput that a case expects, "" if that is an error.
func (c *functionCase) output(event jsontext.Value) (string, error) {
	patch := `{"context":{"eventType":"viewer-request"},"request":` + string(c.Request) + `}`
	switch {
	case c.Error != "":
		return "", nil
	case c.Response != nil:
		patch = `{"context":{"eventType":"viewer-response"},"response":` + string(c.Response) + `}`
	}
	text, err := mergePatch(string(event), patch)
	if err != nil {
		return "", err
	}
	want, err := cfjs.ParseEvent(text)
	if err != nil {
		return "", err
	}
	result := cfjs.Result{Request: &want.Request}
	if c.Response != nil {
		result = cfjs.Result{Response: want.Response}
	}
	return result.Output(), nil
}

// store is the store of a case: the function's with the items of the case.
func (c *functionCase) store(base cfjs.Store) cfjs.Store {
	if c.Items == nil {
		return base
	}
	patched := &cfjs.MapStore{Items: map[string]string{}}
	if base, ok := base.(*cfjs.MapStore); ok {
		patched.Items, patched.About = maps.Clone(base.Items), base.About
	}
	for key, value := range c.Items {
		if value == nil {
			delete(patched.Items, key)
		} else {
			patched.Items[key] = *value
		}
	}
	return patched
}

// compare lists how a run differs from what the case expects.
func (c *functionCase) compare(want string, got runRow) ([]string, error) {
	if message := strings.TrimSpace(got.ErrorMessage); c.Error == "" && message != "" {
		return []string{fmt.Sprintf("error: got %q, want none", message)}, nil
	} else if !strings.Contains(message, c.Error) {
		return []string{fmt.Sprintf("error: got %q, want %q in it", message, c.Error)}, nil
	}
	var found []string
	if want != "" {
		var wantValue, gotValue any
		if err := errors.Join(json.Unmarshal([]byte(want), &wantValue), json.Unmarshal([]byte(got.Output), &gotValue)); err != nil {
			return nil, err
		}
		found = differences("", wantValue, gotValue)
	}
	if c.Logs != nil && !slices.Equal(c.Logs, got.Logs) {
		found = append(found, fmt.Sprintf("log: got %q, want %q", got.Logs, c.Logs))
	}
	return found, nil
}

// differences lists where two JSON values differ. nil stands for no value.
func differences(path string, want, got any) []string {
	w, wantObject := want.(map[string]any)
	g, gotObject := got.(map[string]any)
	if wantObject && gotObject {
		var found []string
		names := maps.Clone(w)
		maps.Copy(names, g)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			found = append(found, differences(strings.TrimPrefix(path+"."+name, "."), w[name], g[name])...)
		}
		return found
	}
	if a, b := shown(want), shown(got); a != b {
		return []string{path + ": got " + b + ", want " + a}
	}
	return nil
}

func shown(v any) string {
	if v == nil {
		return "none"
	}
	text, _ := json.Marshal(v, json.Deterministic(true))
	return string(text)
}

// mergePatch applies a JSON merge patch (RFC 7396). Members keep their order,
// new ones come last: the order of a query string counts.
func mergePatch(target, patch string) (jsontext.Value, error) {
	if jsontext.Value(patch).Kind() != '{' {
		return jsontext.Value(patch), nil
	}
	names, members, err := objectMembers(target)
	if err != nil {
		return nil, err
	}
	patchNames, patches, err := objectMembers(patch)
	if err != nil {
		return nil, err
	}
	for _, name := range patchNames {
		if patches[name].Kind() == 'n' {
			delete(members, name)
			continue
		}
		old, had := members[name]
		if members[name], err = mergePatch(cmp.Or(string(old), "{}"), string(patches[name])); err != nil {
			return nil, err
		}
		if !had {
			names = append(names, name)
		}
	}
	merged := []byte{'{'}
	for _, name := range names {
		if value, ok := members[name]; ok {
			if len(merged) > 1 {
				merged = append(merged, ',')
			}
			if merged, err = jsontext.AppendQuote(merged, name); err != nil {
				return nil, err
			}
			merged = append(append(merged, ':'), value...)
		}
	}
	return append(merged, '}'), nil
}

// objectMembers returns the members of a JSON object with their order; those of
// anything else are none.
func objectMembers(text string) (names []string, members map[string]jsontext.Value, err error) {
	members = map[string]jsontext.Value{}
	dec := jsontext.NewDecoder(strings.NewReader(text))
	if dec.PeekKind() != '{' {
		return nil, members, nil
	}
	if _, err = dec.ReadToken(); err != nil {
		return nil, nil, err
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, nil, err
		}
		key := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, nil, err
		}
		names, members[key] = append(names, key), value.Clone()
	}
	_, err = dec.ReadToken()
	return names, members, err
}

// A caseRow is what became of one case.
type caseRow struct {
	Name        string   `json:"Name"`
	Passed      bool     `json:"Passed"`
	Differences []string `json:"Differences"`
	runRow
}

func (caseRow) header() []string {
	return append([]string{"Name", "Passed", "Differences"}, runRow{}.header()...)
}

func (r caseRow) cells() []string {
	return append([]string{r.Name, fmt.Sprint(r.Passed), strings.Join(r.Differences, "\n")}, r.runRow.cells()...)
}

// runCases runs every case of a file and prints what became of each.
func (a *app) runCases(cmd *cobra.Command, out *output, function *localFunction, cases caseFile) error {
	var rows []caseRow
	failed := 0
	for i := range cases.Cases {
		c := &cases.Cases[i]
		event, text, err := cases.event(c)
		if err != nil {
			return during(err, "case %q", c.Name)
		}
		want, err := c.output(text)
		if err != nil {
			return during(err, "case %q, what it expects", c.Name)
		}
		call := function.call(&event)
		call.Store, call.Now = c.store(call.Store), c.Now
		if call.Now.IsZero() {
			call.Now = cases.Now
		}
		result, err := cfworker.Measure(cmd.Context(), function.runner, call)
		if err != nil {
			return during(err, "case %q", c.Name)
		}
		r := caseRow{Name: c.Name, runRow: newRunRow(result)}
		if r.Differences, err = c.compare(want, r.runRow); err != nil {
			return during(err, "case %q", c.Name)
		}
		if r.Passed = len(r.Differences) == 0; !r.Passed {
			failed++
		}
		rows = append(rows, r)
	}
	if err := a.printCases(out, rows); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d cases failed", failed, len(rows))
	}
	return nil
}

// printCases prints the rows; for people a line each, with the differences and
// the log of a failed case below.
func (a *app) printCases(out *output, rows []caseRow) error {
	if out.String() != "table" {
		return list(out, rows)
	}
	for _, r := range rows {
		word := "ok  "
		if !r.Passed {
			word = "FAIL"
		}
		fmt.Fprintf(a.stdout, "%s %3s %%  %s\n", word, r.Utilization, printable(r.Name))
		for _, d := range r.Differences {
			fmt.Fprintf(a.stdout, "    %s\n", printable(d))
		}
		for _, line := range r.Logs {
			if !r.Passed {
				fmt.Fprintf(a.stdout, "    log: %s\n", printable(line))
			}
		}
	}
	return nil
}
