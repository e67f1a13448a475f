package compat

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// awsCLI runs the AWS CLI's commands: in one process where it is a Python
// package, because starting it takes a second, else one process per call. Its
// SigV4A signer is awscrt, too.
type awsCLI struct {
	run func(args []string, env map[string]string) (stdout, stderr string, ok bool, err error)
	to  target
}

func commandLine(t *testing.T, to target) client {
	path, err := exec.LookPath("aws")
	if err != nil {
		notRun(t, "AWS CLI", "no aws on this machine")
	}
	if python, found := pythonWith("awscli"); found {
		needCRT(t, python)
		process := scripts.get(t, withCRT(t), python, "testdata/python/cli.py")
		return &awsCLI{to: to, run: func(args []string, env map[string]string) (string, string, bool, error) {
			var reply struct {
				Status         int
				Stdout, Stderr string
			}
			err := process.exchange(map[string]any{"arguments": args, "environment": env}, &reply)
			return reply.Stdout, reply.Stderr, reply.Status == 0, err
		}}
	}
	if out, err := withEnv(exec.Command(path, dataPlane, "help"), withCRT(t)).CombinedOutput(); err != nil && strings.Contains(string(out), "Invalid choice") {
		notRun(t, "AWS CLI", "the installed version does not know "+dataPlane)
	}
	return &awsCLI{to: to, run: func(args []string, env map[string]string) (string, string, bool, error) {
		cmd := withEnv(exec.Command(path, args...), withCRT(t))
		for name, value := range env {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		return stdout.String(), stderr.String(), err == nil, nil
	}}
}

var (
	camel    = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	cliError = regexp.MustCompile(`An error occurred \((\w+)\) when calling the \w+ operation[^:]*: (.*)`)
)

// environment also says where the server is, the way that is asked for.
func (c *awsCLI) environment() map[string]string {
	env := map[string]string{
		"AWS_ACCESS_KEY_ID": c.to.Key.ID, "AWS_SECRET_ACCESS_KEY": c.to.Key.Secret,
		"AWS_DEFAULT_REGION": "us-east-1", "AWS_PAGER": "", "AWS_MAX_ATTEMPTS": "1",
	}
	if c.to.Key.Token != "" {
		env["AWS_SESSION_TOKEN"] = c.to.Key.Token
	}
	server := fmt.Sprintf("localhost:%d", c.to.Port)
	switch c.to.Way {
	case "AWS_ENDPOINT_URL_CLOUDFRONT_KEYVALUESTORE":
		env[c.to.Way] = "http://kvs@" + server
		env["AWS_ENDPOINT_URL"] = "http://" + server
	case "http_proxy", "HTTP_PROXY":
		env[c.to.Way] = "http://" + server
	}
	return env
}

// endpoint returns the options that point a command at the server.
func (c *awsCLI) endpoint(service string) []string {
	server := fmt.Sprintf("localhost:%d", c.to.Port)
	switch {
	case c.to.Way == "AWS_ENDPOINT_URL_CLOUDFRONT_KEYVALUESTORE":
		return nil // the environment has it
	case service == dataPlane && c.to.Way == "":
		// The account label that the CLI puts in front lands in the user part of
		// the URL, so no name has to resolve.
		return []string{"--endpoint-url", "http://kvs@" + server}
	}
	return []string{"--endpoint-url", "http://" + server}
}

func (c *awsCLI) call(t *testing.T, service, operation string, parameters map[string]any) answer {
	t.Helper()
	parameters = maps.Clone(parameters)
	for _, blob := range []string{"FunctionCode", "EventObject"} { // taken literally, not as base64
		if text, ok := parameters[blob].(string); ok {
			literal, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			parameters[blob] = string(literal)
		}
	}
	args := []string{service, strings.ToLower(camel.ReplaceAllString(operation, "$1-$2")), "--output", "json", "--no-paginate"}
	args = append(args, c.endpoint(service)...)
	var codeFile string
	switch {
	case operation == "GetFunction": // with a file to write to, it takes no JSON
		codeFile = filepath.Join(t.TempDir(), "code")
		for name, value := range parameters {
			args = append(args, "--"+strings.ToLower(name), value.(string))
		}
		args = append(args, codeFile)
	case len(parameters) > 0:
		input, err := json.Marshal(parameters)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "--cli-input-json", string(input))
	}
	stdout, stderr, ok, err := c.run(args, c.environment())
	if err != nil {
		t.Fatalf("aws %s: %v", operation, err)
	}
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
