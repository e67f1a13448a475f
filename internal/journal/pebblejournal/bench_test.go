package pebblejournal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/popkv/popkv/internal/journal"
)

// BenchmarkCommit compares commits over many stores with a floor in the same
// run: an append log that lets all waiting writers share one fdatasync. Read
// the ratio of the two commits/s, and syncs per commit.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("floor/writers=%d", writers), func(b *testing.B) { benchFloor(b, writers) })
		b.Run(fmt.Sprintf("pebble/writers=%d", writers), func(b *testing.B) { benchDriver(b, writers) })
	}
}

const (
	benchStores    = 1000
	benchMetaBytes = 200
	benchRecord    = 300 // one pair and its envelope
)

// countFS counts log syncs.
type countFS struct {
	vfs.FS
	syncs atomic.Int64
}

func (c *countFS) Create(name string, k vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.Create(name, k)
	return c.wrap(name, f), err
}

func (c *countFS) ReuseForWrite(old, name string, k vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.ReuseForWrite(old, name, k)
	return c.wrap(name, f), err
}

func (c *countFS) wrap(name string, f vfs.File) vfs.File {
	if filepath.Ext(name) != ".log" || f == nil {
		return f
	}
	return &countFile{f, c}
}

type countFile struct {
	vfs.File
	fs *countFS
}

func (f *countFile) SyncData() error {
	f.fs.syncs.Add(1)
	return f.File.SyncData()
}

func benchDriver(b *testing.B, writers int) {
	fs := &countFS{FS: vfs.Default}
	d, err := Open(b.TempDir(), Options{FS: fs})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	fs.syncs.Store(0)
	var versions [benchStores]uint64
	var revs [benchStores]journal.Rev
	parallelWriters(b, writers, func(store int) {
		versions[store]++
		meta, record := benchValues(store, versions[store])
		key := fmt.Sprintf("m/%016d", store)
		rev, err := d.Commit(context.Background(), journal.Txn{
			Guards: []journal.Guard{{Key: key, Rev: revs[store]}},
			Ops: []journal.Op{
				{Key: key, Value: meta},
				{Key: fmt.Sprintf("l/%016d/", store) + string(binary.BigEndian.AppendUint64(nil, versions[store])), Value: record},
			},
		})
		if err != nil {
			b.Error(err)
		}
		revs[store] = rev
	})
	b.ReportMetric(float64(fs.syncs.Load())/float64(b.N), "syncs/commit")
}

func benchValues(store int, version uint64) (meta, record []byte) {
	meta, record = make([]byte, benchMetaBytes), make([]byte, benchRecord)
	for i := 0; i < len(meta); i += 8 {
		binary.LittleEndian.PutUint64(meta[i:], version*0x9E3779B97F4A7C15+uint64(store+i))
	}
	for i := 0; i+8 <= len(record); i += 8 {
		binary.LittleEndian.PutUint64(record[i:], version*0xBF58476D1CE4E5B9+uint64(store+i))
	}
	return meta, record
}

