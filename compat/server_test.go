package compat

import (
	"context"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/config"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	origin "github.com/popkv/popkv/internal/server"
)

// account is the one of popkv dev.
const account = "000000000000"

// A server is a popkv in this process, on free loopback ports, whose storage
// can be broken.
type server struct {
	running *origin.Server
	port    int
	root    credentials
	change  func(*config.Config)
	driver  *memjournal.Driver
	broken  atomic.Bool
	stop    func()
}

func startServer(t *testing.T) *server {
	return startServerWith(t, func(*config.Config) {})
}

func startServerWith(t *testing.T, change func(*config.Config)) *server {
	t.Helper()
	s := &server{root: credentials{ID: "test", Secret: "test"}, change: change}
	s.driver = memjournal.New(memjournal.Options{Fault: func(memjournal.Call) memjournal.Fault {
		if s.broken.Load() {
			return memjournal.Refused
		}
		return memjournal.NoFault
	}})
	t.Cleanup(func() { s.stop() })
	s.start(t)
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	s.stop = func() {}
	cfg := config.Default(config.Dev)
	cfg.Listen, cfg.Admin.Listen = "localhost:0", ""
	cfg.SeedDir = ""
	s.change(&cfg)
	running, err := origin.New(t.Context(), cfg, origin.Options{Driver: s.driver})
	if err != nil {
		t.Fatal(err)
	}
	if err := running.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- running.Serve(ctx) }()
	s.running = running
	s.stop = func() {
		end()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := running.Close(); err != nil {
			t.Error(err)
		}
	}
	u, err := url.Parse(running.URL())
	if err != nil {
		t.Fatal(err)
	}
	if s.port, err = strconv.Atoi(u.Port()); err != nil {
		t.Fatal(err)
	}
}

// target is the server for a client that signs with key.
func (s *server) target(key credentials) target { return target{Port: s.port, Key: key} }

// newKey makes an access key of the account. A user has no policy.
func (s *server) newKey(t *testing.T, q access.KeyRequest) credentials {
	t.Helper()
	q.Account = account
	key, err := s.running.Directory().CreateKey(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return credentials{ID: key.AccessKeyID, Secret: key.Secret.Reveal(), Token: key.SessionToken.Reveal()}
}

// breakStorage starts the server anew on the same data, so that nothing is in
// memory, and makes storage refuse every call.
func (s *server) breakStorage(t *testing.T) {
	t.Helper()
	s.stop()
	s.driver = s.driver.Restart()
	// No secret is stored: the root key comes from the configuration. The key
	// that would have sealed others was in the old server's memory.
	accessKeys := journal.Op{Kind: journal.DeleteRange, Key: journal.AccessKeyPrefix(), End: journal.PrefixEnd(journal.AccessKeyPrefix())}
	if _, err := s.driver.Commit(t.Context(), journal.Txn{Ops: []journal.Op{accessKeys}}); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	s.broken.Store(true)
}
