package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/admin"
	"github.com/popkv/popkv/internal/cfapi"
	"github.com/popkv/popkv/internal/controlplane"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/kvsapi"
)

// metrics are what /metrics shows. Labels are bounded: plane, operation and
// status, never a store, a key or a client.
type metrics struct {
	registry           *prometheus.Registry
	requests           *prometheus.CounterVec
	seconds            *prometheus.HistogramVec
	refusedConnections prometheus.Counter
	imports            *prometheus.CounterVec
	importBytes        prometheus.Counter
	importItems        prometheus.Counter
	importing          importsRunning
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		importing: importsRunning{last: map[popkv.StoreID]controlplane.ImportProgress{}},
		registry:  prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "popkv_requests_total", Help: "Requests answered.",
		}, []string{"plane", "operation", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "popkv_request_seconds", Help: "Time from the request's headers to its answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"plane", "operation"}),
		refusedConnections: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "popkv_connections_refused_total", Help: "Connections closed at once because of a cap.",
		}),
		imports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "popkv_imports_total", Help: "Imports ended.",
		}, []string{"outcome"}),
		importBytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "popkv_import_bytes_total", Help: "Bytes of import documents read.",
		}),
		importItems: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "popkv_import_items_total", Help: "Items of import documents read.",
		}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.refusedConnections, m.imports, m.importBytes, m.importItems,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	counter := func(name, help string, value func(journal.Stats) uint64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(value(s.journal.Stats())) }))
	}
	gauge("popkv_connections_open", "Connections to the API listener.", func() float64 { return float64(s.conns.open()) })
	gauge("popkv_imports_running", "Imports that are being read.", m.importing.count)
	gauge("popkv_stores_resident", "Stores held in memory.", func() float64 { return float64(s.journal.Stats().ResidentStores) })
	gauge("popkv_stores_resident_bytes", "Memory of resident stores.", func() float64 { return float64(s.journal.Stats().ResidentBytes) })
	gauge("popkv_stores_in_doubt", "Stores that await the outcome of a commit and take no write.", func() float64 { return float64(s.journal.Stats().InDoubt) })
	gauge("popkv_storage_writable", "1 if storage takes writes, 0 if it is full or has failed.", func() float64 {
		if s.journal.State().Mode == journal.Writable {
			return 1
		}
		return 0
	})
	counter("popkv_commits_total", "Commits of stores.", func(j journal.Stats) uint64 { return j.Commits })
	counter("popkv_commit_conflicts_total", "Changes started again because another was faster.", func(j journal.Stats) uint64 { return j.Conflicts })
	counter("popkv_lost_answers_resolved_total", "Commits whose answer was lost and whose outcome was learned.", func(j journal.Stats) uint64 { return j.Resolved })
	counter("popkv_store_loads_total", "Stores loaded into memory.", func(j journal.Stats) uint64 { return j.Loads })
	counter("popkv_store_evictions_total", "Stores evicted under the memory budget.", func(j journal.Stats) uint64 { return j.Evictions })
	counter("popkv_folds_total", "Logs folded into a new snapshot.", func(j journal.Stats) uint64 { return j.Folds })
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// importsRunning is how far each import has come, so that the counters move
// while it runs.
type importsRunning struct {
	mu   sync.Mutex
	last map[popkv.StoreID]controlplane.ImportProgress // guarded by mu
}

// step returns what has come since the store's last report.
func (r *importsRunning) step(p controlplane.ImportProgress) (bytes int64, items int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.last[p.Store]
	if p.Done {
		delete(r.last, p.Store)
	} else {
		r.last[p.Store] = p
	}
	return max(p.Bytes-last.Bytes, 0), max(p.Items-last.Items, 0)
}

func (r *importsRunning) count() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return float64(len(r.last))
}

// importProgress counts what an import has read, and how it ended.
func (m *metrics) importProgress(p controlplane.ImportProgress) {
	bytes, items := m.importing.step(p)
	m.importBytes.Add(float64(bytes))
	m.importItems.Add(float64(items))
	if !p.Done {
		return
	}
	outcome := "ready"
	if p.Reason != "" {
		outcome = "failed"
	}
	m.imports.WithLabelValues(outcome).Inc()
}

// seen is one request as log and metrics know it.
type seen struct {
	plane, operation string
	requestID        string
	caller           popkv.Caller
	resource         string
	status           int
	err              error
	duration         time.Duration
}

// statusClientGone stands in log and metrics for the answer to a client that
// did not wait for it, as with other servers. It is never sent.
const statusClientGone = 499

// record counts a request and logs it in one line. Values, signatures and
// query strings are not in seen, so they cannot get into the log.
func (s *Server) record(r *http.Request, o seen) {
	operation := o.operation
	if operation == "" {
		operation = "unknown"
	}
	if o.status >= 500 && r.Context().Err() != nil && errors.Is(o.err, context.Canceled) {
		o.status = statusClientGone // no failure of ours
	}
	s.metrics.requests.WithLabelValues(o.plane, operation, strconv.Itoa(o.status)).Inc()
	s.metrics.seconds.WithLabelValues(o.plane, operation).Observe(o.duration.Seconds())

	level := slog.LevelInfo
	if o.status >= 500 {
		level = slog.LevelError
	}
	if !s.log.Enabled(r.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", o.requestID),
		slog.String("plane", o.plane),
		slog.String("operation", operation),
		slog.Int("status", o.status),
		slog.Float64("duration_ms", float64(o.duration.Microseconds())/1000),
		slog.String("remote", r.RemoteAddr),
	}
	if o.caller.Account != "" {
		attrs = append(attrs, slog.String("principal", o.caller.ARN()), slog.String("access_key_id", o.caller.AccessKeyID))
	}
	if o.resource != "" {
		attrs = append(attrs, slog.String("resource", o.resource))
	}
	if o.err != nil {
		attrs = append(attrs, slog.String("error", o.err.Error()))
	}
	s.log.LogAttrs(r.Context(), level, "request", attrs...)
}

func (s *Server) observeData(r *http.Request, o kvsapi.Observation) {
	resource := ""
	if o.Store != (popkv.StoreID{}) {
		resource = o.Store.String()
	}
	s.record(r, seen{"data", o.Operation, o.RequestID, o.Caller, resource, o.Status, o.Err, o.Duration})
}

func (s *Server) observeControl(r *http.Request, o cfapi.Observation) {
	s.record(r, seen{"control", o.Operation, o.RequestID, o.Caller, o.Resource, o.Status, o.Err, o.Duration})
}

func (s *Server) observeManagement(r *http.Request, o admin.Observation) {
	s.record(r, seen{"management", o.Operation, o.RequestID, o.Caller, "", o.Status, o.Err, o.Duration})
}