// parallelWriters runs b.N calls; writer w owns the stores that are w modulo
// the writers.
func parallelWriters(b *testing.B, writers int, write func(store int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	latencies := make([][]time.Duration, writers)
	b.ResetTimer()
	start, cpu := time.Now(), cpuTime(b)
	for w := range writers {
		wg.Go(func() {
			for store := w; next.Add(1) <= int64(b.N); store = (store + writers) % (benchStores / writers * writers) {
				begun := time.Now()
				write(store)
				latencies[w] = append(latencies[w], time.Since(begun))
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "commits/s")
	b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/1e3/float64(b.N), "cpu-µs/commit")
	b.StopTimer()
	reportPercentiles(b, latencies)
}

// cpuTime is what the process has used, of user and system time.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportPercentiles(b *testing.B, latencies [][]time.Duration) {
	var all []float64
	for _, l := range latencies {
		for _, v := range l {
			all = append(all, float64(v.Microseconds()))
		}
	}
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	b.ReportMetric(all[len(all)/2], "p50-µs")
	b.ReportMetric(all[len(all)*99/100], "p99-µs")
}

// benchFloor is the least a durable log can do: one goroutine drains the
// waiting writers, writes their bytes once and syncs once.
func benchFloor(b *testing.B, writers int) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	type entry struct {
		bytes []byte
		done  chan error
	}
	queue := make(chan entry, 4096)
	stopped := make(chan struct{})
	syncs := 0
	go func() {
		defer close(stopped)
		var at int64
		for first := range queue {
			batch := []entry{first}
			for len(batch) < batchCommits && len(queue) > 0 {
				batch = append(batch, <-queue)
			}
			var buf []byte
			for _, e := range batch {
				buf = append(buf, e.bytes...)
			}
			_, err := f.WriteAt(buf, at)
			at += int64(len(buf))
			syncs++
			if err == nil {
				err = syscall.Fdatasync(int(f.Fd()))
			}
			for _, e := range batch {
				e.done <- err
			}
		}
	}()
	var versions [benchStores]uint64
	parallelWriters(b, writers, func(store int) {
		versions[store]++
		meta, record := benchValues(store, versions[store])
		e := entry{append(meta, record...), make(chan error, 1)}
		queue <- e
		if err := <-e.done; err != nil {
			b.Error(err)
		}
	})
	close(queue)
	<-stopped
	b.ReportMetric(float64(syncs)/float64(b.N), "syncs/commit")
}

// BenchmarkOpen opens a directory of 10,000 stores with a history of records,
// left by a clean close and by a kill. A start shall take at most 200 ms at any
// size.
func BenchmarkOpen(b *testing.B) {
	for _, each := range []int{10, 50} {
		clean, killed := benchDirectories(b, 10_000, each)
		for name, left := range map[string]string{"closed": clean, "killed": killed} {
			b.Run(fmt.Sprintf("records=%d/%s", 10_000*each, name), func(b *testing.B) {
				var open time.Duration
				for range b.N {
					dir := filepath.Join(b.TempDir(), "copy")
					if err := os.CopyFS(dir, os.DirFS(left)); err != nil {
						b.Fatal(err)
					}
					syscall.Sync() // or the start waits for the copy's writes
					begun := time.Now()
					d, err := Open(dir, Options{})
					if err != nil {
						b.Fatal(err)
					}
					open += time.Since(begun)
					if err := d.Close(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(open.Seconds()*1e3/float64(b.N), "ms/open")
			})
		}
	}
}

// benchDirectories returns a directory as Close leaves it and one as a kill
// does.
func benchDirectories(b *testing.B, stores, each int) (closed, killed string) {
	b.Helper()
	closed, killed = filepath.Join(b.TempDir(), "closed"), filepath.Join(b.TempDir(), "killed")
	d, err := Open(closed, Options{})
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for version := range uint64(each) {
				for store := w; store < stores; store += 64 {
					meta, record := benchValues(store, version)
					_, err := d.Commit(context.Background(), journal.Txn{Ops: []journal.Op{
						{Key: fmt.Sprintf("m/%016d", store), Value: meta},
						{Key: fmt.Sprintf("l/%016d/", store) + string(binary.BigEndian.AppendUint64(nil, version)), Value: record},
					}})
					if err != nil {
						b.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	d.write.Lock() // no log may grow while it is copied
	err = d.db.Checkpoint(filepath.Join(killed, engineName), pebble.WithFlushedWAL())
	for _, name := range []string{formatName, witnessName} {
		contents, readErr := os.ReadFile(filepath.Join(closed, name))
		err = errors.Join(err, readErr, os.WriteFile(filepath.Join(killed, name), contents, 0o600))
	}
	d.write.Unlock()
	if err := errors.Join(err, d.Close()); err != nil {
		b.Fatal(err)
	}
	return closed, killed
}

// BenchmarkRevs is what a barrier costs: one revision out of 10,000 stores.
func BenchmarkRevs(b *testing.B) {
	closed, _ := benchDirectories(b, 10_000, 3)
	d, err := Open(closed, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("m/%016d", i)
	}
	for i := 0; b.Loop(); i++ {
		if revs, err := d.Revs(context.Background(), keys[i%len(keys):i%len(keys)+1]); err != nil || revs[0] == 0 {
			b.Fatal(revs, err)
		}
	}
}
