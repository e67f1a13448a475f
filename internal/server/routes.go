package server

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/admin"
	"github.com/popkv/popkv/internal/cfapi"
	"github.com/popkv/popkv/internal/config"
	"github.com/popkv/popkv/internal/dataplane"
	"github.com/popkv/popkv/internal/kvsapi"
)

// routes puts one gate in front of three APIs, told apart by their path's
// prefix. Nothing is cleaned or redirected: the path is compared as it was
// sent.
func (s *Server) routes() http.Handler {
	gate := access.NewGate(s.directory, access.GateOptions{
		Now:                s.o.Now,
		Region:             s.cfg.Region,
		Names:              s.ownNames(),
		Query:              s.cfg.Auth.Query,
		NoSigV4OnDataPlane: !s.cfg.Auth.SigV4OnDataPlane,
		InFlightBytes:      s.cfg.HTTP.InFlightBytes,
	})
	rules := dataplane.New(s.journal, dataplane.Options{Limits: s.cfg.Limits, Now: s.o.Now})
	data := kvsapi.New(rules, gate, kvsapi.Options{
		Limits:            s.cfg.Limits,
		StaleETagConflict: s.cfg.Compat.StaleETag == config.StaleETagConflict,
		Tags:              s.tagsOf,
		Observe:           s.observeData,
		Now:               s.o.Now,
	})
	control := cfapi.New(s.control, gate, cfapi.Options{Observe: s.observeControl, Now: s.o.Now})
	management := admin.New(gate, s.directory, storage{s.journal, s.driver}, admin.Options{
		OwnerAccount: s.cfg.AccountID,
		Check:        CheckRecord,
		RequestID:    uuid.NewString,
		Observe:      s.observeManagement,
		Now:          s.o.Now,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.EscapedPath(); {
		case strings.HasPrefix(path, "/key-value-stores/"):
			data.ServeHTTP(w, r)
		case strings.HasPrefix(path, admin.Prefix):
			management.ServeHTTP(w, r)
		case strings.HasPrefix(path, "/2020-05-31/") || path == "/":
			control.ServeHTTP(w, r)
		default:
			data.ServeHTTP(w, r) // refuses it in the form that most clients read
		}
	})
}

// reportPanics logs a panic, which means a bug, where it is seen. The
// connection is then cut, as net/http does by itself.
func (s *Server) reportPanics(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				s.log.Error("panic while answering a request", "panic", p, "stack", string(debug.Stack()))
				panic(http.ErrAbortHandler)
			}
		}()
		h.ServeHTTP(w, r)
	})
}

// tagsOf returns a store's tags for policies that ask for them. A store that
// the ARN's account does not have is without tags, as if it did not exist: an
// answer must not depend on another account's.
func (s *Server) tagsOf(ctx context.Context, store popkv.ARN) (map[string]string, error) {
	found, err := s.control.Resource(ctx, store.Account, store.String())
	return found.Tags, err
}

// ownNames are the hosts that an absolute request target may name, besides
// loopback.
func (s *Server) ownNames() []string {
	names := slices.Clone(s.cfg.PublicHosts)
	if host, _, err := net.SplitHostPort(s.cfg.Listen); err == nil && host != "" {
		names = append(names, host)
	}
	return names
}

func (s *Server) adminHandler() http.Handler {
	return admin.HealthHandler(s.ready, s.metrics.handler())
}

// wrap puts the connection cap, and TLS if there is a certificate, on a
// listener.
func (s *Server) wrap(l net.Listener) net.Listener {
	capped := cappedListener{Listener: l, conns: s.conns}
	if s.cert == nil {
		return capped
	}
	return tls.NewListener(capped, s.cert.config())
}
