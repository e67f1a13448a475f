package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/popkv/popkv/internal/cfjs"
)

// lintFormats are the values of -o of `popkv function lint`.
func lintFormats() []string { return []string{"text", "json", "sarif"} }

func (a *app) functionLintCommand() *cobra.Command {
	var version, format string
	cmd := &cobra.Command{
		Use: "lint FILE...", Short: "Say what CloudFront would reject in functions", Args: between(1, -1),
		Long: `Say what CloudFront would reject in functions, where, and what to write instead.
An error fails on CloudFront; a warning is documented as unsupported, but works.
The exit code is 1 if there is an error.

sarif is for code scanning services.`,
	}
	addRuntime(cmd, &version)
	cmd.Flags().StringVarP(&format, "output", "o", "text", "how to print the findings: "+strings.Join(lintFormats(), ", "))
	cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(lintFormats(), cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		runtime, err := checkRuntime(cmd, version)
		if err != nil {
			return err
		}
		if !slices.Contains(lintFormats(), format) {
			return usagef(cmd, "-o %s is not one of %s", format, strings.Join(lintFormats(), ", "))
		}
		files := make([]cfjs.FileDiagnostics, len(args))
		for i, file := range args {
			code, err := a.readFile(file)
			if err != nil {
				return err
			}
			files[i] = cfjs.FileDiagnostics{File: file, Diagnostics: cfjs.Lint(code, runtime)}
		}
		switch format {
		case "json":
			err = cfjs.EncodeJSON(a.stdout, files)
		case "sarif":
			err = cfjs.EncodeSARIF(a.stdout, files)
		default:
			err = a.printDiagnostics(files)
		}
		return errors.Join(err, findings(files))
	}
	return cmd
}

// printDiagnostics prints findings as compilers do, each with its remedy below.
func (a *app) printDiagnostics(files []cfjs.FileDiagnostics) error {
	for _, f := range files {
		for _, d := range f.Diagnostics {
			_, err := fmt.Fprintf(a.stdout, "%s:%d:%d: %s: %s [%s]\n    %s\n", printable(f.File), d.Line, d.Column, d.Level, printable(d.Message), d.Rule, d.Instead)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// findings is the error of files that CloudFront would reject.
func findings(files []cfjs.FileDiagnostics) error {
	count := 0
	for _, f := range files {
		for _, d := range f.Diagnostics {
			if d.Level == cfjs.LevelError {
				count++
			}
		}
	}
	switch count {
	case 0:
		return nil
	case 1:
		return errors.New("CloudFront would reject this")
	}
	return fmt.Errorf("CloudFront would reject these %d things", count)
}
