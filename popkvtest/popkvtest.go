// Package popkvtest runs a popkv server inside a test: both APIs of Amazon
// CloudFront KeyValueStore, in memory, on a free port of the loopback
// interface, with signatures verified as in production.
//
//	kv := popkvtest.Start(t)
//	arn := kv.Store(t, "redirects", map[string]string{"/old": "/new"})
//
// Point an AWS client at [Server.URL], with the credentials of the [Server]
// and its [Server.HTTPClient]; the example shows one. Each server has its data
// to itself and loses it in Close, so tests that have one each may run in
// parallel. Everything runs in the process of the test, without other
// programs or files.
package popkvtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/config"
	"github.com/popkv/popkv/internal/server"
)

// A Server is a running popkv. Its fields are set by [New] and not to be
// changed. It is safe for concurrent use.
type Server struct {
	URL             string // endpoint of both APIs, without a slash at its end
	Region          string
	Account         string // 12 digits
	AccessKeyID     string // of the account's root user, who may do everything
	SecretAccessKey string

	server *server.Server
	client *http.Client
	close  func() error // stops the server once
}

// An Option changes how a server behaves.
type Option struct{ change func(*config.Config) }

// Limits replaces AWS's quotas. Start from [popkv.DefaultLimits]: the zero
// value of a field is zero, not unlimited.
func Limits(l popkv.Limits) Option {
	return Option{func(c *config.Config) { c.Limits = l }}
}

// StaleETagConflict answers a stale If-Match on the data plane with 409
// ConflictException, which AWS documents, instead of the 400
// ValidationException that AWS was measured to answer.
func StaleETagConflict() Option {
	return Option{func(c *config.Config) { c.Compat.StaleETag = config.StaleETagConflict }}
}

// Start runs a server until the test and its subtests have ended.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	s, err := New(options...)
	if err != nil {
		t.Fatalf("start popkv: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("stop popkv: %v", err)
		}
	})
	return s
}

// New runs a server until Close. It is for a server that several tests share;
// a single test has it easier with [Start].
func New(options ...Option) (*Server, error) {
	c := config.Default(config.Dev)
	c.Listen, c.Admin.Listen = "127.0.0.1:0", ""
	c.InMemory, c.SecretsKeyFile, c.SeedDir = true, "", ""
	c.Shutdown.DrainTimeout = drainTimeout
	c.Functions.Mode = config.FunctionInProcess // a test binary is no popkv, so it cannot be its own worker
	for _, o := range options {
		o.change(&c)
	}
	ctx := context.Background()
	origin, err := server.New(ctx, c, server.Options{})
	if err != nil {
		return nil, err
	}
	if err := origin.Listen(ctx); err != nil {
		return nil, errors.Join(err, origin.Close())
	}
	s := &Server{
		URL:             origin.URL(),
		Region:          c.Region,
		Account:         c.AccountID,
		AccessKeyID:     c.RootAccessKeyID,
		SecretAccessKey: c.RootSecretAccessKey.Reveal(),
		server:          origin,
	}
	s.client = newClient(s.URL)
	ctx, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- origin.Serve(ctx) }()
	s.close = sync.OnceValue(func() error {
		s.client.CloseIdleConnections()
		stop()
		return errors.Join(<-served, origin.Close())
	})
	return s, nil
}

// drainTimeout is how long Close waits for requests that a test has not
// waited for itself.
const drainTimeout = time.Second

// Close stops the server, after requests in progress, and forgets its data. It
// may be called again.
func (s *Server) Close() error { return s.close() }

// Store makes a store that holds items and is READY, and returns its ARN. The
// test fails at once if there is one of that name or a quota is exceeded.
func (s *Server) Store(t testing.TB, name string, items map[string]string) (arn string) {
	t.Helper()
	arn, err := s.MakeStore(t.Context(), name, items)
	if err != nil {
		t.Fatalf("make store %s: %v", name, err)
	}
	return arn
}

// MakeStore is [Server.Store] where there is no test at hand.
func (s *Server) MakeStore(ctx context.Context, name string, items map[string]string) (arn string, err error) {
	type item struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	document := struct {
		Data []item `json:"data"`
	}{Data: []item{}}
	for key, value := range items {
		document.Data = append(document.Data, item{key, value})
	}
	slices.SortFunc(document.Data, func(a, b item) int { return bytes.Compare([]byte(a.Key), []byte(b.Key)) })
	text, err := json.Marshal(document)
	if err != nil {
		return "", fmt.Errorf("keys and values must be UTF-8: %w", err)
	}
	made, err := s.server.MakeStore(ctx, name, bytes.NewReader(text))
	if err != nil {
		return "", err
	}
	return made.String(), nil
}
