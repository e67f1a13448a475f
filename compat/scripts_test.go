package compat

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// scripts are the client processes of this test run. Starting one takes up to
// two seconds, so all tests share them: what a call is for, and with which
// key, is in its line.
var scripts scriptSet

type scriptSet struct {
	mu      sync.Mutex
	started map[string]*script // by its file
}

func TestMain(m *testing.M) {
	cleanEnvironment()
	code := m.Run()
	for _, s := range scripts.started {
		s.stop()
	}
	os.Exit(code)
}

// A script answers one call per line.
type script struct {
	mu     sync.Mutex
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer // not to be read before stop
}

// get returns the running script, or starts it.
func (s *scriptSet) get(t *testing.T, env []string, command, file string) *script {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started == nil {
		s.started = map[string]*script{}
	}
	if s.started[file] == nil {
		started, err := startScript(env, command, file)
		if err != nil {
			t.Fatal(err)
		}
		s.started[file] = started
	}
	return s.started[file]
}

func startScript(env []string, command, file string) (*script, error) {
	s := &script{cmd: withEnv(exec.Command(command, file), env)}
	s.cmd.Stderr = &s.stderr
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReader(out)
	return s, s.cmd.Start()
}

// stop ends the script, which happens when its input does, and returns what it
// wrote about that.
func (s *script) stop() string {
	s.in.Close()
	s.cmd.Wait()
	return s.stderr.String()
}

// exchange sends one line and reads the one that answers it.
func (s *script) exchange(request, reply any) error {
	line, err := json.Marshal(request)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("the client is gone: %w\n%s", err, s.stop())
	}
	text, err := s.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the client is gone: %w\n%s", err, s.stop())
	}
	return json.Unmarshal(text, reply)
}

// A scripted client is an SDK in a script's process.
type scripted struct {
	script *script
	to     target
}

func (c scripted) call(t *testing.T, service, operation string, parameters map[string]any) answer {
	t.Helper()
	var reply struct {
		answer
		Fault string // the SDK itself refused or failed
	}
	if parameters == nil {
		parameters = map[string]any{}
	}
	err := c.script.exchange(map[string]any{"target": c.to, "service": service, "operation": operation, "parameters": parameters}, &reply)
	if err == nil && reply.Fault != "" {
		err = fmt.Errorf("%s", reply.Fault)
	}
	if err != nil {
		t.Fatalf("%s: %v", operation, err)
	}
	return reply.answer
}

// cleanEnvironment takes everything away that would point a client elsewhere.
func cleanEnvironment() {
	ours := []string{"POPKV_NOT_RUN", "POPKV_TERRAFORM_MIRROR", "POPKV_VECTORS"}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		upper := strings.ToUpper(name)
		if strings.HasPrefix(upper, "AWS_") || strings.HasSuffix(upper, "_PROXY") || strings.HasPrefix(upper, "POPKV_") && !slices.Contains(ours, name) {
			os.Unsetenv(name)
		}
	}
	os.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
}

func withEnv(cmd *exec.Cmd, env []string) *exec.Cmd {
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

func toolsDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../.tools")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// withCRT puts the SigV4A signer of boto3 and the AWS CLI on Python's path,
// for installations that do not bring it along.
func withCRT(t *testing.T) []string {
	return []string{"PYTHONPATH=" + filepath.Join(toolsDir(t), "awscrt")}
}

// pythonWith returns an interpreter that can import the module.
func pythonWith(module string) (path string, found bool) {
	for _, name := range []string{"python3.11", "python3"} {
		if path, err := exec.LookPath(name); err == nil && exec.Command(path, "-c", "import "+module).Run() == nil {
			return path, true
		}
	}
	return "", false
}

func boto3(t *testing.T, to target) client {
	python, found := pythonWith("boto3")
	if !found {
		notRun(t, "boto3", "no python3 with boto3 on this machine")
	}
	if !to.Plain {
		needCRT(t, python)
	}
	return scripted{scripts.get(t, withCRT(t), python, "testdata/python/calls.py"), to}
}

// needCRT skips the test where SigV4A cannot be signed from Python.
func needCRT(t *testing.T, python string) {
	t.Helper()
	if out, err := withEnv(exec.Command(python, "-c", "import awscrt.auth"), withCRT(t)).CombinedOutput(); err != nil {
		notRun(t, "SigV4A from Python", "awscrt cannot be imported: "+lastLine(out))
	}
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// javascriptModules is where compat/tools.sh puts the SDK.
func javascriptModules(t *testing.T) (node, dir string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		notRun(t, "JavaScript SDK v3", "no node on this machine")
	}
	dir = filepath.Join(toolsDir(t), "js")
	if _, err := os.Stat(filepath.Join(dir, "done")); err != nil {
		notRun(t, "JavaScript SDK v3", "its modules are not installed; compat/tools.sh does it")
	}
	return node, dir
}

func javascript(t *testing.T, to target) client {
	node, modules := javascriptModules(t)
	return scripted{scripts.get(t, []string{"POPKV_COMPAT_MODULES=" + modules}, node, "testdata/js/calls.mjs"), to}
}
