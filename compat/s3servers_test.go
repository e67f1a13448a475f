package compat

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscreds "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// An s3Server is an S3-compatible server by somebody else.
type s3Server struct {
	endpoint string
	key      credentials
	// check makes the server refuse wrong credentials; nil if it never does.
	check func(t *testing.T)
}

// s3Servers starts each; those that are not on this machine skip the test.
func s3Servers() map[string]func(t *testing.T) s3Server {
	return map[string]func(t *testing.T) s3Server{"gofakes3": goFakeS3, "moto": motoS3, "versitygw": versityGateway}
}

// goFakeS3 needs nothing but Go; it takes any credentials.
func goFakeS3(t *testing.T) s3Server {
	fake := httptest.NewUnstartedServer(gofakes3.New(s3mem.New()).Server())
	fake.Config.ErrorLog = log.New(io.Discard, "", 0) // it writes the head of an error twice
	fake.Start()
	t.Cleanup(fake.Close)
	return s3Server{endpoint: fake.URL, key: credentials{ID: "any", Secret: "any"}}
}

func motoS3(t *testing.T) s3Server {
	python, found := pythonWith("moto.server")
	if !found {
		notRun(t, "import from moto", "no python3 with moto's server on this machine")
	}
	cmd := withEnv(exec.Command(python, "testdata/python/s3.py"), nil)
	out := startUntilTestEnds(t, cmd)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("moto did not start: %v", err)
	}
	var hello struct{ Endpoint, ID, Secret string }
	if err := json.Unmarshal(line, &hello); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	// Its check gets signatures of encoded paths wrong, so it comes last.
	check := func(t *testing.T) {
		r, err := http.Post(hello.Endpoint+"/moto-api/reset-auth", "text/plain", strings.NewReader("0"))
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("reset-auth: %v, %v", r, err)
		}
		r.Body.Close()
	}
	return s3Server{endpoint: hello.Endpoint, key: credentials{ID: hello.ID, Secret: hello.Secret}, check: check}
}

// versityGateway serves files of a folder. It listens on a socket in the file
// system, so that no port has to be guessed.
func versityGateway(t *testing.T) s3Server {
	path, err := exec.LookPath("versitygw")
	if err != nil {
		path = filepath.Join(toolsDir(t), "bin", "versitygw")
	}
	if _, err := os.Stat(path); err != nil {
		notRun(t, "import from versitygw", "versitygw is not installed; compat/tools.sh does it")
	}
	socket := filepath.Join(t.TempDir(), "socket")
	key := credentials{ID: "gateway", Secret: "a secret of the gateway"}
	cmd := withEnv(exec.Command(path, "--access", key.ID, "--secret", key.Secret, "--port", socket,
		"posix", "--sidecar", t.TempDir(), t.TempDir()), nil)
	out := bufio.NewScanner(startUntilTestEnds(t, cmd))
	for out.Scan() && !strings.HasPrefix(out.Text(), "└") { // the end of its greeting
	}
	go io.Copy(io.Discard, cmdOutput{out})
	return s3Server{endpoint: "http://" + forward(t, socket), key: key, check: func(*testing.T) {}}
}

// cmdOutput reads what is left of a scanned output.
type cmdOutput struct{ *bufio.Scanner }

func (o cmdOutput) Read(p []byte) (int, error) {
	if !o.Scan() {
		return 0, io.EOF
	}
	return copy(p, o.Bytes()), nil
}

// startUntilTestEnds starts a server that ends with its standard input or on
// an interrupt, and returns its output.
func startUntilTestEnds(t *testing.T, cmd *exec.Cmd) io.Reader {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", cmd.Path, stderr.String())
		}
	})
	return out
}

// forward passes connections to a free TCP port on to a socket.
func forward(t *testing.T, socket string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	passOn(t, l, func() (net.Conn, error) { return net.Dial("unix", socket) }, func(r io.Reader) { io.Copy(io.Discard, r) })
	return l.Addr().String()
}

// passOn connects everyone who calls l with whom dial reaches, until the test
// ends. look reads what the caller sends.
func passOn(t *testing.T, l net.Listener, dial func() (net.Conn, error), look func(io.Reader)) {
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := dial()
			if err != nil {
				from.Close()
				continue
			}
			go func() {
				defer to.Close()
				look(io.TeeReader(from, to))
			}()
			go func() {
				defer from.Close()
				io.Copy(from, to)
			}()
		}
	}()
}

// put stores objects in a new bucket.
func (s s3Server) put(t *testing.T, bucket string, objects map[string]string) {
	t.Helper()
	api := s3.New(s3.Options{
		BaseEndpoint: aws.String(s.endpoint), UsePathStyle: true, Region: "us-east-1", RetryMaxAttempts: 10,
		Credentials: awscreds.NewStaticCredentialsProvider(s.key.ID, s.key.Secret, ""),
	})
	if _, err := api.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	for key, body := range objects {
		_, err := api.PutObject(context.Background(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader(body)})
		if err != nil {
			t.Fatalf("put %q: %v", key, err)
		}
	}
}
