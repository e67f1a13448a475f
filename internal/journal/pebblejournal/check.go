package pebblejournal

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/popkv/popkv/internal/journal"
)

// checkName is where Check keeps its copy of the engine for a moment: links to
// the tables, and copies of the log and the manifest.
const checkName = "check"

// A Report is what [Driver.Check] has read.
type Report struct {
	Batch  uint64 // the last one it covers
	Tables int
	Bytes  int64 // of the tables
}

// Check reads FORMAT, the witness and every block of every file that the
// current state rests on, past the engine's caches, sums up the keys and
// compares them with what the running driver and the witness know. It takes a
// consistent copy first, for which commits wait a moment, and which needs
// little space. An [ErrDamaged] names the file or the batch; any other error
// says that the check could not go on. Values of records and chunks are checked
// as blocks; that each store's are all there is for the store's own hashes to
// say.
func (d *Driver) Check(ctx context.Context) (report Report, err error) {
	done, err := d.use()
	if err != nil {
		return Report{}, err
	}
	defer done()
	select {
	case d.stageTurn <- struct{}{}: // one at a time, and not while staging
		defer func() { <-d.stageTurn }()
	case <-ctx.Done():
		return Report{}, context.Cause(ctx)
	}
	if err := d.space.check(0); err != nil {
		return Report{}, err // the engine could not flush
	}
	seen, err := d.checkOutside()
	if err != nil {
		return Report{}, err
	}
	dir := d.fs.PathJoin(d.dir, checkName)
	if err := d.fs.RemoveAll(dir); err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, d.fs.RemoveAll(dir)) }()
	var known mark
	if err := d.latch.run(func() (err error) { known, err = d.copyEngine(dir); return err }); err != nil {
		if cause := d.latch.cause(); cause != nil {
			return Report{}, fmt.Errorf("%w: %w", journal.ErrFailed, cause)
		}
		return Report{}, damaged(fmt.Errorf("copy the engine: %w", err))
	}
	names, err := d.fs.List(dir)
	if err != nil {
		return Report{}, err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		if ctx.Err() != nil {
			return Report{}, context.Cause(ctx)
		}
		size, err := d.checkTable(ctx, d.fs.PathJoin(dir, name))
		if err != nil {
			return Report{}, fmt.Errorf("%w: %s: %w", ErrDamaged, name, err)
		}
		report.Tables++
		report.Bytes += size
	}
	head, err := d.inspect(dir)
	if err == nil {
		err = compare(head, seen)
	}
	if err == nil && head.mark() != known {
		err = fmt.Errorf("%w: the files end at batch %d, but the last one is %d, or they differ", ErrDamaged, head.sequence, known.sequence)
	}
	report.Batch = head.sequence
	return report, err
}

// checkOutside reads the files beside the engine, and returns what the witness
// has seen.
func (d *Driver) checkOutside() (mark, error) {
	id, found, err := readFormat(d.fs, d.dir)
	switch {
	case err != nil:
		return mark{}, err
	case !found:
		return mark{}, fmt.Errorf("%w: %s is missing", ErrDamaged, formatName)
	case id != d.id:
		return mark{}, fmt.Errorf("%w: %s is of another directory", ErrDamaged, formatName)
	}
	return d.readWitness()
}

// copyEngine makes a consistent copy of the engine's files in dir, and returns
// the mark of its last batch. Commits wait for it, because a log that grows
// while it is copied looks damaged; it has been flushed before, so there is
// little of it.
func (d *Driver) copyEngine(dir string) (mark, error) {
	if err := d.db.Flush(); err != nil {
		return mark{}, err
	}
	d.write.Lock()
	defer d.write.Unlock()
	return d.write.head.mark(), d.db.Checkpoint(dir, pebble.WithFlushedWAL())
}

// checkTable reads a table from disk, past all caches.
func (d *Driver) checkTable(ctx context.Context, name string) (size int64, err error) {
	f, err := d.fs.Open(name)
	if err != nil {
		return 0, err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return 0, errors.Join(err, f.Close())
	}
	r, err := sstable.NewReader(ctx, readable, d.engineOptions().MakeReaderOptions())
	if err != nil {
		return 0, errors.Join(err, readable.Close())
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return readable.Size(), r.ValidateBlockChecksums()
}

var _ interface {
	journal.Driver
	Check(context.Context) (Report, error)
} = (*Driver)(nil)
