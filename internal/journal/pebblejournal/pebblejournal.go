// Package pebblejournal is the embedded durable driver, on Pebble.
//
// One committer goroutine compares guards and appends commits to a batch; one
// other waits for the batch's sync, writes the witness, publishes and answers.
// Up to two batches are under way at once. Readers only ever see published
// batches.
//
// The engine can lose synced data without an error when its files are
// damaged. So every batch also puts a root record, and a witness file outside
// the engine remembers the last one: [Open] refuses a directory whose contents
// are not what was last acknowledged. After a power cut the witness may lag by
// its last second, which is the one window this cannot see.
//
// A data directory holds:
//
//	FORMAT    identity and format of the directory, written last on first start
//	LOCK      held while a process uses the directory
//	witness   the last sequence and root digest, outside the engine
//	ballast   space that is given up when the disk is full
//	engine/   Pebble's files
//
// The package deliberately knows nothing of stores or catalogs: keys and
// values are bytes, except for the kinds that [journal.Driver] names.
package pebblejournal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/eventlog"
)

// Options are settings of a [Driver]; the zero value works.
type Options struct {
	// FS is the file system, nil for the operating system's.
	FS vfs.FS
	// Logger takes what operators should see; nil discards it.
	Logger *slog.Logger
	// Now is the clock of space checks and of the wait while the disk is full.
	Now func() time.Time
	// Rand makes a new directory's identity; nil is crypto/rand.
	Rand io.Reader

	// MustExist makes Open fail with [ErrNoData], and leave no trace, where there
	// is no data directory; else it makes one.
	MustExist bool

	// ReserveBytes is the free space below which writes are refused: 0 is
	// 64 MiB, negative none.
	ReserveBytes int64
	// BallastBytes is kept aside so that a full disk can still finish what was
	// begun: 0 is 16 MiB, negative none.
	BallastBytes int64
	// CacheBytes is the size of the engine's block cache: 0 is 8 MiB.
	CacheBytes int64

	memTableBytes uint64 // 0 is 16 MiB; tests make it small to see flushes
	noSync        bool   // negative control: answers do not wait for a sync
	noWitness     bool   // negative control: Open compares nothing
}

// What [Open] finds wrong with a directory.
var (
	ErrLocked  = errors.New("the data directory is in use by another process: stop it, or reach it with --endpoint")
	ErrDamaged = errors.New("the data directory is damaged: restore a backup; if there is none, `popkv backup create --accept-loss` saves what is left")
	ErrNewer   = errors.New("the data directory was written by a newer popkv: use that version")
	ErrNoData  = errors.New("this is no data directory")
)

// A Driver is a [journal.Driver] on one data directory.
type Driver struct {
	o      Options
	dir    string
	id     journal.ID
	fs     vfs.FS // unguarded
	latch  *latch
	space  *space
	db     *pebble.DB
	lock   io.Closer
	events *eventlog.Log

	queue    *queue
	slots    chan struct{} // one token for each batch under way
	landed   chan struct{} // has a token after a batch has been answered
	applied  chan *group   // from the committer to the syncer
	closing  chan struct{}
	routines sync.WaitGroup
	witness  *witness

	// write orders everything that reaches the engine: the committer holds it
	// while it builds and applies a batch, Stage for each of its slices.
	write struct {
		sync.Mutex
		revs *revCache
		head root
	}
	stageTurn chan struct{} // one Stage at a time
	staged    atomic.Int64  // bytes staged since the last sync asked for by Stage

	inFlight struct {
		sync.Mutex
		groups map[*group]struct{}
	}

	published struct {
		sync.Mutex
		version *version
		retired []*pebble.Snapshot // closed with the next batch
		closed  bool
		users   sync.WaitGroup // views and calls that use the engine
	}

	closeOnce sync.Once
	closeErr  error
}

var _ journal.Driver = (*Driver)(nil)

// Open opens or creates the data directory dir. It fails with [ErrLocked],
// [ErrDamaged], [ErrNewer] or [ErrNoData] when it may not be used; no data is
// changed then.
// Intents of an earlier process are gone when it returns.
func Open(dir string, o Options) (*Driver, error) {
	d, err := open(dir, o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return d, nil
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	for _, size := range []struct {
		setting *int64
		usual   int64
	}{{&o.ReserveBytes, 64 << 20}, {&o.BallastBytes, 16 << 20}, {&o.CacheBytes, 8 << 20}} {
		if *size.setting == 0 {
			*size.setting = size.usual
		}
		*size.setting = max(0, *size.setting)
	}
	if o.memTableBytes == 0 {
		o.memTableBytes = 16 << 20
	}
	return o
}

// Identity is the directory's random id. It never changes while the directory
// exists.
func (d *Driver) Identity() journal.ID { return d.id }

// State is [journal.Driver.State].
func (d *Driver) State() journal.State {
	if err := d.latch.cause(); err != nil {
		return journal.State{Mode: journal.Failed, Cause: err}
	}
	if err := d.space.check(0); err != nil {
		return journal.State{Mode: journal.Full, Cause: err}
	}
	return journal.State{}
}

// Watch is [journal.Driver.Watch]. It reaches back over the last transactions
// of this process only.
func (d *Driver) Watch(ctx context.Context, prefix string, after journal.Rev) iter.Seq2[journal.Event, error] {
	return d.events.Watch(ctx, prefix, after)
}

var errClosed = fmt.Errorf("%w: closed", journal.ErrRefused)

// use keeps the engine open until done is called. It fails once the driver is
// closed or has failed: from then on nothing calls the engine.
func (d *Driver) use() (done func(), err error) {
	d.published.Lock()
	defer d.published.Unlock()
	if d.published.closed {
		return nil, errClosed
	}
	if err := d.latch.cause(); err != nil {
		return nil, fmt.Errorf("%w: %w", journal.ErrFailed, err)
	}
	d.published.users.Add(1)
	return d.published.users.Done, nil
}

// Close refuses what is queued, waits for the batches under way and for open
// views, and releases the directory. After a failure it waits for nothing: the
// engine is left as it is for the next start to verify.
func (d *Driver) Close() error {
	d.closeOnce.Do(func() { d.closeErr = d.close() })
	return d.closeErr
}

func (d *Driver) close() error {
	d.published.Lock()
	d.published.closed = true
	d.published.Unlock()
	d.queue.close(errClosed)
	d.events.Close(errClosed)
	d.space.giveUp()
	close(d.closing)

	finished := make(chan error, 1)
	go func() {
		d.routines.Wait()
		d.published.users.Wait()
		if d.latch.cause() != nil {
			return
		}
		finished <- d.closeEngine()
	}()
	var err error
	select {
	case err = <-finished:
	case <-d.latch.tripped:
		err = fmt.Errorf("close: %w: %w", journal.ErrFailed, d.latch.cause())
	}
	err = errors.Join(err, d.witness.close(err == nil))
	if d.lock != nil { // else Open has failed and releases it
		err = errors.Join(err, d.lock.Close())
	}
	return err
}

func (d *Driver) closeEngine() error {
	for _, snap := range append(d.published.retired, d.published.version.snap) {
		if err := snap.Close(); err != nil {
			return fmt.Errorf("close snapshot: %w", err)
		}
	}
	if err := d.db.Close(); err != nil {
		return fmt.Errorf("close engine: %w", err)
	}
	return nil
}
