package cli

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
)

// run is a whole command line with an environment of its own.
type run struct {
	code           int
	stdout, stderr string
}

func runApp(t *testing.T, environ []string, stdin string, args ...string) run {
	t.Helper()
	var stdout, stderr bytes.Buffer
	a := &app{
		stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr, environ: environ,
		pause: func(ctx context.Context, _ int) error { return ctx.Err() },
	}
	root := a.root()
	root.SetArgs(args)
	code := a.exit(t.Context(), root.ExecuteContext(t.Context()))
	return run{code, stdout.String(), stderr.String()}
}

func TestMistakesOnTheCommandLine(t *testing.T) {
	cases := []struct {
		name, args, want string
	}{
		{"an unknown noun", "stroe ls", `unknown command "stroe", did you mean serve or store?`},
		{"an unknown verb", "key gett", `unknown command "gett", did you mean get?`},
		{"a missing verb", "key", "needs a verb"},
		{"an unknown flag", "store ls --lgo", "unknown flag: --lgo"},
		{"too few arguments", "key put s k", "too few arguments, usage: popkv key put STORE KEY VALUE"},
		{"too many arguments", "store ls x", "too many arguments"},
		{"a format that does not exist", "store ls -o xml", "is not one of table, json, jsonl, csv"},
		{"a missing target", "store ls", "no target: give --endpoint"},
		{"two targets", "store ls --aws --endpoint http://x", "exclude each other"},
		{"an endpoint that is no URL", "store ls --endpoint localhost:8080", "is not a URL such as http://localhost:8080"},
		{"an ARN in place of a name", "store rm arn:x --endpoint http://x", "by its name"},
		{"a key that is not UTF-8", "key put s \xff v --endpoint http://x", "not valid UTF-8"},
		{"a status that does not exist", "store ls --status ready --endpoint http://x", "is not one of PROVISIONING, READY, IMPORT_FAILURE"},
		{"reading an empty key", "key get s  --endpoint http://x", "a key is not empty"},
		{"writing an empty key", "key put s  v --endpoint http://x", "a key is not empty"},
		{"deleting an empty key", "key rm s k  --endpoint http://x", "a key is not empty"},
		{"a value that is not UTF-8", "key put s k \xff --endpoint http://x", "not valid UTF-8"},
		{"an unknown setting", "config show --lsiten x", "unknown flag: --lsiten"},
		{"settings that do not fit together", "config show", "POPKV_ACCOUNT_ID"},
		{"an unknown shell", "env --shell csh", "is not one of sh"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := runApp(t, nil, "", strings.Split(c.args, " ")...)
			if got.code != exitUsage || !strings.Contains(got.stderr, c.want) {
				t.Errorf("exit code %d, want %d; stderr %q, want %q in it", got.code, exitUsage, got.stderr, c.want)
			}
		})
	}
}

// An interrupt ends a command that waits for stdin: a terminal has no end.
func TestAnInterruptEndsTheWaitForStdin(t *testing.T) {
	stdin, typed := io.Pipe()
	defer typed.Close()
	for _, args := range []string{"key put s k - --endpoint http://x", "policy put ann p --endpoint http://x"} {
		ctx, interrupt := context.WithCancel(t.Context())
		var stderr bytes.Buffer
		a := &app{stdin: stdin, stdout: io.Discard, stderr: &stderr}
		root := a.root()
		root.SetArgs(strings.Fields(args))
		interrupt()
		if code := a.exit(ctx, root.ExecuteContext(ctx)); code != exitInterrupted {
			t.Errorf("popkv %s: exit code %d, want %d; stderr %q", args, code, exitInterrupted, stderr.String())
		}
	}
}

func TestHelpIsNoMistake(t *testing.T) {
	for _, args := range []string{"", "--help", "key --help", "help store create", "completion bash"} {
		got := runApp(t, nil, "", strings.Fields(args)...)
		if got.code != exitOK || got.stdout == "" || got.stderr != "" {
			t.Errorf("popkv %s: exit code %d, %d bytes on stdout, stderr %q", args, got.code, len(got.stdout), got.stderr)
		}
	}
	if got := runApp(t, nil, "", "--help"); !strings.Contains(got.stdout, exitHelp) {
		t.Error("the help does not list the exit codes")
	}
}

func TestConfigShowNamesOrigins(t *testing.T) {
	got := runApp(t, []string{"POPKV_ACCOUNT_ID=123456789012", "POPKV_ROOT_ACCESS_KEY_ID=A", "POPKV_ROOT_SECRET_ACCESS_KEY=hunter2", "POPKV_TYPO=1"}, "",
		"config", "show", "--origin", "--listen", "localhost:1", "-o", "csv")
	for _, line := range []string{
		"listen,localhost:1,flag --listen", "account_id,123456789012,environment POPKV_ACCOUNT_ID",
		"root.secret_access_key,***,environment POPKV_ROOT_SECRET_ACCESS_KEY", "limits.stores,200,default",
	} {
		if !strings.Contains(got.stdout, line+"\n") {
			t.Errorf("no line %q in %s", line, got.stdout)
		}
	}
	if got.code != exitOK || strings.Count(got.stderr, "POPKV_TYPO") != 1 || strings.Contains(got.stdout+got.stderr, "hunter2") {
		t.Errorf("exit code %d, stderr %s", got.code, got.stderr)
	}
	if got := runApp(t, nil, "", "config", "show", "--dev", "-o", "jsonl"); !strings.Contains(got.stdout, `{"key":"account_id","value":"000000000000","origin":"default"}`) {
		t.Errorf("dev: %s %s", got.stdout, got.stderr)
	}
}
