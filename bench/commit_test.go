package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/pebblejournal"
	"github.com/popkv/popkv/internal/snapshot"
)

const (
	writers = 64
	// A soak is long enough for the engine's compactions and the journal's
	// folds to take their share; the floor has neither.
	soak      = 15 * time.Second
	floorSoak = 5 * time.Second

	commitStores = 16 * writers
	commitPairs  = 1000 // of each store
)

// What a PutKey of a usual pair commits, in bytes (see journal-bytes/commit).
const (
	metaBytes   = 260
	recordBytes = 300
)

// BenchmarkCommit counts the durable commits a second of 64 writers over 1,024
// stores. "driver" is the engine: guarded transactions of a meta record and a
// change record. "journal" is all of Journal.Update: apply to the snapshot,
// encode, hash, commit and publish, and the folds that follow. The floor is a
// log that writes as many bytes and shares its syncs.
func BenchmarkCommit(b *testing.B) {
	ctx := context.Background()
	fs := &syncCounter{FS: vfs.Default}
	driver, err := pebblejournal.Open(filepath.Join(b.TempDir(), "data"), pebblejournal.Options{FS: fs})
	if err != nil {
		b.Fatal(err)
	}
	defer driver.Close()
	sized := &sizedDriver{Driver: driver}
	j, err := journal.Open(ctx, sized, journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	ids, err := fill(ctx, j, commitStores, commitPairs, usualPair)
	if err != nil {
		b.Fatal(err)
	}
	raw := &rawWriter{driver: driver}
	var serial atomic.Int64 // a value that is there already would not be committed
	update := func(store, _ int) error {
		n := int(serial.Add(1))
		_, err := j.Update(ctx, ids[store], principal, func(*journal.Head) (snapshot.Change, error) {
			return snapshot.Change{Puts: []popkv.Item{{Key: item(n%commitPairs, usualPair).Key, Value: value(n, 26)}}}, nil
		})
		return err
	}
	against := func(name string, write func(store, n int) error) subject {
		return subject{name, "≥0.6", func() float64 {
			before := fs.syncs.Load()
			s := write64(b, soak, write)
			b.ReportMetric(float64(fs.syncs.Load()-before)/float64(s.commits), name+"-syncs/commit≤0.05")
			b.ReportMetric(s.cpuMicros(), name+"-cpu-µs/commit")
			return s.rate()
		}}
	}
	floor := func() float64 {
		log := newAppendLog(b)
		s := write64(b, floorSoak, func(store, n int) error {
			meta, record := commitValues(store, n)
			return log.append(append(meta, record...))
		})
		if err := log.close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(s.cpuMicros(), "floor-cpu-µs/commit")
		return s.rate()
	}
	comparison{unit: "commits/s", rounds: 1, floor: floor, subjects: []subject{
		against("driver", raw.commit),
		against("journal", update),
	}}.run(b)
	b.ReportMetric(float64(sized.bytes.Load())/float64(sized.commits.Load()), "journal-bytes/commit")
}

// A soaked is what came of writers that wrote for a while.
type soaked struct {
	commits int64
	took    time.Duration
	cpu     time.Duration // of the whole process
}

func (s soaked) rate() float64 { return float64(s.commits) / s.took.Seconds() }

func (s soaked) cpuMicros() float64 { return micros(s.cpu) / float64(s.commits) }

// write64 lets all writers write for as long as it says. Each writer has
// stores of its own and goes round them; n tells its writes apart.
func write64(b *testing.B, length time.Duration, write func(store, n int) error) soaked {
	b.Helper()
	before, err := ownUsage()
	if err != nil {
		b.Fatal(err)
	}
	var group errgroup.Group
	var done atomic.Int64
	begin := time.Now()
	for w := range writers {
		group.Go(func() error {
			n := 0
			for ; time.Since(begin) < length; n++ {
				if err := write((w+n*writers)%commitStores, n*writers+w); err != nil {
					return err
				}
			}
			done.Add(int64(n))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	took := time.Since(begin)
	after, err := ownUsage()
	if err != nil {
		b.Fatal(err)
	}
	return soaked{done.Load(), took, after.CPU - before.CPU}
}

// commitValues are new bytes each time, so that nothing compresses or is
// skipped.
func commitValues(store, n int) (meta, record []byte) {
	meta, record = make([]byte, metaBytes), make([]byte, recordBytes)
	for i := 0; i+8 <= len(meta); i += 8 {
		binary.LittleEndian.PutUint64(meta[i:], uint64(n)*0x9E3779B97F4A7C15+uint64(store+i))
	}
	for i := 0; i+8 <= len(record); i += 8 {
		binary.LittleEndian.PutUint64(record[i:], uint64(n)*0xBF58476D1CE4E5B9+uint64(store+i))
	}
	return meta, record
}

// A rawWriter commits to the driver what a journal would.
type rawWriter struct {
	driver   journal.Driver
	versions [commitStores]uint64 // each of its writer's
	revs     [commitStores]journal.Rev
}

func (r *rawWriter) commit(store, n int) error {
	meta, record := commitValues(store, n)
	key := fmt.Sprintf("m/raw%016d", store)
	log := fmt.Sprintf("l/raw%016d/", store) + string(binary.BigEndian.AppendUint64(nil, r.versions[store]))
	rev, err := r.driver.Commit(context.Background(), journal.Txn{
		Guards: []journal.Guard{{Key: key, Rev: r.revs[store]}},
		Ops:    []journal.Op{{Key: key, Value: meta}, {Key: log, Value: record}},
	})
	r.versions[store]++
	r.revs[store] = rev
	return err
}

// A sizedDriver counts what is committed to it.
type sizedDriver struct {
	journal.Driver
	commits, bytes atomic.Int64
}

// Commit implements [journal.Driver].
func (d *sizedDriver) Commit(ctx context.Context, t journal.Txn) (journal.Rev, error) {
	d.commits.Add(1)
	d.bytes.Add(int64(t.SizeBytes()))
	return d.Driver.Commit(ctx, t)
}

// A syncCounter counts the syncs of files.
type syncCounter struct {
	vfs.FS
	syncs atomic.Int64
}

// Create implements [vfs.FS].
func (c *syncCounter) Create(name string, k vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.Create(name, k)
	return c.wrap(f), err
}

// ReuseForWrite implements [vfs.FS].
func (c *syncCounter) ReuseForWrite(old, name string, k vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.ReuseForWrite(old, name, k)
	return c.wrap(f), err
}

// OpenReadWrite implements [vfs.FS].
func (c *syncCounter) OpenReadWrite(name string, k vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := c.FS.OpenReadWrite(name, k, o...)
	return c.wrap(f), err
}

func (c *syncCounter) wrap(f vfs.File) vfs.File {
	if f == nil {
		return nil
	}
	return &countedFile{f, c}
}

type countedFile struct {
	vfs.File
	fs *syncCounter
}

// Sync implements [vfs.File].
func (f *countedFile) Sync() error {
	f.fs.syncs.Add(1)
	return f.File.Sync()
}

// SyncData implements [vfs.File].
func (f *countedFile) SyncData() error {
	f.fs.syncs.Add(1)
	return f.File.SyncData()
}
