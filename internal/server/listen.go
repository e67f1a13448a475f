package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
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
	if !strings.EqualFold(host, "localhost") {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			return nil, explainListen(address, err)
		}
		return []net.Listener{l}, nil
	}
	for tries := 1; ; tries++ {
		listeners, err := listenLoopback(ctx, port, log)
		if err == nil {
			return listeners, nil
		}
		// A port that is free in one family need not be in the other.
		if port != "0" || tries == 10 || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, explainListen(address, err)
		}
	}
}

// listenLoopback opens one port in both loopback families. That another
// program has it on ::1 is a failure: clients that try ::1 first would talk to
// that one.
func listenLoopback(ctx context.Context, port string, log *slog.Logger) ([]net.Listener, error) {
	var lc net.ListenConfig
	v4, err := lc.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, err
	}
	port = strconv.Itoa(v4.Addr().(*net.TCPAddr).Port)
	v6, err := lc.Listen(ctx, "tcp6", net.JoinHostPort("::1", port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, errors.Join(err, v4.Close())
	}
	if err != nil {
		log.Warn("not listening on ::1; clients that prefer IPv6 will fall back to 127.0.0.1", "error", err)
		return []net.Listener{v4}, nil
	}
	return []net.Listener{v4, v6}, nil
}

func explainListen(address string, err error) error {
	return fmt.Errorf("cannot listen on %s: %w (choose another address with --listen or --admin-listen)", address, err)
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
		from := peer(conn.RemoteAddr())
		if l.conns.enter(from) {
			return &countedConn{Conn: conn, leave: sync.OnceFunc(func() { l.conns.leave(from) })}, nil
		}
		l.conns.refused()
		conn.Close()
	}
}

// peer is what the share of a connection is counted for: an address, or of
// IPv6 the network of 64 bits, all of which one client may have to itself.
func peer(remote net.Addr) netip.Addr {
	at, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return netip.Addr{}
	}
	address := at.Addr().Unmap().WithZone("")
	if address.Is4() {
		return address
	}
	return netip.PrefixFrom(address, 64).Masked().Addr()
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

// CloseWrite ends what is sent, as net/http does before it closes a connection
// of which it has not read all: without it the client would see the connection
// reset instead of the answer.
func (c *countedConn) CloseWrite() error {
	if conn, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return conn.CloseWrite()
	}
	return nil
}
