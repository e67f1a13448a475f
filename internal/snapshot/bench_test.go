package snapshot

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/popkv/popkv"
)

// Ratios are what counts here: a floor and what is held against it run in
// turns, and the best round of each is compared, so that a busy machine
// disturbs both alike. Run with -benchtime 1x.

// best runs the functions in turns and returns the nanoseconds of each one's
// fastest round.
func best(rounds int, functions ...func()) []float64 {
	ns := make([]float64, len(functions))
	for round := range rounds {
		for i, f := range functions {
			start := time.Now()
			f()
			if took := float64(time.Since(start)); round == 0 || took < ns[i] {
				ns[i] = took
			}
		}
	}
	return ns
}

// benchItems returns n items of 46 bytes, keys as people write them with long
// prefixes in common, in a random order that is always the same.
func benchItems(n int) []popkv.Item {
	items := make([]popkv.Item, n)
	for i := range items {
		items[i].Key = fmt.Sprintf("redirect/%c/%09d", 'a'+i%8, i)
		items[i].Value = fmt.Sprintf("/%025d", i)
	}
	r := rand.New(rand.NewPCG(1, 1))
	r.Shuffle(n, func(i, j int) { items[i], items[j] = items[j], items[i] })
	return items
}

func mustBuild(tb testing.TB, items []popkv.Item) *Snapshot {
	s, err := Build(DigestKey{1, 2, 3}, slices.Clone(items))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

var sink int

// BenchmarkGet asks for 100,000 keys in random order, against a Go map.
// Target: get/map at most 3.5, no allocation in View.
func BenchmarkGet(b *testing.B) {
	items := benchItems(100_000)
	s := mustBuild(b, items)
	m := make(map[string]string)
	for _, item := range items {
		m[item.Key] = item.Value
	}
	var ask []string
	for _, i := range rand.New(rand.NewPCG(2, 2)).Perm(len(items)) {
		ask = append(ask, string([]byte(items[i].Key)))
	}
	for b.Loop() {
		ns := best(20,
			func() {
				for _, k := range ask {
					sink += len(m[k])
				}
			},
			func() {
				for _, k := range ask {
					v, _ := s.View(k)
					sink += len(v)
				}
			},
			func() {
				for _, k := range ask {
					v, _ := s.Get(k)
					sink += len(v)
				}
			})
		b.ReportMetric(ns[0]/float64(len(ask)), "map-ns")
		b.ReportMetric(ns[1]/float64(len(ask)), "view-ns")
		b.ReportMetric(ns[1]/ns[0], "view/map")
		b.ReportMetric(ns[2]/ns[0], "get/map")
		b.ReportMetric(testing.AllocsPerRun(100, func() { s.View(ask[0]) }), "view-allocs")
	}
}

// BenchmarkApply replaces the values of one key or of 50 keys all over the
// store, in rounds long enough to pay for their garbage. Target: one key at
// 100,000 items in at most 8 µs.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		items := benchItems(n)
		for _, keys := range []int{1, 50} {
			b.Run(fmt.Sprintf("items=%d/keys=%d", n, keys), func(b *testing.B) {
				b.ReportAllocs()
				s, at := mustBuild(b, items), 0
				apply := func() {
					c := Change{Puts: make([]popkv.Item, min(keys, n))}
					for j := range c.Puts {
						c.Puts[j] = popkv.Item{Key: items[(at+j)%n].Key, Value: items[at%n].Value}
					}
					s, at = s.Apply(c), at+7919
				}
				for b.Loop() {
					apply()
				}
				rounds := 2000 / keys
				ns := best(20, func() {
					for range rounds {
						apply()
					}
				})
				b.ReportMetric(ns[0]/float64(rounds)/1e3, "best-µs")
			})
		}
	}
}

// BenchmarkInsert adds new keys to 100,000 items.
func BenchmarkInsert(b *testing.B) {
	for _, order := range []string{"random", "ascending"} {
		b.Run(order, func(b *testing.B) {
			b.ReportAllocs()
			s := mustBuild(b, benchItems(100_000))
			r := rand.New(rand.NewPCG(3, 3))
			for i := 0; b.Loop(); i++ {
				n := uint64(i)
				if order == "random" {
					n = r.Uint64()
				}
				s = s.Apply(Change{Puts: []popkv.Item{{Key: fmt.Sprintf("redirect/%c/%020d", 'a'+n%8, n), Value: "/"}}})
			}
		})
	}
}

