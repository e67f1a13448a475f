package compat

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A client is one real AWS client, driven one call at a time. Parameters and
// outputs use the member names of the service model, so that one table of
// expectations serves every client.
type client interface {
	call(t *testing.T, service, operation string, parameters map[string]any) answer
}

// An answer is what the client made of a response.
type answer struct {
	Output map[string]any `json:"output"`
	Error  *apiError      `json:"error"`
}

type apiError struct {
	Code    string `json:"code"`
	Status  int    `json:"status"` // 0 where the client does not tell
	Message string `json:"message"`
	Class   string `json:"class"` // the client's own type, where it has one
}

// The two services.
const (
	dataPlane    = "cloudfront-keyvaluestore"
	controlPlane = "cloudfront"
)

// notRun records by name what could not run, for the summary of make test-all,
// and skips the test.
func notRun(t *testing.T, what, why string) {
	t.Helper()
	if file := os.Getenv("POPKV_NOT_RUN"); file != "" {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(f, "%s: %s (%s)\n", t.Name(), what, why)
		f.Close()
	}
	t.Skipf("%s did not run: %s", what, why)
}

func toolsDir(t *testing.T) string {
	dir, err := filepath.Abs("../.tools")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// lineClient drives a script that answers one call per line.
type lineClient struct {
	in  io.Writer
	out *bufio.Reader
}

func startLines(t *testing.T, env []string, command string, args ...string) *lineClient {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Env = append(cleanEnv(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil && t.Failed() {
			t.Logf("%s: %v\n%s", command, err, stderr.String())
		}
		stop()
	})
	return &lineClient{in: in, out: bufio.NewReader(out)}
}

func (c *lineClient) call(t *testing.T, service, operation string, parameters map[string]any) answer {
	t.Helper()
	var a answer
	c.exchange(t, operation, map[string]any{"service": service, "operation": operation, "parameters": parameters}, &a)
	return a
}

// exchange sends one line and reads the one that answers it.
func (c *lineClient) exchange(t *testing.T, what string, request, reply any) {
	t.Helper()
	line, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		t.Fatalf("%s: the client is gone: %v", what, err)
	}
	text, err := c.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%s: the client is gone: %v", what, err)
	}
	if err := json.Unmarshal(text, reply); err != nil {
		t.Fatalf("%s: %v in %s", what, err, text)
	}
}

// cleanEnv is the environment without anything that would point an AWS client
// elsewhere.
func cleanEnv() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "AWS_") && !strings.HasPrefix(kv, "POPKV_") && !strings.HasPrefix(strings.ToUpper(kv), "HTTP_PROXY") {
			env = append(env, kv)
		}
	}
	return append(env, "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
}

func (s *server) env(key credentials) []string {
	return []string{
		"POPKV_COMPAT_PORT=" + strconv.Itoa(s.port),
		"AWS_ACCESS_KEY_ID=" + key.ID, "AWS_SECRET_ACCESS_KEY=" + key.Secret, "AWS_SESSION_TOKEN=" + key.Token,
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
	}
}

func python(t *testing.T) string {
	for _, name := range []string{"python3.11", "python3"} {
		if path, err := exec.LookPath(name); err == nil && exec.Command(path, "-c", "import boto3").Run() == nil {
			return path
		}
	}
	notRun(t, "boto3", "no python3 with boto3 on this machine")
	return ""
}

// boto3 with the CRT signer speaks SigV4A; with POPKV_COMPAT_SIGNATURE=v4 it
// speaks plain SigV4 and needs no CRT.
func boto3(t *testing.T, s *server, key credentials, plain bool) client {
	path := python(t)
	env := append(s.env(key), "PYTHONPATH="+filepath.Join(toolsDir(t), "awscrt"))
	if plain {
		env = append(s.env(key), "POPKV_COMPAT_SIGNATURE=v4")
	} else if out, err := withEnv(exec.Command(path, "-c", "import awscrt.auth"), env).CombinedOutput(); err != nil {
		notRun(t, "boto3 with SigV4A", "awscrt cannot be imported: "+lastLine(out))
	}
	return startLines(t, env, path, "testdata/python/calls.py")
}

