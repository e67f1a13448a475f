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
// run: an append log that lets all waiting writers share one fdatasync. Both
// take turns of a second, so that a machine with other work disturbs both:
// -benchtime 15x is a run of 15 s each. A compaction that goes on into the
// floor's turn slows that down a little. The target is a ratio of 0.60, and at
// most 1/20 sync per commit with 64 writers.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			floor, driver := openFloor(b), openBench(b)
			var ratios []float64
			var floorSum, driverSum turn
			for range b.N {
				f := takeTurn(b, writers, floor.write)
				d := takeTurn(b, writers, driver.write)
				ratios = append(ratios, d.perSecond()/f.perSecond())
				floorSum, driverSum = floorSum.plus(f), driverSum.plus(d)
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "ratio-median")
			b.ReportMetric(driverSum.perSecond()/floorSum.perSecond(), "ratio")
			b.ReportMetric(driverSum.perSecond(), "commits/s")
			b.ReportMetric(floorSum.perSecond(), "floor-commits/s")
			b.ReportMetric(float64(driver.fs.syncs.Load())/float64(driverSum.commits), "syncs/commit")
			b.ReportMetric(driverSum.cpuMicros(), "cpu-µs/commit")
			b.ReportMetric(floorSum.cpuMicros(), "floor-cpu-µs/commit")
			b.ReportMetric(driverSum.percentile(50), "p50-µs")
			b.ReportMetric(driverSum.percentile(99), "p99-µs")
			b.ReportMetric(floorSum.percentile(99), "floor-p99-µs")
		})
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

// A benchDriver counts each store's versions up, as the journal does: a guarded
// meta and a record.
type benchDriver struct {
	*Driver
	b        *testing.B
	fs       *countFS
	versions [benchStores]uint64
	revs     [benchStores]journal.Rev
}

func openBench(b *testing.B) *benchDriver {
	fs := &countFS{FS: vfs.Default}
	d, err := Open(b.TempDir(), Options{FS: fs})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	fs.syncs.Store(0)
	return &benchDriver{Driver: d, b: b, fs: fs}
}

func (d *benchDriver) write(store int) {
	d.versions[store]++
	meta, record := benchValues(store, d.versions[store])
	key := fmt.Sprintf("m/%016d", store)
	rev, err := d.Commit(context.Background(), journal.Txn{
		Guards: []journal.Guard{{Key: key, Rev: d.revs[store]}},
		Ops: []journal.Op{
			{Key: key, Value: meta},
			{Key: fmt.Sprintf("l/%016d/", store) + string(binary.BigEndian.AppendUint64(nil, d.versions[store])), Value: record},
		},
	})
	if err != nil {
		d.b.Error(err)
	}
	d.revs[store] = rev
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

// A turn is what writers did in a second or several.
type turn struct {
	commits int
	took    time.Duration
	cpu     time.Duration
	micros  []float64 // of each commit
}

func (t turn) plus(o turn) turn {
	return turn{t.commits + o.commits, t.took + o.took, t.cpu + o.cpu, append(t.micros, o.micros...)}
}

func (t turn) perSecond() float64 { return float64(t.commits) / t.took.Seconds() }
func (t turn) cpuMicros() float64 { return float64(t.cpu.Nanoseconds()) / 1e3 / float64(t.commits) }

func (t turn) percentile(p int) float64 {
	slices.Sort(t.micros)
	return t.micros[(len(t.micros)-1)*p/100]
}

// takeTurn lets writers write for a second; writer w owns the stores that are
// w modulo the writers.
func takeTurn(b *testing.B, writers int, write func(store int)) turn {
	var stop atomic.Bool
	var wg sync.WaitGroup
	micros := make([][]float64, writers)
	start, cpu := time.Now(), cpuTime(b)
	timer := time.AfterFunc(time.Second, func() { stop.Store(true) })
	defer timer.Stop()
	for w := range writers {
		wg.Go(func() {
			for store := w; !stop.Load(); store = (store + writers) % (benchStores / writers * writers) {
				begun := time.Now()
				write(store)
				micros[w] = append(micros[w], float64(time.Since(begun).Nanoseconds())/1e3)
			}
		})
	}
	wg.Wait()
	all := slices.Concat(micros...)
	return turn{len(all), time.Since(start), cpuTime(b) - cpu, all}
}

// cpuTime is what the process has used, of user and system time.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A floor is the least a durable log can do: one goroutine drains the waiting
// writers, writes their bytes once and syncs once.
type floor struct {
	b        *testing.B
	queue    chan floorEntry
	versions [benchStores]uint64
}

type floorEntry struct {
	bytes []byte
	done  chan error
}

func openFloor(b *testing.B) *floor {
	file, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	f := &floor{b: b, queue: make(chan floorEntry, 4096)}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		f.loop(file)
	}()
	b.Cleanup(func() {
		close(f.queue)
		<-stopped
		file.Close()
	})
	return f
}

func (f *floor) loop(file *os.File) {
	var at int64
	for first := range f.queue {
		batch := []floorEntry{first}
		for len(batch) < batchCommits && len(f.queue) > 0 {
			batch = append(batch, <-f.queue)
		}
		var buf []byte
		for _, e := range batch {
			buf = append(buf, e.bytes...)
		}
		_, err := file.WriteAt(buf, at)
		at += int64(len(buf))
		if err == nil {
			err = syscall.Fdatasync(int(file.Fd()))
		}
		for _, e := range batch {
			e.done <- err
		}
	}
}

func (f *floor) write(store int) {
	f.versions[store]++
	meta, record := benchValues(store, f.versions[store])
	e := floorEntry{append(meta, record...), make(chan error, 1)}
	f.queue <- e
	if err := <-e.done; err != nil {
		f.b.Error(err)
	}
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
