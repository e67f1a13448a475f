package journal_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// BenchmarkUpdate is the journal's share of a write: on the driver in memory
// what it costs the processor, on disk what group commit makes of it.
func BenchmarkUpdate(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("memory/writers=%d", writers), func(b *testing.B) {
			benchUpdate(b, newDriver(nil), writers)
		})
		b.Run(fmt.Sprintf("disk/writers=%d", writers), func(b *testing.B) {
			benchUpdate(b, openPebble(b, b.TempDir()), writers)
		})
	}
}

func benchUpdate(b *testing.B, d journal.Driver, writers int) {
	j := open(b, d, journal.Options{})
	defer j.Close()
	ids := make([]popkv.StoreID, 4*writers)
	for i := range ids {
		ids[i] = newStore(b, j)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for {
				n := int(next.Add(1))
				if n > b.N {
					return
				}
				id := ids[w+writers*(n%4)]
				if _, err := j.Update(context.Background(), id, principal, set(value(n%100), value(n))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

func BenchmarkHead(b *testing.B) {
	j := open(b, newDriver(nil), journal.Options{})
	defer j.Close()
	id := newStore(b, j)
	mustWrite(b, j, id, "a", "1")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.Head(context.Background(), id); err != nil {
			b.Fatal(err)
		}
	}
}
