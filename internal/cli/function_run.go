package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/popkv/popkv/internal/cfjs"
	"github.com/popkv/popkv/internal/cfworker"
)

// A runRow is what one run came to, in the words of the API's TestResult.
type runRow struct {
	Output       string   `json:"FunctionOutput"`
	Logs         []string `json:"FunctionExecutionLogs"`
	ErrorMessage string   `json:"FunctionErrorMessage"`
	Utilization  string   `json:"ComputeUtilization"`
}

func (runRow) header() []string {
	return []string{"FunctionOutput", "FunctionExecutionLogs", "FunctionErrorMessage", "ComputeUtilization"}
}

func (r runRow) cells() []string {
	return []string{r.Output, strings.Join(r.Logs, "\n"), r.ErrorMessage, r.Utilization}
}

func newRunRow(r cfjs.Result) runRow {
	return runRow{Output: r.Output(), Logs: r.Logs, ErrorMessage: r.ErrorMessage, Utilization: strconv.Itoa(r.ComputeUtilization)}
}

// errFunctionFailed makes the exit code of a run whose function failed; what
// went wrong is part of the result.
var errFunctionFailed = errors.New("the function failed")

func (a *app) functionTestCommand() *cobra.Command {
	var event, cases string
	cmd := &cobra.Command{
		Use: "test FILE (--event EVENT.json | --cases CASES.json)", Short: "Run a function on this machine", Args: exactly(1),
		Long: `Run a function on this machine, as CloudFront would, and print its output, what
it logged and its compute utilization. The exit code is 1 if the function fails.

The store is a JSON file, {"key":"value"} or an import document. With ID=FILE
the function finds it under that id only.

With --cases a file says what runs must come to, and the exit code is 1 if one
does not. The guide's page on functions describes that file.`,
	}
	local, out := a.addLocal(cmd), a.addOutput(cmd)
	cmd.Flags().StringVar(&event, "event", "", "file with the event, - for stdin")
	cmd.Flags().StringVar(&cases, "cases", "", "file with events and what each must come to, - for stdin")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case event == "" && cases == "":
			return usagef(cmd, "--event and --cases name no file")
		case event != "" && cases != "":
			return usagef(cmd, "--event and --cases exclude each other")
		}
		text, err := a.readFile(event + cases)
		if err != nil {
			return err
		}
		var e cfjs.Event
		var f caseFile
		if cases != "" {
			f, err = readCases(text)
		} else {
			e, err = cfjs.ParseEvent(text)
		}
		if err != nil {
			return during(err, "read %s", event+cases)
		}
		function, err := local.open(cmd, args[0])
		if err != nil {
			return err
		}
		defer function.close()
		if cases != "" {
			return a.runCases(cmd, out, function, f)
		}
		result, err := cfworker.Measure(cmd.Context(), function.runner, function.call(&e))
		if err != nil {
			return during(err, "run %s", args[0])
		}
		if err := a.printRun(out, newRunRow(result)); err != nil {
			return err
		}
		if result.Failure != cfjs.NoFailure {
			return errFunctionFailed
		}
		return nil
	}
	return cmd
}

// printRun prints a run; for people the output as a document, with the rest
// below.
func (a *app) printRun(out *output, r runRow) error {
	if out.String() != "table" {
		return one(out, r)
	}
	var b strings.Builder
	if r.Output != "" {
		text := jsontext.Value(r.Output)
		if err := text.Indent(jsontext.WithIndent("  ")); err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s\n", text)
	}
	for _, line := range r.Logs {
		fmt.Fprintf(&b, "%s %s\n", out.heading("Log:"), printable(line))
	}
	if r.ErrorMessage != "" {
		fmt.Fprintf(&b, "%s %s\n", out.heading("Error:"), printable(strings.TrimSpace(r.ErrorMessage)))
	}
	fmt.Fprintf(&b, "%s %s %%\n", out.heading("Utilization:"), r.Utilization)
	_, err := io.WriteString(a.stdout, b.String())
	return err
}
