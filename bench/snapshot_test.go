package bench

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/snapshot"
)

// snapshotPairs is the size of store that the targets speak of.
const snapshotPairs = 100_000

func newSnapshot(b *testing.B) *snapshot.Snapshot {
	b.Helper()
	items := make([]popkv.Item, snapshotPairs)
	for i := range items {
		items[i] = item(i, usualPair)
	}
	s, err := snapshot.Build(snapshot.DigestKey{1, 2, 3}, items)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// perCall is the time of f, in nanoseconds, for each of the calls in it.
func perCall(calls int, f func()) float64 {
	begin := time.Now()
	f()
	return float64(time.Since(begin).Nanoseconds()) / float64(calls)
}

// BenchmarkSnapshotGet asks for every key in random order. The floor is a Go
// map.
func BenchmarkSnapshotGet(b *testing.B) {
	s := newSnapshot(b)
	m := make(map[string]string, snapshotPairs)
	for k, v := range s.After("") {
		m[k] = v
	}
	var ask []string
	for _, i := range rand.New(rand.NewPCG(2, 2)).Perm(snapshotPairs) {
		ask = append(ask, strings.Clone(item(i, usualPair).Key))
	}
	found := 0
	comparison{unit: "ns", floor: func() float64 {
		return perCall(len(ask), func() {
			for _, k := range ask {
				found += len(m[k])
			}
		})
	}, subjects: []subject{
		{"view", "≤3.5", func() float64 {
			return perCall(len(ask), func() {
				for _, k := range ask {
					v, _ := s.View(k)
					found += len(v)
				}
			})
		}},
		{"get", "≤3.5", func() float64 {
			return perCall(len(ask), func() {
				for _, k := range ask {
					v, _ := s.Get(k)
					found += len(v)
				}
			})
		}},
	}}.run(b)
	b.ReportMetric(testing.AllocsPerRun(1000, func() { s.View(ask[0]) }), "view-allocs≤0")
	runtime.KeepAlive(found)
}

// BenchmarkSnapshotApply replaces the value of one key at a time, and pays for
// its garbage. It has no floor: the target is a time.
func BenchmarkSnapshotApply(b *testing.B) {
	const calls = 2000
	s := newSnapshot(b)
	r := rand.New(rand.NewPCG(3, 3))
	var times []float64
	for b.Loop() {
		for range manyRounds {
			times = append(times, perCall(calls, func() {
				for n := range calls {
					i := r.IntN(snapshotPairs)
					s = s.Apply(snapshot.Change{Puts: []popkv.Item{{Key: item(i, usualPair).Key, Value: value(n, 26)}}})
				}
			})/1e3)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(times), "apply-µs≤8")
}

// BenchmarkSnapshotMemory is the heap that a snapshot takes beside the bytes
// of its pairs, and what it adds to a cycle of the garbage collector.
func BenchmarkSnapshotMemory(b *testing.B) {
	var overhead, cycles []float64
	for b.Loop() {
		before := heapBytes()
		kept := make([]*snapshot.Snapshot, 8)
		for i := range kept {
			kept[i] = newSnapshot(b)
		}
		pairs := float64(len(kept) * snapshotPairs)
		overhead = append(overhead, (heapBytes()-before-float64(kept[0].SizeBytes())*float64(len(kept)))/pairs)
		with := collectNanos()
		runtime.KeepAlive(kept)
		kept = nil
		cycles = append(cycles, (with-collectNanos())/pairs)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(overhead), "B/pair≤24")
	b.ReportMetric(median(cycles), "gc-ns/pair≤5")
}

func heapBytes() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// collectNanos is the median time of a cycle of the garbage collector.
func collectNanos() float64 {
	runtime.GC()
	var times []float64
	for range 3 * manyRounds {
		times = append(times, perCall(1, runtime.GC))
	}
	return median(times)
}
