package bench

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// askedKeys is how many different keys a load asks for.
const askedKeys = 4096

// getKeys asks a server for keys all over its stores, in a random order that
// is always the same.
func (s *server) getKeys(c credential, pairs int) *load {
	sign := s.signer(c)
	return &load{to: s, sign: func() [][]byte {
		r := rand.New(rand.NewPCG(1, 1))
		requests := make([][]byte, max(askedKeys, len(s.Stores)))
		for i := range requests {
			key := item(r.IntN(pairs), usualPair).Key
			requests[i] = sign.request(s.b, "GET", target(s.Stores[i%len(s.Stores)], key), "", "")
		}
		return requests
	}}
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

	known := silent.getKeys(silent.Known, pairs)
	medians := comparison{unit: "µs", floor: (&load{to: floor, sign: known.fresh}).cost, subjects: []subject{
		{"popkv", "≤1.35", known.cost},
		{"logging", "", logging.getKeys(logging.Known, pairs).cost},
		{"stdlib", "", silent.getKeys(silent.PublicOnly, pairs).cost},
		{"net/http", "", (&load{to: plain, sign: known.fresh}).cost},
	}}.run(b)
	b.ReportMetric(medians[2]/medians[0], "stdlib/popkv≥2.2")
}
