package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// An app is one run of the command: what it was started with.
type app struct {
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	environ []string                                     // NAME=value
	pause   func(ctx context.Context, attempt int) error // between two attempts
}

// getenv returns the value of an environment variable, empty if it is not set.
func (a *app) getenv(name string) string {
	for _, pair := range slices.Backward(a.environ) {
		if n, value, _ := strings.Cut(pair, "="); n == name {
			return value
		}
	}
	return ""
}

// Main runs one command line, without the program's name, and returns its exit
// code. An interrupt or SIGTERM cancels the command; a second one kills it.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, environ: os.Environ(), pause: jitter}
	root := a.root()
	root.SetArgs(args)
	return a.exit(ctx, root.ExecuteContext(ctx))
}

const rootHelp = `popkv is a self-hosted, wire-compatible Amazon CloudFront KeyValueStore.

Start with "popkv dev" and, in another terminal, eval "$(popkv env)".
The commands for stores, keys and functions work against popkv and against AWS.

` + exitHelp

func (a *app) root() *cobra.Command {
	root := a.group("popkv", "A self-hosted Amazon CloudFront KeyValueStore",
		a.devCommand(), a.serveCommand(), a.configCommand(), a.envCommand(), a.doctorCommand(),
		a.storeCommand(), a.keyCommand(), a.functionCommand(),
		a.accessKeyCommand(), a.policyCommand(), a.verifyCommand(), a.backupCommand(),
		a.versionCommand(),
	)
	root.Long = rootHelp
	root.SilenceErrors = true
	root.SilenceUsage = true
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageError{cmd, err} })
	return root
}

// group makes a command that only holds others.
func (a *app) group(use, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef(cmd, "unknown command %q%s", args[0], suggest(cmd, args[0]))
			}
			if !cmd.HasParent() {
				return cmd.Help()
			}
			return usagef(cmd, "%s needs a verb", cmd.CommandPath())
		},
	}
	cmd.AddCommand(children...)
	return cmd
}

func suggest(cmd *cobra.Command, word string) string {
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		return ", did you mean " + strings.Join(near, " or ") + "?"
	}
	return ""
}

// exactly checks the number of arguments, named as in the command's Use line.
func exactly(n int) cobra.PositionalArgs { return between(n, n) }

// between checks the number of arguments; max < 0 is no maximum.
func between(min, max int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < min {
			return usagef(cmd, "too few arguments, usage: %s", cmd.UseLine())
		}
		if max >= 0 && len(args) > max {
			return usagef(cmd, "too many arguments, usage: %s", cmd.UseLine())
		}
		return nil
	}
}
