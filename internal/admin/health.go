package admin

import (
	"io"
	"net/http"
	"net/http/pprof"
)

// HealthHandler serves the admin listener:
//
//	/livez         200 as long as the process answers
//	/readyz        200 when the server takes requests, 503 with the reason otherwise
//	/metrics       whatever metrics serves, in the Prometheus text format
//	/debug/pprof/  Go profiles, but not the command line, which may hold a secret
//
// ready returns why the server is not ready, or nil.
func HealthHandler(ready func() error, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ok\n")
	})
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
