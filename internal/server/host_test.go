package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/popkv/popkv/internal/config"
)

// SDKs put the account in front of the host; an HTTP_PROXY setting makes
// clients send the whole URL. Both work, for this server's names alone.
func TestHostsAndAbsoluteTargets(t *testing.T) {
	s := start(t, func(c *config.Config) { c.PublicHosts = []string{"kv.example.com"} })
	arn, path := newStore(t, s, "s", `{"data":[{"key":"k","value":"v"}]}`)
	address := s.api[0].Addr().String()
	_, port, _ := net.SplitHostPort(address)
	get := path + "/keys/k"
	if !strings.Contains(arn, account) {
		t.Fatal(arn)
	}
	for _, c := range []struct {
		name, host, target string
		want               int
	}{
		{"no label", address, get, 200},
		{"the account's label", account + "." + address, get, 200},
		{"another account's label", "123456789012." + address, get, 403},
		{"a host of no meaning", "whatever.test", get, 200},
		{"its label", account + ".whatever.test", get, 200},
		{"a whole URL", address, "http://" + address + get, 200},
		{"a whole URL with label", account + "." + address, "http://" + account + "." + address + get, 200},
		{"localhost", "localhost:" + port, "http://localhost:" + port + get, 200},
		{"localhost with label", account + ".localhost:" + port, "http://" + account + ".localhost:" + port + get, 200},
		{"a public name", "kv.example.com", "http://kv.example.com" + get, 200},
		{"a public name with label", account + ".kv.example.com", "http://" + account + ".kv.example.com" + get, 200},
		{"another account's label in a URL", "123456789012.localhost", "http://123456789012.localhost" + get, 403},
		{"another server", "example.com", "http://example.com" + get, 403},
		{"a name that only ends like ours", "evil-kv.example.com", "http://evil-kv.example.com" + get, 403},
		{"a label that is no account", "www.kv.example.com", "http://www.kv.example.com" + get, 403},
		{"an address that is not ours", "169.254.169.254", "http://169.254.169.254" + get, 403},
	} {
		got := send(t, s, message{host: c.host, target: c.target})
		if refused := got.status/100 == 4; got.status != c.want && !(c.want == 403 && refused) {
			t.Errorf("%s: %v, want %d", c.name, got, c.want)
		}
		if strings.Contains(got.body, `"v"`) != (c.want == 200) {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	for _, target := range []string{"https://example.com/", "http://example.com:25/", "ftp://localhost/"} {
		if got := sendRaw(t, s, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\n\r\n"); got.status/100 != 4 {
			t.Errorf("%s: %v", target, got)
		}
	}
}

// hasIPv6 skips a test on a machine without ::1.
func hasIPv6(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("no ::1 here:", err)
	}
	l.Close()
}

func TestLocalhostIsBothLoopbackFamilies(t *testing.T) {
	hasIPv6(t)
	s := start(t, func(c *config.Config) { c.Listen, c.Admin.Listen = "LocalHost:0", "localhost:0" })
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for what, shown := range map[string]string{"API": s.URL(), "admin": s.AdminURL()} {
		_, port, err := net.SplitHostPort(strings.TrimPrefix(shown, "http://"))
		if err != nil || !strings.EqualFold(shown, "http://localhost:"+port) {
			t.Errorf("%s is shown as %s", what, shown)
		}
		for _, host := range []string{"127.0.0.1", "[::1]"} {
			answer, err := client.Get(fmt.Sprintf("http://%s:%s/livez", host, port))
			if err != nil {
				t.Errorf("%s on %s: %v", what, host, err)
				continue
			}
			answer.Body.Close()
		}
	}
}

// Clients that try ::1 first would talk to the other program.
func TestAPortThatIsTakenInOneFamily(t *testing.T) {
	hasIPv6(t)
	taken, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	listeners, err := listen(t.Context(), "localhost:"+port, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "cannot listen on localhost:"+port) || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("got %v, %v", listeners, err)
	}
	free, err := net.Listen("tcp4", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal("the other family's socket was left open:", err)
	}
	free.Close()
}

func TestAddressesThatCannotBeListenedOn(t *testing.T) {
	s := start(t, nil)
	for address, want := range map[string]string{
		"localhost": "not HOST:PORT", "127.0.0.1:99999": "cannot listen on", s.api[0].Addr().String(): "choose another address with --listen",
	} {
		cfg := devConfig()
		cfg.Listen = address
		other, err := New(t.Context(), cfg, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", address, err, want)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAnAdminListenerForOthersIsWarnedOf(t *testing.T) {
	for address, warned := range map[string]bool{"127.0.0.1:0": false, "localhost:0": false, "0.0.0.0:0": true} {
		cfg, log := devConfig(), &journalist{}
		cfg.Admin.Listen = address
		s, err := New(t.Context(), cfg, Options{Logger: log.logger(slog.LevelWarn)})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Listen(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(log.String(), "asks for no credentials"); got != warned {
			t.Errorf("%s: %s", address, log)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
