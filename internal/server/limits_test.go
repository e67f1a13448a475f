package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/config"
)

func TestHeadersAreBounded(t *testing.T) {
	s := start(t, nil)
	for size, want := range map[int]int{30 << 10: http.StatusForbidden, 40 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		head := "GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + strings.Repeat("x", size) + "\r\n\r\n"
		if got := sendRaw(t, s, head); got.status != want {
			t.Errorf("headers of %d bytes: %v, want %d", size, got, want)
		}
	}
}

// A body that is longer than any valid one is refused unread.
func TestBodiesAreBounded(t *testing.T) {
	s := start(t, nil)
	_, path := newStore(t, s, "s", noItems)
	for _, c := range []struct {
		name   string
		m      message
		length int
		want   string
	}{
		{"a key", message{method: "PUT", target: path + "/keys/k"}, 3<<20 + 1, "ServiceQuotaExceededException"},
		{"a batch", message{method: "POST", target: path + "/keys"}, 3<<20 + 1, "ServiceQuotaExceededException"},
		{"a request without a body", message{target: path}, 5 << 10, "RequestEntityTooLargeException"},
		{"the control plane", message{method: "POST", target: "/2020-05-31/key-value-store", service: "cloudfront"}, 1 << 20, "413"},
		{"the management API", message{method: "POST", target: "/popkv/v1/access-keys", service: "popkv"}, 65 << 10, "TooLarge"},
	} {
		head, _ := c.m.sign(t, s)
		head = strings.Replace(head, "Content-Length: 0", fmt.Sprintf("Content-Length: %d", c.length), 1)
		if got := sendRaw(t, s, head+strings.Repeat(" ", c.length)); !strings.Contains(got.String()+fmt.Sprint(got.header), c.want) {
			t.Errorf("%s: %v %v, want %s", c.name, got, got.header, c.want)
		}
	}
}

// The body of an UpdateKeys has its own quota, also where it is smaller than
// the room for one value.
func TestTheBodyOfABatchIsHeldToItsQuota(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Limits.UpdateBytes = 64 })
	_, path := newStore(t, s, "s", noItems)
	update := message{
		method: "POST", target: path + "/keys", body: `{"Puts":[{"Key":"k","Value":"v"}]}`,
		header: map[string]string{"If-Match": popkv.DataETag(2), "Content-Type": "application/json"},
	}
	for padding, want := range map[int]int{64 - len(update.body) + 1: http.StatusPaymentRequired, 64 - len(update.body): http.StatusBadRequest} {
		m := update
		m.body += strings.Repeat(" ", padding)
		if got := send(t, s, m); got.status != want { // the ETag is stale
			t.Errorf("a body of %d bytes: %v, want %d", len(m.body), got, want)
		}
	}
}

func TestChunkedBodiesAreRefused(t *testing.T) {
	s := start(t, nil)
	_, path := newStore(t, s, "s", noItems)
	head, _ := message{
		method: "PUT", target: path + "/keys/k", body: `{"Value":"v"}`,
		header: map[string]string{"If-Match": popkv.DataETag(1)}, unsigned: "Transfer-Encoding: chunked\r\n",
	}.sign(t, s)
	if got := sendRaw(t, s, head+"d\r\n{\"Value\":\"v\"}\r\n0\r\n\r\n"); got.status/100 != 4 {
		t.Errorf("got %v", got)
	}
	if got := send(t, s, message{target: path + "/keys/k"}); got.status != http.StatusNotFound {
		t.Errorf("the key was written: %v", got)
	}
}

func TestSlowClientsAreCutOff(t *testing.T) {
	s := start(t, func(c *config.Config) {
		c.HTTP.ReadHeaderTimeout, c.HTTP.ReadTimeout, c.HTTP.IdleTimeout = 30*time.Millisecond, 30*time.Millisecond, 30*time.Millisecond
	})
	_, path := newStore(t, s, "s", noItems)
	slowHead := dial(t, s)
	slowHead.write("GET / HTTP/1.1\r\nHost: local")
	if a, err := slowHead.read(); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("headers that never end: %v, %v", a, err)
	}
	silent := dial(t, s)
	if _, err := silent.r.ReadByte(); err != io.EOF {
		t.Errorf("a connection that says nothing: %v", err)
	}
	slowBody, _ := beginPut(t, s, path, "k", popkv.DataETag(1), "v")
	if a, err := slowBody.read(); err != nil || a.status != http.StatusBadRequest || !strings.Contains(a.header.Get("X-Amzn-Errortype"), "SerializationException") {
		t.Errorf("a body that never comes: %v %v, %v", a, a.header, err)
	}
	idle := dial(t, s)
	idle.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if _, err := idle.read(); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.r.ReadByte(); err != io.EOF {
		t.Errorf("an idle connection: %v", err)
	}
}

