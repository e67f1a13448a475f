package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/config"
	"github.com/popkv/popkv/internal/controlplane"
	"github.com/popkv/popkv/internal/journal"
)

// Options change how a [Server] is made; the zero value works.
type Options struct {
	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil: time.Now

	// Driver is used instead of the storage that the configuration names; it
	// stays the caller's.
	Driver journal.Driver

	// Terminal is where a root access key made at the first start is shown,
	// once. Without one such a key is not made.
	Terminal io.Writer
}

// A Server is one origin. Use it as New, Listen, Serve, Close.
type Server struct {
	cfg       config.Config
	o         Options
	log       *slog.Logger
	metrics   *metrics
	closers   []func() error // run in reverse by Close
	driver    journal.Driver
	journal   *journal.Journal
	directory *access.Directory
	control   *controlplane.Service
	handler   http.Handler
	conns     *connections
	cert      *certificate

	api, admin []net.Listener
	draining   chan struct{} // closed when Serve begins to stop
}

// New opens storage, which may refuse damaged or newer data, and assembles the
// server. Nothing listens yet.
func New(ctx context.Context, cfg config.Config, o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{cfg: cfg, o: o, log: o.Logger, draining: make(chan struct{})}
	if err := s.assemble(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) assemble(ctx context.Context) (err error) {
	if s.cfg.TLS.Enabled() {
		if s.cert, err = loadCertificate(s.cfg.TLS.CertFile, s.cfg.TLS.KeyFile, s.log); err != nil {
			return err
		}
	}
	source, err := s.importSource()
	if err != nil {
		return err
	}
	if err := s.openStorage(ctx); err != nil {
		return err
	}
	if err := s.openDirectory(ctx); err != nil {
		return err
	}
	s.metrics = newMetrics(s)
	s.conns = newConnections(s.cfg.HTTP.MaxConnections, perAddress(s.cfg.HTTP.MaxConnections), s.metrics.refusedConnections.Inc)
	s.control = controlplane.New(s.journal, controlplane.Options{
		Limits:                 s.cfg.Limits,
		Logger:                 s.log,
		Now:                    s.o.Now,
		DelayTransientStatuses: s.cfg.DelayTransientStatus,
		Source:                 source,
		Progress:               s.metrics.importProgress,
		Runner:                 s.openFunctions(),
	})
	s.handler = s.reportPanics(s.routes())
	return nil
}

// perAddress is the share of the connections that one address may have: most
// of them, because a proxy in front is one address, but never all.
func perAddress(total int) int { return max(1, total*9/10) }

// Close releases what New and Listen took. Serve must have returned.
func (s *Server) Close() error {
	for _, l := range append(s.api, s.admin...) {
		l.Close() // already closed when Serve ran
	}
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// Listen opens the sockets, so that the addresses are known before Serve.
func (s *Server) Listen(ctx context.Context) error {
	var err error
	if s.api, err = listen(ctx, s.cfg.Listen, s.log); err != nil {
		return err
	}
	if s.cfg.Admin.Listen == "" {
		return nil
	}
	if !config.Loopback(s.cfg.Admin.Listen) {
		s.log.Warn("other machines can reach the admin listener, which asks for no credentials", "address", s.cfg.Admin.Listen)
	}
	s.admin, err = listen(ctx, s.cfg.Admin.Listen, s.log)
	return err
}

// Directory is the access keys and policies.
func (s *Server) Directory() *access.Directory { return s.directory }

// Serve answers requests until ctx ends, then lets the requests in progress
// finish within the drain timeout. It returns nil after a clean stop.
func (s *Server) Serve(ctx context.Context) error {
	api := s.httpServer(s.handler)
	admin := s.httpServer(s.adminHandler())
	group, gctx := errgroup.WithContext(context.WithoutCancel(ctx))
	work, stopWork := context.WithCancel(gctx)
	defer stopWork()

	for _, l := range s.api {
		group.Go(func() error { return ignoreClosed(api.Serve(s.wrap(l))) })
	}
	for _, l := range s.admin {
		group.Go(func() error { return ignoreClosed(admin.Serve(l)) })
	}
	group.Go(func() error { return s.control.Run(work) })
	if s.cert != nil {
		group.Go(func() error { s.cert.watch(work); return nil })
	}
	group.Go(func() error {
		select {
		case <-ctx.Done():
		case <-gctx.Done(): // a listener or the control plane failed
		}
		close(s.draining)
		deadline, cancel := context.WithTimeout(context.Background(), s.cfg.Shutdown.DrainTimeout)
		defer cancel()
		err := api.Shutdown(deadline)
		if err != nil {
			s.log.Warn("requests were still in progress when the drain timeout ended", "timeout", s.cfg.Shutdown.DrainTimeout)
			err = api.Close()
		}
		stopWork()
		return errors.Join(err, admin.Close())
	})
	return group.Wait()
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	c := s.cfg.HTTP
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: c.ReadHeaderTimeout,
		ReadTimeout:       c.ReadTimeout,
		WriteTimeout:      c.WriteTimeout,
		IdleTimeout:       c.IdleTimeout,
		MaxHeaderBytes:    c.MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		// OPTIONS * would be answered before the gate.
		DisableGeneralOptionsHandler: true,
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// ready says why the server should not be sent requests, or nil.
func (s *Server) ready() error {
	select {
	case <-s.draining:
		return errors.New("stopping")
	default:
	}
	if state := s.journal.State(); state.Mode == journal.Failed {
		return fmt.Errorf("storage has failed: %w", state.Cause)
	}
	return nil
}

// URL is where clients on this machine reach the API.
func (s *Server) URL() string {
	scheme := "http"
	if s.cert != nil {
		scheme = "https"
	}
	return scheme + "://" + shownAddress(s.cfg.Listen, s.api)
}

// AdminURL is where the admin listener answers, empty if there is none.
func (s *Server) AdminURL() string {
	if len(s.admin) == 0 {
		return ""
	}
	return "http://" + shownAddress(s.cfg.Admin.Listen, s.admin)
}

// shownAddress is the configured host with the port that is in fact open.
func shownAddress(configured string, open []net.Listener) string {
	host, _, err := net.SplitHostPort(configured)
	if err != nil || len(open) == 0 {
		return configured
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	_, port, err := net.SplitHostPort(open[0].Addr().String())
	if err != nil {
		return configured
	}
	return net.JoinHostPort(host, port)
}
