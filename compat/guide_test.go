package compat

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The page whose code blocks the tests execute.
const guidePage = "../docs/guide/clients.md"

// A guideBlock is one fenced block of the page.
type guideBlock struct {
	language, code string
	runBy          string // the test that the line above names; "" if that says untested
}

var runBy = regexp.MustCompile("^Run by `([^`]+)`|^Untested")

// readGuide returns the blocks of the page. Each must have a line above that
// says which test runs it, or that none does.
func readGuide(t *testing.T) []guideBlock {
	t.Helper()
	text, err := os.ReadFile(guidePage)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []guideBlock
	var marker []string // of the block to come
	var open *guideBlock
	for line := range strings.Lines(string(text)) {
		fence, isFence := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "```")
		switch {
		case isFence && open == nil:
			if marker == nil {
				t.Fatalf("%s: nothing says which test runs the block ```%s", guidePage, fence)
			}
			open = &guideBlock{language: fence, runBy: marker[1]}
		case isFence:
			blocks = append(blocks, *open)
			open, marker = nil, nil
		case open != nil:
			open.code += line
		default:
			if m := runBy.FindStringSubmatch(line); m != nil {
				marker = m
			}
		}
	}
	return blocks
}

// blockOf returns the code of the block that names a test, made to talk to a
// server on another port than the guide's.
func blockOf(t *testing.T, s *server, test string) string {
	t.Helper()
	for _, b := range readGuide(t) {
		if b.runBy == test {
			return strings.ReplaceAll(b.code, "localhost:8080", "localhost:"+strconv.Itoa(s.port))
		}
	}
	t.Fatalf("%s has no block for %s", guidePage, test)
	return ""
}

// TestGuide runs the programs of the guide. Each makes a store and prints the
// value of a key. They have the environment that popkv env prints.
func TestGuide(t *testing.T) {
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-C", "..", "-o", filepath.Join(bin, "popkv"), "./cmd/popkv").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	programs := map[string]func(t *testing.T, code string) *exec.Cmd{
		"boto3":             func(t *testing.T, code string) *exec.Cmd { return boto3Program(t, code, true) },
		"boto3_without_CRT": func(t *testing.T, code string) *exec.Cmd { return boto3Program(t, code, false) },
		"AWS_CLI":           shellProgram,
		"JavaScript":        javascriptProgram,
		"Go":                goProgram,
	}
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			wantNewValue(t, s, bin, program(t, blockOf(t, s, t.Name())))
		})
	}
	t.Run("Go_without_dial", func(t *testing.T) {
		t.Parallel()
		s := startServer(t)
		code := blockOf(t, s, "TestGuide/Go")
		withoutDial := strings.Replace(code, "t.DialContext = dial", "_ = dial", 1)
		wantNewValue(t, s, bin, goProgram(t, withoutDial), "HTTP_PROXY=http://localhost:"+strconv.Itoa(s.port))
	})
	t.Run("AWS_CLI_version_2", func(t *testing.T) {
		t.Parallel()
		dir := awsCLIVersion2(t)
		s := startServer(t)
		cmd := exec.Command("sh", "-euc", blockOf(t, s, "TestGuide/AWS_CLI"))
		wantNewValue(t, s, bin, cmd, "AWS_PAGER=", "PATH="+strings.Join([]string{dir, bin, os.Getenv("PATH")}, string(os.PathListSeparator)))
	})
	for _, b := range readGuide(t) {
		if name, ours := strings.CutPrefix(b.runBy, "TestGuide/"); ours && programs[name] == nil {
			t.Errorf("no program runs the block of %s", b.runBy)
		}
	}
}

// wantNewValue runs the program in the environment of popkv env.
func wantNewValue(t *testing.T, s *server, bin string, cmd *exec.Cmd, more ...string) {
	t.Helper()
	endpoint := "POPKV_ENDPOINT=http://localhost:" + strconv.Itoa(s.port)
	env := append(withEnv(cmd, cmd.Env).Env, endpoint, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	tell := exec.Command(filepath.Join(bin, "popkv"), "env", "--shell", "dotenv")
	tell.Env = env
	variables, err := tell.Output()
	if err != nil {
		t.Fatal(err)
	}
	env = append(env, strings.Split(strings.TrimSpace(string(variables)), "\n")...)
	cmd.Env = append(env, more...)
	out, err := cmd.CombinedOutput()
	if err != nil || lastLine(out) != "/new" {
		t.Errorf("%v, want /new as the last line of\n%s", err, out)
	}
}

func boto3Program(t *testing.T, code string, crt bool) *exec.Cmd {
	python, found := pythonWith("boto3")
	if !found {
		notRun(t, "boto3", "no python3 with boto3 on this machine")
	}
	cmd := exec.Command(python, "-c", code)
	if crt {
		needCRT(t, python)
		cmd.Env = withCRT(t)
	}
	return cmd
}

func shellProgram(t *testing.T, code string) *exec.Cmd {
	if _, err := exec.LookPath("aws"); err != nil {
		notRun(t, "AWS CLI", "no aws on this machine")
	}
	if python, found := pythonWith("awscli"); found {
		needCRT(t, python)
	}
	cmd := exec.Command("sh", "-euc", code)
	cmd.Env = withCRT(t)
	return cmd
}

// awsCLIVersion2 returns the folder of a version 2 on the path, even behind
// another.
func awsCLIVersion2(t *testing.T) string {
	t.Helper()
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		version, err := exec.Command(filepath.Join(dir, "aws"), "--version").Output()
		var minor int // 2.15 is the first of 2024
		if _, scanErr := fmt.Sscanf(string(version), "aws-cli/2.%d", &minor); err == nil && scanErr == nil && minor >= 15 {
			return dir
		}
	}
	notRun(t, "AWS CLI version 2", "no aws of 2024 or later on this machine")
	return ""
}

func javascriptProgram(t *testing.T, code string) *exec.Cmd {
	node, modules := javascriptModules(t)
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(modules, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return exec.Command(node, write(t, filepath.Join(dir, "main.mjs"), code))
}

// goProgram takes the modules that go.mod of these tests pins.
func goProgram(t *testing.T, code string) *exec.Cmd {
	return exec.Command("go", "run", write(t, filepath.Join(t.TempDir(), "main.go"), code))
}

func write(t *testing.T, file, content string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}