func withEnv(cmd *exec.Cmd, env []string) *exec.Cmd {
	cmd.Env = append(cleanEnv(), env...)
	return cmd
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

func javascript(t *testing.T, s *server, key credentials) client {
	node, err := exec.LookPath("node")
	if err != nil {
		notRun(t, "JavaScript SDK v3", "no node on this machine")
	}
	modules := filepath.Join(toolsDir(t), "js")
	if _, err := os.Stat(filepath.Join(modules, "done")); err != nil {
		notRun(t, "JavaScript SDK v3", "its modules are not installed; compat/tools.sh does it")
	}
	return startLines(t, append(s.env(key), "POPKV_COMPAT_MODULES="+modules), node, "testdata/js/calls.mjs")
}

// awsCLI runs the AWS CLI's commands: in one process where it is a Python
// package, because starting it takes a second, else one process per call. Its
// SigV4A signer is awscrt, too.
type awsCLI struct {
	run func(t *testing.T, args []string) (stdout, stderr string, ok bool)
	s   *server
}

func commandLine(t *testing.T, s *server, key credentials) client {
	path, err := exec.LookPath("aws")
	if err != nil {
		notRun(t, "AWS CLI", "no aws on this machine")
	}
	env := append(s.env(key), "PYTHONPATH="+filepath.Join(toolsDir(t), "awscrt"), "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1")
	if out, err := withEnv(exec.Command(path, "cloudfront-keyvaluestore", "help"), env).CombinedOutput(); err != nil && strings.Contains(string(out), "Invalid choice") {
		notRun(t, "AWS CLI", "the installed version does not know cloudfront-keyvaluestore")
	}
	c := &awsCLI{s: s}
	for _, name := range []string{"python3.11", "python3"} {
		interpreter, err := exec.LookPath(name)
		if err == nil && exec.Command(interpreter, "-c", "import awscli").Run() == nil {
			lines := startLines(t, env, interpreter, "testdata/python/cli.py")
			c.run = func(t *testing.T, args []string) (string, string, bool) { return lines.cli(t, args) }
			return c
		}
	}
	c.run = func(t *testing.T, args []string) (string, string, bool) {
		cmd := withEnv(exec.Command(path, args...), env)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		return stdout.String(), stderr.String(), err == nil
	}
	return c
}

// cli runs one command of the CLI in its one process.
func (c *lineClient) cli(t *testing.T, args []string) (stdout, stderr string, ok bool) {
	t.Helper()
	var reply struct {
		Status         int
		Stdout, Stderr string
	}
	c.exchange(t, args[1], map[string]any{"arguments": args}, &reply)
	return reply.Stdout, reply.Stderr, reply.Status == 0
}

var (
	camel    = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	cliError = regexp.MustCompile(`An error occurred \((\w+)\) when calling the \w+ operation[^:]*: (.*)`)
)

func (c *awsCLI) call(t *testing.T, service, operation string, parameters map[string]any) answer {
	t.Helper()
	input, err := json.Marshal(parameters)
	if err != nil {
		t.Fatal(err)
	}
	host := "localhost"
	if service == dataPlane {
		host = "kvs@localhost"
	}
	args := []string{service, strings.ToLower(camel.ReplaceAllString(operation, "$1-$2")),
		"--endpoint-url", fmt.Sprintf("http://%s:%d", host, c.s.port), "--output", "json", "--no-paginate", "--cli-input-json", string(input)}
	var codeFile string
	if operation == "GetFunction" {
		codeFile = filepath.Join(t.TempDir(), "code")
		args = append(args, codeFile)
	}
	stdout, stderr, ok := c.run(t, args)
	if !ok {
		m := cliError.FindStringSubmatch(stderr)
		if m == nil {
			t.Fatalf("aws %s: %s", operation, stderr)
		}
		return answer{Error: &apiError{Code: m[1], Message: strings.TrimSpace(m[2])}}
	}
	a := answer{Output: map[string]any{}}
	if stdout != "" {
		if err := json.Unmarshal([]byte(stdout), &a.Output); err != nil {
			t.Fatalf("aws %s: %v in %s", operation, err, stdout)
		}
	}
	if codeFile != "" {
		code, err := os.ReadFile(codeFile)
		if err != nil {
			t.Fatal(err)
		}
		a.Output["FunctionCode"] = base64.StdEncoding.EncodeToString(code)
	}
	return a
}
