package cli

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// outputFormats are the values of -o.
func outputFormats() []string { return []string{"table", "json", "jsonl", "csv"} }

// A row is one result: as JSON its exported fields, as a table or CSV its cells.
type row interface {
	header() []string
	cells() []string
}

// An output prints results in the format that the user asked for.
type output struct {
	w      io.Writer
	format string
	color  bool
}

// addOutput defines -o on cmd and its children.
func (a *app) addOutput(cmd *cobra.Command) *output {
	o := &output{w: a.stdout, color: isTerminal(a.stdout) && a.getenv("NO_COLOR") == ""}
	cmd.PersistentFlags().VarP(o, "output", "o", "how to print results: "+strings.Join(outputFormats(), ", "))
	cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputFormats(), cobra.ShellCompDirectiveNoFileComp))
	return o
}

// Set, String and Type make output the value of its own flag.
func (o *output) Set(format string) error {
	if !slices.Contains(outputFormats(), format) {
		return fmt.Errorf("is not one of %s", strings.Join(outputFormats(), ", "))
	}
	o.format = format
	return nil
}

func (o *output) String() string {
	if o.format == "" {
		return "table"
	}
	return o.format
}

func (o *output) Type() string { return "format" }

// isTerminal reports whether f is a terminal; colour and questions need one.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// list prints any number of results: a JSON array, or one line each.
func list[R row](o *output, rows []R) error {
	if o.format == "json" {
		if rows == nil {
			rows = []R{}
		}
		return o.json(rows, true)
	}
	return o.lines(asRows(rows))
}

// one prints a single result: a JSON object, or a table of two columns.
func one(o *output, r row) error {
	switch o.format {
	case "json":
		return o.json(r, true)
	case "jsonl", "csv":
		return o.lines([]row{r})
	}
	t := o.table()
	cells := r.cells()
	for i, name := range r.header() {
		t.AppendRow(table.Row{o.heading(name), printable(cells[i])})
	}
	return o.print(t)
}

func asRows[R row](rows []R) []row {
	all := make([]row, len(rows))
	for i, r := range rows {
		all[i] = r
	}
	return all
}

func (o *output) lines(rows []row) error {
	switch o.format {
	case "jsonl":
		for _, r := range rows {
			if err := o.json(r, false); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		w := csv.NewWriter(o.w)
		for i, r := range rows {
			if i == 0 {
				w.Write(r.header())
			}
			w.Write(r.cells())
		}
		w.Flush()
		return w.Error()
	}
	if len(rows) == 0 {
		return nil
	}
	t := o.table()
	var head table.Row
	for _, name := range rows[0].header() {
		head = append(head, o.heading(name))
	}
	t.AppendHeader(head)
	for _, r := range rows {
		var line table.Row
		for _, cell := range r.cells() {
			line = append(line, printable(cell))
		}
		t.AppendRow(line)
	}
	return o.print(t)
}

func (o *output) json(v any, indent bool) error {
	opts := []json.Options{json.FormatNilSliceAsNull(false)}
	if indent {
		opts = append(opts, jsontext.WithIndent("  "))
	}
	b, err := json.Marshal(v, opts...)
	if err != nil {
		return err
	}
	_, err = o.w.Write(append(b, '\n'))
	return err
}

// table returns an empty table without frame: columns apart by two blanks.
func (o *output) table() table.Writer {
	t := table.NewWriter()
	style := table.Style{Name: "plain", Box: table.BoxStyle{PaddingRight: "  "}}
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	return t
}

func (o *output) heading(name string) string {
	if o.color {
		return text.Bold.EscapeSeq() + name + text.Reset.EscapeSeq()
	}
	return name
}

func (o *output) print(t table.Writer) error {
	_, err := io.WriteString(o.w, t.Render()+"\n")
	return err
}

// printable makes text safe for one line of a terminal: control characters,
// which could move the cursor or hide text, are written as escapes.
func printable(s string) string { return escapeAllBut(s, "") }

// readable makes text safe for a terminal and keeps its lines.
func readable(s string) string { return escapeAllBut(s, "\n\t") }

func escapeAllBut(s, kept string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) || strings.ContainsRune(kept, r) {
			b.WriteRune(r)
			continue
		}
		quoted := fmt.Sprintf("%q", r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}
