package crashtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/popkv/popkv/internal/cli"
)

// asServer is the variable that makes the test binary a popkv server.
const asServer = "CRASHTEST_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	go func() { // the test holds the other end: the server does not outlive it
		io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	os.Exit(cli.Main(context.Background(), os.Args[1:], nil, os.Stdout, os.Stderr))
}

const (
	account   = "000000000000"
	keyID     = "AKIACRASHTEST"
	keySecret = "Xq7v2LmNp0RsTuVw3yZaBcDe5fGhIjK9lMnOpQ1r"
)

// A place is where servers keep their data, one after the other.
type place struct {
	data    string // directory
	imports string // directory that stands for S3
}

func newPlace(t *testing.T) place {
	dir := t.TempDir()
	p := place{filepath.Join(dir, "data"), filepath.Join(dir, "s3")}
	if err := os.MkdirAll(filepath.Join(p.imports, "bucket"), 0o700); err != nil {
		t.Fatal(err)
	}
	return p
}

// A process is a running `popkv serve`.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	said  *tail
	lines sync.WaitGroup // ends with the process's output

	url    string
	client *http.Client
}

// begin starts a server and does not wait for it.
func (p place) begin(t *testing.T) (s *process, ready <-chan string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0",
		"--data-dir="+p.data, "--import-dir="+p.imports, "--limits-import-bytes=16MiB")
	cmd.Env = []string{
		asServer + "=1", "HOME=" + p.data, "POPKV_ACCOUNT_ID=" + account,
		"POPKV_ROOT_ACCESS_KEY_ID=" + keyID, "POPKV_ROOT_SECRET_ACCESS_KEY=" + keySecret,
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s = &process{t: t, cmd: cmd, stdin: stdin, said: &tail{}}
	listening := make(chan string, 1)
	s.lines.Go(func() {
		defer close(listening)
		s.read(output, listening)
	})
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			s.kill()
		}
	})
	return s, listening
}

// read keeps the end of the log and looks for the address in it.
func (s *process) read(output io.Reader, listening chan<- string) {
	address := regexp.MustCompile(`"msg":"listening","api":"(http://[^"]+)"`)
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		s.said.add(lines.Text())
		if found := address.FindSubmatch(lines.Bytes()); found != nil {
			listening <- string(found[1])
		}
	}
}

// start starts a server and waits until it answers.
func (p place) start(t *testing.T) *process {
	t.Helper()
	s, ready := p.begin(t)
	url, ok := <-ready
	if !ok {
		s.wait()
		t.Fatalf("the server ended before it listened:\n%s", s.said)
	}
	s.url = url
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: 20 * time.Second}
	return s
}

// kill ends the process as a crash would: it gets no chance to do anything.
func (s *process) kill() {
	s.cmd.Process.Kill()
	s.wait()
}

// stop ends the process as an operator does.
func (s *process) stop() {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.wait(); err != nil {
		s.t.Errorf("the server ended with %v:\n%s", err, s.said)
	}
}

func (s *process) wait() error {
	s.lines.Wait()
	err := s.cmd.Wait()
	s.stdin.Close()
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
	return err
}

// A tail is the end of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines = append(t.lines, line); len(t.lines) > 2000 {
		t.lines = t.lines[1000:]
	}
}

// String is the last few lines, requests that went well left out.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var last []string
	for _, line := range t.lines {
		if !strings.Contains(line, `"msg":"request"`) || strings.Contains(line, `"level":"ERROR"`) {
			last = append(last, line)
		}
	}
	return strings.Join(last[max(0, len(last)-30):], "\n")
}

// copyTo copies the data and its key to another place.
func (p place) copyTo(t *testing.T, other place) {
	t.Helper()
	if err := os.RemoveAll(other.data); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(other.data, os.DirFS(p.data)); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(p.data + ".key")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other.data+".key", key, 0o600); err != nil {
		t.Fatal(fmt.Errorf("copy the key: %w", err))
	}
}