// BenchmarkPage reads pages of 50 items. Targets: at most 1.15 times as long
// in 100,000 items as in 50, and for the last page 1.2 times the first.
func BenchmarkPage(b *testing.B) {
	const size, n, pages = 50, 100_000, 400
	items := benchItems(n)
	large, small := mustBuild(b, items), mustBuild(b, items[:size])
	slices.SortFunc(items, func(x, y popkv.Item) int { return cmp.Compare(x.Key, y.Key) })
	page := func(s *Snapshot, after string) {
		count := 0
		for k, v := range s.After(after) {
			sink += len(k) + len(v)
			if count++; count == size {
				return
			}
		}
	}
	repeat := func(s *Snapshot, after string) func() {
		return func() {
			for range pages {
				page(s, after)
			}
		}
	}
	r := rand.New(rand.NewPCG(4, 4))
	for b.Loop() {
		ns := best(20, repeat(small, ""), repeat(large, ""), repeat(large, items[n/2].Key), repeat(large, items[n-size-1].Key), func() {
			for range pages {
				page(large, items[r.IntN(n-size)].Key) // from cold memory
			}
		})
		b.ReportMetric(ns[0]/pages, "ns/page-of-50")
		b.ReportMetric(ns[1]/ns[0], "first/of-50")
		b.ReportMetric(ns[2]/ns[0], "middle/of-50")
		b.ReportMetric(ns[3]/ns[1], "last/first")
		b.ReportMetric(ns[4]/ns[0], "random/of-50")
	}
}

func heapBytes() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkMemory measures the heap over the payload and what a cycle of the
// garbage collector costs, after a bulk load and after 100,000 single inserts.
// Targets: 24 B and 5 ns per pair.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	items := benchItems(n)
	for b.Loop() {
		before := heapBytes()
		built := mustBuild(b, items)
		b.ReportMetric((heapBytes()-before-float64(built.SizeBytes()))/n, "B/pair-built")
		before = heapBytes()
		grown := Empty(DigestKey{})
		for i := range items {
			grown = grown.Apply(Change{Puts: items[i : i+1]})
		}
		real := heapBytes() - before
		b.ReportMetric((real-float64(grown.SizeBytes()))/n, "B/pair-grown")
		b.ReportMetric(float64(grown.MemoryBytes())/real, "said/real")
		with := best(20, runtime.GC)[0]
		runtime.KeepAlive(built)
		runtime.KeepAlive(grown)
		built, grown = nil, nil
		b.ReportMetric((with-best(20, runtime.GC)[0])/(2*n), "gc-ns/pair")
	}
	runtime.KeepAlive(items)
}

// BenchmarkFullStore makes whole stores of 5 MB, of small pairs and of large
// ones, and holds them against json.Unmarshal of a document of the same items,
// the floor of an import. A first touch is "load": chunks read and hashed.
func BenchmarkFullStore(b *testing.B) {
	for _, shape := range []struct {
		name         string
		items, value int
	}{{"small", 58_909, 77}, {"large", 5_693, 909}} {
		b.Run(shape.name, func(b *testing.B) {
			items := make([]popkv.Item, shape.items)
			for i := range items {
				items[i] = popkv.Item{Key: fmt.Sprintf("key-%08d", i), Value: fmt.Sprintf("%0*d", shape.value, i)}
			}
			document, err := json.Marshal(map[string]any{"data": items})
			if err != nil {
				b.Fatal(err)
			}
			s := mustBuild(b, items)
			chunks := slices.Collect(Chunks(s, 64<<10))
			shuffled := slices.Clone(items)
			rand.New(rand.NewPCG(5, 5)).Shuffle(len(items), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			for i, item := range shuffled { // in memory as in the document
				shuffled[i] = popkv.Item{Key: strings.Clone(item.Key), Value: strings.Clone(item.Value)}
			}
			for b.Loop() {
				ns := best(10,
					func() {
						var d struct {
							Data []struct{ Key, Value string } `json:"data"`
						}
						if err := json.Unmarshal(document, &d); err != nil {
							b.Fatal(err)
						}
					},
					func() { mustBuild(b, items) },
					func() { mustBuild(b, shuffled) },
					func() {
						for c := range Chunks(s, 64<<10) {
							sink += int(ChunkHash(c)[0])
						}
					},
					func() {
						for _, c := range chunks {
							sink += int(ChunkHash(c)[0])
						}
						if _, err := FromChunks(s.Key(), slices.Values(chunks)); err != nil {
							b.Fatal(err)
						}
					},
					func() { s.Recount() })
				for i, name := range []string{"unmarshal", "build-sorted", "build-unsorted", "store", "load", "recount"} {
					b.ReportMetric(ns[i]/1e6, name+"-ms")
				}
			}
		})
	}
}

// BenchmarkRecord makes, reads and hashes the record of a PutKey.
func BenchmarkRecord(b *testing.B) {
	r := &Record{Kind: Plain, Time: time.UnixMilli(1), Principal: "arn:aws:iam::000000000000:root", Change: Change{Puts: benchItems(1)}}
	record := r.Encode()
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Encode()
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeRecord(record); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("chain", func(b *testing.B) {
		for b.Loop() {
			Chain(record)
		}
	})
}
