package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/server"
)

// A reportRow is what a verification looked at. As JSON it has the findings too.
type reportRow struct{ journal.Report }

func (reportRow) header() []string {
	return []string{"Stores", "Records", "Generations", "Items", "SizeBytes", "CatalogRecords", "Garbage", "Findings"}
}

func (r reportRow) cells() []string {
	return []string{
		strconv.Itoa(r.Stores), strconv.Itoa(r.Records), strconv.Itoa(r.Generations), strconv.FormatInt(r.Items, 10),
		strconv.FormatInt(r.SizeBytes, 10), strconv.Itoa(r.CatalogRecords), strconv.Itoa(r.Garbage), strconv.Itoa(len(r.Findings)),
	}
}

// A progress is told how far a long command is.
type progress func(done, total int)

// showProgress shows progress on a terminal, in one line that is overwritten.
func (a *app) showProgress(what string) progress {
	if !isTerminal(a.stderr) {
		return func(int, int) {}
	}
	return func(done, total int) {
		fmt.Fprintf(a.stderr, "\r%s %d/%d", what, done, total)
		if done == total {
			fmt.Fprintln(a.stderr)
		}
	}
}

func (a *app) verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Check all stored data for damage", Args: exactly(0),
		Long: `Check all stored data for damage: checksums, hash chains, counts and digests of
every store with its history, and the records about them. The server goes on
meanwhile; with --data-dir the files of a server that is not running are read.

Nothing is changed. Damage ends with exit code 1 and a line for each finding.`,
	}
	on, out := a.addKeeper(cmd), a.addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		offline, err := on.isOffline(cmd)
		if err != nil {
			return err
		}
		var report journal.Report
		if offline {
			report, err = verifyDataDir(cmd.Context(), a, on.offline.dir)
		} else {
			var m *management
			if m, err = on.server(cmd); err == nil {
				report, err = m.verify(cmd.Context(), a.showProgress("verified"))
			}
		}
		if err != nil {
			return during(err, "verify")
		}
		return a.showReport(out, report)
	}
	return cmd
}

// showReport prints a report; findings make it an error.
func (a *app) showReport(out *output, report journal.Report) error {
	if err := one(out, reportRow{report}); err != nil || report.OK() {
		return err
	}
	for _, f := range report.Findings {
		fmt.Fprintf(a.stderr, "record %s: %s\n", printable(f.Record), printable(f.Problem))
	}
	return fmt.Errorf("the data is damaged in %d places: restore a backup, or keep a copy before any repair", len(report.Findings))
}

// verifyDataDir checks the engine's files and then what the journal keeps in
// them.
func verifyDataDir(ctx context.Context, a *app, dir string) (report journal.Report, err error) {
	driver, err := openDriver(dir, a.quietLogger())
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, driver.Close()) }()
	if _, err := driver.Check(ctx); err != nil {
		return report, err
	}
	return journal.Verify(ctx, driver, journal.VerifyOptions{Progress: a.showProgress("verified"), Check: server.CheckRecord})
}

// verify asks a server to check its data. The answer is a stream of progress
// whose last line has the report.
func (m *management) verify(ctx context.Context, show progress) (journal.Report, error) {
	answer, err := m.send(ctx, http.MethodPost, "verify", nil)
	if err != nil {
		return journal.Report{}, err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 64<<20) // the report of badly damaged data is long
	for lines.Scan() {
		var line struct {
			Done, Total int
			Report      *journal.Report
			Error       string
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return journal.Report{}, err
		}
		switch {
		case line.Error != "":
			return journal.Report{}, errors.New(line.Error)
		case line.Report != nil:
			return *line.Report, nil
		}
		show(line.Done, line.Total)
	}
	return journal.Report{}, errors.Join(errors.New("the server's answer ended before its report"), lines.Err())
}
