package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
)

// listen opens the sockets of one address. The host "localhost" means both
// loopback families, because clients that resolve ACCOUNT.localhost often try
// ::1 first; a machine without ::1 gets a warning, not a failure. Port 0 takes
// a free port, the same one for both families.
func listen(ctx context.Context, address string, log *slog.Logger) ([]net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen address %q is not HOST:PORT: %w", address, err)
	}
	var lc net.ListenConfig
	if host != "localhost" {
		l, err := lc.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, explainListen(address, err)
		}
		return []net.Listener{l}, nil
	}
	v4, err := lc.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, explainListen(address, err)
	}
	port = strconv.Itoa(v4.Addr().(*net.TCPAddr).Port)
	v6, err := lc.Listen(ctx, "tcp6", net.JoinHostPort("::1", port))
	if err != nil {
		log.Warn("not listening on ::1; clients that prefer IPv6 will fall back to 127.0.0.1", "error", err)
		return []net.Listener{v4}, nil
	}
	return []net.Listener{v4, v6}, nil
}

func explainListen(address string, err error) error {
	return fmt.Errorf("cannot listen on %s: %w (choose another address with --listen or --admin-listen)", address, err)
}

// isLoopback reports whether every listener is bound to a loopback address.
func isLoopback(listeners []net.Listener) bool {
	for _, l := range listeners {
		addr, err := netip.ParseAddrPort(l.Addr().String())
		if err != nil || !addr.Addr().IsLoopback() {
			return false
		}
	}
	return true
}

// cappedListener refuses connections over a total and over a share for each
// address, by closing them at once: an idle connection costs a goroutine, and
// one client must not take them all.
type cappedListener struct {
	net.Listener
	conns *connections
}

// connections counts what is open over all listeners of a server.
type connections struct {
	max, maxPerAddress int
	refused            func()

	mu        sync.Mutex
	total     int                // guarded by mu
	byAddress map[netip.Addr]int // guarded by mu
}

func newConnections(max, maxPerAddress int, refused func()) *connections {
	return &connections{max: max, maxPerAddress: maxPerAddress, refused: refused, byAddress: map[netip.Addr]int{}}
}

func (c *connections) enter(a netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.total >= c.max || c.byAddress[a] >= c.maxPerAddress {
		return false
	}
	c.total++
	c.byAddress[a]++
	return true
}

func (c *connections) leave(a netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.byAddress[a]--; c.byAddress[a] == 0 {
		delete(c.byAddress, a)
	}
}

func (c *connections) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// Accept returns the next connection that is within the caps.
func (l cappedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		var from netip.Addr
		if ap, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
			from = ap.Addr().Unmap()
		}
		if l.conns.enter(from) {
			return &countedConn{Conn: conn, leave: sync.OnceFunc(func() { l.conns.leave(from) })}, nil
		}
		l.conns.refused()
		conn.Close()
	}
}

// countedConn gives its place back when it is closed.
type countedConn struct {
	net.Conn
	leave func()
}

func (c *countedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// certificate serves a TLS certificate from two files and reads them again on
// request, so that a renewal needs no restart. A pair that cannot be read or
// does not match is refused and the old one stays in use.
type certificate struct {
	certFile, keyFile string

	mu      sync.RWMutex
	current *tls.Certificate // guarded by mu
}

func loadCertificate(certFile, keyFile string) (*certificate, error) {
	if certFile == "" || keyFile == "" {
		return nil, errors.New("TLS needs both tls.cert_file and tls.key_file")
	}
	c := &certificate{certFile: certFile, keyFile: keyFile}
	return c, c.reload()
}

func (c *certificate) reload() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("load TLS certificate: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = &pair
	return nil
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"}, // HTTP/2 costs twice the CPU and its floods need caps of their own
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c.mu.RLock()
			defer c.mu.RUnlock()
			return c.current, nil
		},
	}
}
