package bench

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/popkv/popkv"
)

// phase is how long one measurement of a server under load takes.
const phase = 300 * time.Millisecond

// askedKeys is how many different keys a load asks for.
const askedKeys = 4096

// getKeys are requests for keys all over the stores, in a random order that is
// always the same.
func getKeys(b *testing.B, s signer, stores []popkv.StoreID, pairs int) [][]byte {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	requests := make([][]byte, max(askedKeys, len(stores)))
	for i := range requests {
		key := item(r.IntN(pairs), usualPair).Key
		requests[i] = s.request(b, "GET", target(stores[i%len(stores)], key), "", "")
	}
	return requests
}

// BenchmarkGetKey is the server's processor time for one signed GetKey from a
// store of 100,000 keys. The floor answers the same requests with net/http
// alone after one fast signature check. "stdlib" is the same server with a key
// of which it has the public half only, so that the standard library verifies.
func BenchmarkGetKey(b *testing.B) {
	const pairs = 100_000
	plain := serve(b, plan{Name: "net-http", Kind: netHTTP, Processors: 1})
	floor := serve(b, plan{Name: "net-http-verify", Kind: netHTTPVerify, Processors: 1})
	silent := serve(b, plan{Name: "popkv", Kind: popkvServer, Processors: 1, Stores: 1, Pairs: pairs})
	logging := serve(b, plan{Name: "popkv-logging", Kind: popkvServer, Processors: 1, Stores: 1, Pairs: pairs, Log: filepath.Join(b.TempDir(), "log")})

	known := getKeys(b, silent.signer(silent.Known), silent.Stores, pairs)
	knownLogging := getKeys(b, logging.signer(logging.Known), logging.Stores, pairs)
	public := getKeys(b, silent.signer(silent.PublicOnly), silent.Stores, pairs)
	cost := func(s *server, requests [][]byte) func() float64 {
		return func() float64 { return s.load(requests, phase) }
	}
	medians := comparison{unit: "µs", floor: cost(floor, known), subjects: []subject{
		{"popkv", "≤1.35", cost(silent, known)},
		{"logging", "", cost(logging, knownLogging)},
		{"stdlib", "", cost(silent, public)},
		{"net/http", "", cost(plain, known)},
	}}.run(b)
	b.ReportMetric(medians[2]/medians[0], "stdlib/popkv≥2.2")
}
