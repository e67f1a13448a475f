package bench

import (
	"encoding/json"
	"net/url"
	"path/filepath"
	"testing"
)

// The sizes between which nothing may grow: pairs of one store, and resident
// stores of few pairs.
const (
	fewPairs   = 10
	manyPairs  = 100_000
	manyStores = 10_000
)

// grown are the plans of the two directions of growth.
func grown(b *testing.B) map[string]plan {
	few := plan{Kind: popkvServer, Processors: 1, Stores: 1, Pairs: fewPairs, Dir: filepath.Join(b.TempDir(), "few")}
	pairs, stores := few, few
	pairs.Name, pairs.Pairs, pairs.Dir = "many-pairs", manyPairs, filepath.Join(b.TempDir(), "pairs")
	stores.Name, stores.Stores, stores.Dir = "many-stores", manyStores, filepath.Join(b.TempDir(), "stores")
	few.Name = "few"
	return map[string]plan{"few": few, "pairs": pairs, "stores": stores}
}

// BenchmarkGrowthGetKey is the server's processor time for a signed GetKey
// from one store of 100,000 keys and from 10,000 resident stores of 10 keys.
// The floor is one store of 10 keys.
func BenchmarkGrowthGetKey(b *testing.B) {
	cost := func(p plan) func() float64 {
		s := serve(b, p)
		l := s.getKeys(s.Known, p.Pairs)
		l.once()
		return l.cost
	}
	plans := grown(b)
	comparison{unit: "µs", floor: cost(plans["few"]), subjects: []subject{
		{"pairs", "≤1.15", cost(plans["pairs"])},
		{"stores", "≤1.15", cost(plans["stores"])},
	}}.run(b)
}

// BenchmarkGrowthListKeys is the same for a ListKeys page of five items, the
// first of its store.
func BenchmarkGrowthListKeys(b *testing.B) {
	cost := func(p plan) func() float64 {
		s := serve(b, p)
		sign := s.signer(s.Known)
		l := &load{to: s, sign: func() (requests [][]byte) {
			for i := range max(askedKeys, len(s.Stores)) {
				requests = append(requests, sign.request(b, "GET", target(s.Stores[i%len(s.Stores)], "")+"?MaxResults=5", "", ""))
			}
			return requests
		}}
		l.once()
		return l.cost
	}
	plans := grown(b)
	comparison{unit: "µs", floor: cost(plans["few"]), subjects: []subject{
		{"pairs", "≤1.15", cost(plans["pairs"])},
		{"stores", "≤1.15", cost(plans["stores"])},
	}}.run(b)
}

// BenchmarkGrowthLastPage is the processor time of the last of 2,000 pages of
// 50 items against that of the first but one, so that both carry a token.
func BenchmarkGrowthLastPage(b *testing.B) {
	s := serve(b, plan{Kind: popkvServer, Processors: 1, Stores: 1, Pairs: manyPairs})
	sign := s.signer(s.Known)
	conn := s.dial()
	defer conn.Close()
	var tokens []string
	for token := ""; ; {
		page := target(s.Stores[0], "") + "?MaxResults=50"
		if token != "" {
			page += "&NextToken=" + url.QueryEscape(token)
		}
		var a answer
		if err := conn.exchange(sign.request(b, "GET", page, "", ""), &a); err != nil {
			b.Fatal(err)
		}
		var list struct{ NextToken string }
		if err := json.Unmarshal(a.body, &list); err != nil {
			b.Fatal(err)
		}
		if token = list.NextToken; token == "" {
			break
		}
		tokens = append(tokens, token)
	}
	cost := func(token string) func() float64 {
		page := target(s.Stores[0], "") + "?MaxResults=50&NextToken=" + url.QueryEscape(token)
		l := &load{to: s, sign: func() [][]byte { return [][]byte{sign.request(b, "GET", page, "", "")} }}
		return l.cost
	}
	comparison{unit: "µs", floor: cost(tokens[0]), subjects: []subject{
		{"last", "≤1.2", cost(tokens[len(tokens)-1])},
	}}.run(b)
	b.ReportMetric(float64(len(tokens)+1), "pages")
}

// BenchmarkGrowthPutKey is the median time of a signed PutKey in a chain, and
// beside it what it costs the server of processor time, folds included.
func BenchmarkGrowthPutKey(b *testing.B) {
	cpu := map[string][]float64{}
	latency := func(p plan) func() float64 {
		p.Processors = 0
		s := serve(b, p)
		s.getKeys(s.Known, p.Pairs).once()
		c := s.chain(p.Pairs)
		return func() float64 {
			before := s.used().CPU
			took := c.median()
			cpu[p.Name] = append(cpu[p.Name], micros(s.used().CPU-before)/chainLength)
			return took
		}
	}
	plans := grown(b)
	comparison{unit: "µs", floor: latency(plans["few"]), subjects: []subject{
		{"pairs", "≤1.15", latency(plans["pairs"])},
		{"stores", "≤1.15", latency(plans["stores"])},
	}}.run(b)
	for name, costs := range cpu {
		b.ReportMetric(median(costs), name+"-cpu-µs")
	}
}
