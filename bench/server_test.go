package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

// A server is a process that follows a [plan].
type server struct {
	b *testing.B
	greeting
	stdin  io.WriteCloser
	stdout *json.Decoder
}

// serve starts a server that ends with the benchmark.
func serve(b *testing.B, p plan) *server {
	b.Helper()
	if p.Name == "" {
		p.Name = b.Name()
	}
	text, err := json.Marshal(p)
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), planVariable+"="+string(text))
	if p.Processors > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprint("GOMAXPROCS=", p.Processors))
	}
	cmd.Stderr = os.Stderr
	s := &server{b: b}
	s.stdin, err = cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		s.stdin.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	s.stdout = json.NewDecoder(bufio.NewReader(stdout))
	if err := s.stdout.Decode(&s.greeting); err != nil {
		b.Fatal("server does not start: ", err)
	}
	return s
}

// used asks the server what it has used so far.
func (s *server) used() usage {
	s.b.Helper()
	var u usage
	if _, err := io.WriteString(s.stdin, "\n"); err != nil {
		s.b.Fatal(err)
	}
	if err := s.stdout.Decode(&u); err != nil {
		s.b.Fatal(err)
	}
	return u
}
