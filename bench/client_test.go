package bench

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/sigv4"
)

// A signer makes requests as the AWS SDK for Go sends them: their bytes, so
// that they can be made before they are needed.
type signer struct {
	host string
	sign sigv4.Signer
}

func (s *server) signer(c credential) signer {
	return signer{
		host: account + "." + s.Address,
		sign: sigv4.Signer{
			Key: sigv4.NewKey(c.ID, c.Secret), Algorithm: sigv4.SigV4A,
			Service: "cloudfront-keyvaluestore", Region: "*",
		},
	}
}

// request is good for five minutes.
func (s signer) request(b *testing.B, method, target, etag, body string) []byte {
	b.Helper()
	header := map[string][]string{
		"User-Agent":            {"aws-sdk-go-v2/1.41.2 ua/2.1 os/linux lang/go#1.26.8 md/GOOS#linux md/GOARCH#amd64 api/cloudfrontkeyvaluestore#1.12.20"},
		"Amz-Sdk-Invocation-Id": {"d2df5347-d9fd-4214-9c10-daf76b422d18"},
		"Amz-Sdk-Request":       {"attempt=1; max=1"},
		"Accept-Encoding":       {"gzip"},
	}
	if body != "" {
		header["Content-Type"] = []string{"application/json"}
	}
	if etag != "" {
		header["If-Match"] = []string{etag}
	}
	r := sigv4.Request{Method: method, Target: target, Host: s.host, Header: header}
	if err := s.sign.Sign(&r, sha256.Sum256([]byte(body)), time.Now()); err != nil {
		b.Fatal(err)
	}
	raw := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, s.host)
	if body != "" {
		raw = fmt.Appendf(raw, "Content-Length: %d\r\n", len(body))
	}
	for name, values := range header {
		raw = fmt.Appendf(raw, "%s: %s\r\n", name, values[0])
	}
	return append(append(raw, "\r\n"...), body...)
}

// target is the path of a store, or of one of its keys.
func target(store popkv.StoreID, key string) string {
	path := "/key-value-stores/" + url.PathEscape(popkv.StoreARN(account, store).String()) + "/keys"
	if key != "" {
		path += "/" + url.PathEscape(key)
	}
	return path
}

// A conn is one connection that stays open.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func (s *server) dial() *conn {
	s.b.Helper()
	c, err := net.Dial("tcp", s.Address)
	if err != nil {
		s.b.Fatal(err)
	}
	return &conn{c, bufio.NewReaderSize(c, 16<<10)}
}

// An answer is valid until the next exchange that is given it.
type answer struct {
	etag []byte
	body []byte
}

// exchange sends a request and reads its answer, which must be a 200.
func (c *conn) exchange(request []byte, a *answer) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	status, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	ok := bytes.HasPrefix(status, []byte("HTTP/1.1 200 "))
	length := 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		name, value, more := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(": "))
		if !more {
			break
		}
		switch string(name) {
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		case "ETag":
			a.etag = append(a.etag[:0], value...)
		}
	}
	a.body = slices.Grow(a.body[:0], length)[:length]
	if _, err := io.ReadFull(c.in, a.body); err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("refused: %s", a.body)
	}
	return nil
}

// connections is how many a load keeps busy.
const connections = 32

// phase is how long one measurement of a server under load takes.
const phase = 300 * time.Millisecond

// A load is requests that are sent to a server over and over.
type load struct {
	to       *server
	sign     func() [][]byte
	signed   time.Time
	requests [][]byte
}

// fresh returns the requests with signatures that will hold for a while.
func (l *load) fresh() [][]byte {
	if time.Since(l.signed) > 3*time.Minute {
		l.signed, l.requests = time.Now(), l.sign()
	}
	return l.requests
}

// once sends every request once, so that the stores are resident.
func (l *load) once() {
	b := l.to.b
	b.Helper()
	c := l.to.dial()
	defer c.Close()
	var a answer
	for _, r := range l.fresh() {
		if err := c.exchange(r, &a); err != nil {
			b.Fatal(err)
		}
	}
}

// cost sends requests over all connections for a phase and returns what one of
// them cost the server of processor time, in microseconds.
func (l *load) cost() float64 {
	b := l.to.b
	b.Helper()
	requests := l.fresh()
	var group errgroup.Group
	var done atomic.Int64
	var open []*conn
	for range connections {
		c := l.to.dial()
		defer c.Close()
		open = append(open, c)
	}
	before, end := l.to.used(), time.Now().Add(phase)
	for i, c := range open {
		group.Go(func() error {
			var a answer
			n := int64(0)
			for at := i * len(requests) / connections; time.Now().Before(end); at++ {
				if err := c.exchange(requests[at%len(requests)], &a); err != nil {
					return err
				}
				n++
			}
			done.Add(n)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return micros(l.to.used().CPU-before.CPU) / float64(done.Load())
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
