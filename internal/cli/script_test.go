package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/popkv/popkv/internal/config"
	"github.com/popkv/popkv/internal/server"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"popkv": func() { os.Exit(Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs the commands as a user does. Each script has an in-memory
// server of its own, which POPKV_ENDPOINT names, in account 000000000000; its
// stores at first are those of seed/*.json.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: liveServer,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": startServer, "stop": stopServer, "field": field, "long": long, "flip": flip,
		},
		RequireExplicitExec: true,
	})
}

func liveServer(env *testscript.Env) error {
	cfg := config.Default(config.Dev)
	cfg.Listen, cfg.Admin.Listen = "localhost:0", "localhost:0"
	cfg.InMemory, cfg.SeedDir = true, filepath.Join(env.WorkDir, "seed")
	s, err := server.New(context.Background(), cfg, server.Options{})
	if err != nil {
		return err
	}
	if err := s.Listen(context.Background()); err != nil {
		return err
	}
	if _, err := s.Seed(context.Background()); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	env.Defer(func() {
		stop()
		if err := <-done; err != nil {
			panic(err)
		}
		if err := s.Close(); err != nil {
			panic(err)
		}
	})
	env.Values[runningKey{}] = &runningServer{}
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("POPKV_ENDPOINT", s.URL())
	env.Setenv("POPKV_ACCESS_KEY_ID", "test")
	env.Setenv("POPKV_SECRET_ACCESS_KEY", "test")
	return nil
}

// A runningServer is a `popkv dev` or `popkv serve` that a script started.
type runningServer struct {
	cmd  *exec.Cmd
	rest chan []byte // what it printed after it was ready
}

type runningKey struct{}

// startServer is `start dev|serve FLAG...`: it runs the command and waits until
// it listens. POPKV_ENDPOINT becomes its address, ADMIN its admin address, and
// the file banner holds what it printed.
func startServer(ts *testscript.TestScript, _ bool, args []string) {
	path, err := exec.LookPath("popkv")
	ts.Check(err)
	cmd := exec.Command(path, append(args, "--listen=localhost:0", "--admin-listen=localhost:0")...)
	cmd.Dir = ts.Getenv("WORK")
	cmd.Env = []string{"HOME=" + cmd.Dir, "PATH=" + ts.Getenv("PATH")}
	for _, name := range []string{"POPKV_ACCOUNT_ID", "POPKV_ROOT_ACCESS_KEY_ID", "POPKV_ROOT_SECRET_ACCESS_KEY"} {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	cmd.Stderr = cmd.Stdout
	ts.Check(cmd.Start())
	ready := regexp.MustCompile(`(?s)(?:API +|"api":")(http://[^"\s]+).*?(?:Admin +|"admin":")(http://[^"\s]+).*?(doctor|\})\n$`)
	var seen bytes.Buffer
	lines := bufio.NewReader(out)
	var found [][]byte
	for found == nil {
		line, err := lines.ReadBytes('\n')
		seen.Write(line)
		if err != nil {
			cmd.Wait()
			ts.Fatalf("the server ended before it listened: %s", seen.Bytes())
		}
		found = ready.FindSubmatch(seen.Bytes())
	}
	ts.Setenv("POPKV_ENDPOINT", string(found[1]))
	ts.Setenv("ADMIN", string(found[2]))
	ts.Check(os.WriteFile(ts.MkAbs("banner"), seen.Bytes(), 0o600))
	running := &runningServer{cmd, make(chan []byte, 1)}
	go func() {
		var rest bytes.Buffer
		rest.ReadFrom(lines)
		running.rest <- rest.Bytes()
	}()
	*ts.Value(runningKey{}).(*runningServer) = *running
	ts.Defer(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			<-running.rest
			cmd.Wait()
		}
	})
}

// stopServer is `stop`: SIGTERM, and the exit code must be 0. The file log
// holds what the server printed since it listened.
func stopServer(ts *testscript.TestScript, _ bool, _ []string) {
	running := ts.Value(runningKey{}).(*runningServer)
	ts.Check(running.cmd.Process.Signal(syscall.SIGTERM))
	rest := <-running.rest
	if err := running.cmd.Wait(); err != nil {
		ts.Fatalf("the server ended with %v: %s", err, rest)
	}
	ts.Check(os.WriteFile(ts.MkAbs("log"), rest, 0o600))
}

// field is `field VARIABLE NAME`: the variable gets that member of the JSON
// object on the last command's stdout.
func field(ts *testscript.TestScript, _ bool, args []string) {
	var object map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &object))
	value, ok := object[args[1]]
	if !ok {
		ts.Fatalf("no %s in %v", args[1], object)
	}
	ts.Setenv(args[0], fmt.Sprint(value))
}

// long is `long FILE N`: a file of N letters.
func long(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), bytes.Repeat([]byte("x"), n), 0o600))
}

// flip is `flip FILE`: one bit in the middle of a file changes.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	text[len(text)/2] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}