// Bodies that are being received take room; what does not fit is refused at
// once and can be tried again.
func TestBodiesInFlightAreBounded(t *testing.T) {
	s := start(t, func(c *config.Config) { c.HTTP.InFlightBytes = 1500 })
	_, path := newStore(t, s, "s", noItems)
	value := strings.Repeat("x", 1000)
	put := message{
		method: "PUT", target: path + "/keys/b", body: `{"Value":"` + value + `"}`,
		header: map[string]string{"If-Match": popkv.DataETag(2), "Content-Type": "application/json"},
	}
	w, finish := beginPut(t, s, path, "a", popkv.DataETag(1), value)
	if got := send(t, s, put); got.status != 500 || !strings.Contains(got.String(), "too many large requests at once") {
		t.Errorf("data plane: %v", got)
	}
	control := message{method: "POST", target: "/2020-05-31/key-value-store", service: "cloudfront", body: strings.Repeat(" ", 1000)}
	if got := send(t, s, control); got.status != 503 || !strings.Contains(got.body, "ServiceUnavailable") {
		t.Errorf("control plane: %v", got)
	}
	if got := send(t, s, message{target: path}); got.status != 200 {
		t.Errorf("a request without a body: %v", got)
	}
	finish()
	if a, err := w.read(); err != nil || a.status != 200 {
		t.Fatalf("the request that has the room: %v, %v", a, err)
	}
	if got := send(t, s, put); got.status != 200 {
		t.Errorf("after it: %v", got)
	}
}

// occupy opens a connection from an address of 127/8 and says whether the
// server keeps it.
func occupy(t *testing.T, s *Server, from string) (net.Conn, bool) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", s.api[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	_, err = c.Read(make([]byte, 1<<12))
	return c, err == nil
}

func TestConnectionsAreCappedInAllAndForEachAddress(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127/8")
	}
	s := start(t, func(c *config.Config) { c.HTTP.MaxConnections = 10 })
	var first net.Conn
	for n := range 9 {
		c, kept := occupy(t, s, "127.0.0.1")
		if !kept {
			t.Fatalf("connection %d of an address is refused", n+1)
		}
		first = c
	}
	if _, kept := occupy(t, s, "127.0.0.1"); kept {
		t.Error("one address has them all")
	}
	if _, kept := occupy(t, s, "127.0.0.2"); !kept {
		t.Error("there is none left for another address")
	}
	if _, kept := occupy(t, s, "127.0.0.3"); kept {
		t.Error("more than the cap are open")
	}
	metrics := adminGet(t, s, "/metrics").body
	for _, line := range []string{"popkv_connections_refused_total 2\n", "popkv_connections_open 10\n"} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
	first.Close()
	for deadline := time.Now().Add(10 * time.Second); ; { // until the server has seen it
		if _, kept := occupy(t, s, "127.0.0.1"); kept {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a closed connection still counts")
		}
	}
}

func TestSharesOfConnections(t *testing.T) {
	for total, want := range map[int]int{1: 1, 2: 1, 5: 4, 10: 9, 1024: 921} {
		if got := perAddress(total); got != want {
			t.Errorf("of %d connections %d for one address, want %d", total, got, want)
		}
	}
	for remote, want := range map[string]string{
		"192.0.2.7:1": "192.0.2.7", "[::ffff:192.0.2.7]:1": "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::", "[2001:db8:1:2:ffff::]:1": "2001:db8:1:2::", "[fe80::1%eth0]:1": "fe80::",
	} {
		address := netip.MustParseAddrPort(remote)
		if got := peer(net.TCPAddrFromAddrPort(address)); got.String() != want {
			t.Errorf("%s counts for %s, want %s", remote, got, want)
		}
	}
	c := newConnections(2, 1, func() {})
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	if !c.enter(a) || c.enter(a) || !c.enter(b) || c.open() != 2 {
		t.Error("one each")
	}
	c.leave(a)
	c.leave(b)
	if c.open() != 0 || len(c.byAddress) != 0 {
		t.Errorf("left behind: %+v", c.byAddress)
	}
}

// The gate is in front of every path, also of what net/http would answer
// itself.
func TestNothingIsAnsweredWithoutASignature(t *testing.T) {
	s := start(t, nil)
	for _, line := range []string{
		"GET /", "POST /", "GET /livez", "GET /metrics", "GET /debug/pprof/", "OPTIONS *", "GET /popkv/v1/access-keys",
		"GET /popkv/v1/backup", "GET /2020-05-31/key-value-store", "GET //", "GET /popkv//v1/backup",
		"GET /%70opkv/v1/backup", "CONNECT localhost:80", "TRACE /", "PRI /",
	} {
		if got := sendRaw(t, s, line+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); got.status != 403 && got.status != 400 && got.status != 404 {
			t.Errorf("%s: %v", line, got)
		} else if strings.Contains(got.body, "goroutine") {
			t.Errorf("%s: %s", line, got.body)
		}
	}
}

// A signature for one API opens no other.
func TestScopesAreApart(t *testing.T) {
	s := start(t, nil)
	_, path := newStore(t, s, "s", noItems)
	targets := map[string]string{
		access.ServiceDataPlane: path, access.ServiceControlPlane: "/2020-05-31/key-value-store", access.ServiceManagement: "/popkv/v1/access-keys",
	}
	for service := range targets {
		for other, target := range targets {
			got := send(t, s, message{target: target, service: service})
			if want := service == other; (got.status == 200) != want {
				t.Errorf("signed for %s, sent to %s: %v", service, target, got)
			}
		}
	}
	if got := send(t, s, message{target: "/nothing/here"}); got.status != 404 {
		t.Errorf("an unknown path: %v", got)
	}
}
