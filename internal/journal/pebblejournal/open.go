package pebblejournal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/eventlog"
)

const (
	engineName = "engine"
	lockName   = "LOCK"
	// engineFormat is raised only by an upgrade: the engine's default would
	// be an old one, without the log chunks that tell a torn tail from damage.
	engineFormat = pebble.FormatValueSeparation
	// revJump separates the revisions of two processes, so that none that an
	// unsynced Stage used can come back after a crash.
	revJump = 1 << 32
)

func open(dir string, o Options) (d *Driver, err error) {
	dir = o.FS.PathJoin(dir) // cleaned, so that names can be compared
	if o.MustExist && !exists(o.FS, dir) {
		return nil, ErrNoData
	}
	if err := makeDir(o.FS, dir); err != nil {
		return nil, err
	}
	lock, err := o.FS.Lock(o.FS.PathJoin(dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrLocked, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	id, found, err := readFormat(o.FS, dir)
	if err != nil {
		return nil, err
	}
	d = newDriver(dir, o)
	d.id = id
	d.space.prepareBallast()
	var head root
	if found {
		head, err = d.verify()
	} else {
		head, err = d.firstStart()
	}
	if err != nil {
		return nil, err
	}
	if err := d.start(head); err != nil {
		return nil, err
	}
	d.lock = lock
	return d, nil
}

// exists reports whether dir has a FORMAT, or an engine that has lost it.
func exists(fs vfs.FS, dir string) bool {
	for _, name := range []string{formatName, engineName} {
		if _, err := fs.Stat(fs.PathJoin(dir, name)); !oserror.IsNotExist(err) {
			return true
		}
	}
	return false
}

func makeDir(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil {
		return nil
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(fs, fs.PathDir(dir))
}

func newDriver(dir string, o Options) *Driver {
	d := &Driver{
		o: o, dir: dir, fs: o.FS,
		latch:     newLatch(o.Logger),
		space:     newSpace(o.FS, dir, o),
		queue:     newQueue(),
		events:    eventlog.New(0),
		slots:     make(chan struct{}, pipelineDepth),
		landed:    make(chan struct{}, 1),
		applied:   make(chan *group, pipelineDepth),
		closing:   make(chan struct{}),
		stageTurn: make(chan struct{}, 1),
	}
	d.space.onFull, d.latch.onTrip = d.diskFull, d.failed
	d.inFlight.groups = map[*group]struct{}{}
	return d
}

func (d *Driver) engineDir() string { return d.fs.PathJoin(d.dir, engineName) }

func (d *Driver) engineOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                 &guardFS{FS: d.fs, dir: d.engineDir(), latch: d.latch, space: d.space},
		FormatMajorVersion: engineFormat,
		CacheSize:          d.o.CacheBytes,
		MemTableSize:       d.o.memTableBytes,
		WALBytesPerSync:    0, // each batch is synced anyway
		Logger:             engineLogger{d.latch},
		EventListener:      engineLogger{d.latch}.listener(),
	}
	// Half the work of compactions at twice the levels to look into: 17 instead
	// of 20 µs of processor time for a commit.
	o.L0CompactionThreshold, o.L0StopWritesThreshold = 8, 20
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

func (d *Driver) openEngine(dir string, o *pebble.Options) (*pebble.DB, error) {
	opened := make(chan *pebble.DB, 1)
	err := d.latch.run(func() error {
		db, err := pebble.Open(dir, o)
		opened <- db
		return err
	})
	if err != nil {
		return nil, err
	}
	return <-opened, nil
}

// verify opens the engine without writing and compares it with the witness.
// Only then may it be opened for writing: that deletes the tables which a
// damaged manifest does not name.
func (d *Driver) verify() (root, error) {
	seen, err := d.readWitness()
	if err != nil && !d.o.noWitness {
		return root{}, err
	}
	head, err := d.inspect(d.engineDir())
	if err != nil {
		return root{}, err
	}
	if d.o.noWitness {
		return head, nil
	}
	return head, compare(head, seen)
}

func (d *Driver) readWitness() (mark, error) {
	seen, err := readWitness(d.fs, d.dir, d.id)
	if oserror.IsNotExist(err) {
		err = fmt.Errorf("%w: %s is missing", ErrDamaged, witnessName)
	}
	return seen, err
}

// compare says whether the engine holds all that the witness has seen.
func compare(head root, seen mark) error {
	switch {
	case head.sequence < seen.sequence:
		return fmt.Errorf("%w: the engine ends at batch %d, but batch %d was acknowledged", ErrDamaged, head.sequence, seen.sequence)
	case head.sequence == seen.sequence && head.digest != seen.digest:
		return fmt.Errorf("%w: batch %d is not the one that was acknowledged", ErrDamaged, head.sequence)
	}
	return nil
}

// inspect reads the engine in dir without changing it, and returns its root
// record if that is what the keys add up to.
func (d *Driver) inspect(dir string) (head root, err error) {
	db, err := d.openReadOnly(dir)
	if err != nil {
		return root{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	head, err = readRoot(db)
	if err != nil {
		return root{}, damaged(err)
	}
	if d.o.noWitness {
		return head, nil
	}
	return head, addUp(db, head, d.id)
}

func (d *Driver) openReadOnly(dir string) (*pebble.DB, error) {
	o := d.engineOptions()
	o.ReadOnly, o.ErrorIfNotExists = true, true
	db, err := d.openEngine(dir, o)
	if err != nil {
		return nil, damaged(err)
	}
	return db, nil
}

// addUp says whether the engine's keys are what its root record sums up.
func addUp(db *pebble.DB, head root, id journal.ID) error {
	if head.id != id {
		return fmt.Errorf("%w: %s and %s are of different directories", ErrDamaged, formatName, engineName)
	}
	sum, err := recount(db, id)
	if err != nil {
		return damaged(err)
	}
	if sum != head.digest {
		return fmt.Errorf("%w: the keys of batch %d do not add up to its root digest", ErrDamaged, head.sequence)
	}
	return nil
}

// damaged says so of an engine that cannot be opened or read, once, unless the
// operating system had another reason to refuse.
func damaged(err error) error {
	var errno syscall.Errno
	switch err = readError(err); {
	case errors.Is(err, ErrDamaged):
		return err
	case errors.As(err, &errno) && errno != syscall.EIO && errno != syscall.ENOENT:
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// firstStart makes an empty engine. FORMAT is written last, so a start that
// was cut off is begun again.
func (d *Driver) firstStart() (root, error) {
	if err := d.mustBeUnused(); err != nil {
		return root{}, err
	}
	if err := d.fs.RemoveAll(d.engineDir()); err != nil {
		return root{}, err
	}
	if _, err := io.ReadFull(d.o.Rand, d.id[:]); err != nil {
		return root{}, fmt.Errorf("make an identity: %w", err)
	}
	o := d.engineOptions()
	o.ErrorIfExists = true
	db, err := d.openEngine(d.engineDir(), o)
	if err != nil {
		return root{}, err
	}
	head := root{id: d.id, sequence: 1}
	err = d.latch.run(func() error {
		return errors.Join(db.Set(rootKey, head.encode(), pebble.Sync), db.Close())
	})
	if err != nil {
		return root{}, err
	}
	w, err := openWitness(d.fs, d.dir, d.id, head.mark(), d.latch)
	if err != nil {
		return root{}, err
	}
	if err := w.close(true); err != nil {
		return root{}, err
	}
	if err := syncDir(d.fs, d.dir); err != nil {
		return root{}, err
	}
	return head, writeFormat(d.fs, d.dir, d.id)
}

// mustBeUnused tells a first start that was cut off from a directory that has
// lost its FORMAT: only the latter has tables or a witness of later batches.
func (d *Driver) mustBeUnused() error {
	missing := fmt.Errorf("%w: %s is missing", ErrDamaged, formatName)
	names, err := d.fs.List(d.engineDir())
	if err != nil && !oserror.IsNotExist(err) {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			return missing
		}
	}
	f, err := d.fs.Open(d.fs.PathJoin(d.dir, witnessName))
	if oserror.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, witnessStride+witnessSlotBytes)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for at := 0; at+witnessSlotBytes <= n; at += witnessStride {
		slot := b[at : at+witnessSlotBytes]
		if m, ok := decodeMark(slot, journal.ID(slot[8:24])); ok && m.sequence > 1 {
			return missing
		}
	}
	return nil
}

// start opens the engine for writing and makes the first commit, which ends
// the intents of earlier processes.
func (d *Driver) start(head root) error {
	if err := d.fs.RemoveAll(d.fs.PathJoin(d.dir, checkName)); err != nil {
		return err
	}
	o := d.engineOptions()
	o.ErrorIfNotExists = true
	compactions := newScheduler()
	o.Experimental.CompactionScheduler = compactions
	db, err := d.openEngine(d.engineDir(), o)
	if err != nil {
		return err
	}
	d.db = db
	if now, err := readRoot(db); err != nil || now != head {
		return errors.Join(fmt.Errorf("%w: the engine changed while it was opened", ErrDamaged), err, d.latch.run(db.Close))
	}
	if d.witness, err = openWitness(d.fs, d.dir, d.id, head.mark(), d.latch); err != nil {
		return errors.Join(err, d.latch.run(db.Close))
	}
	head.rev += revJump
	d.write.head = head
	d.write.revs = newRevCache(db, d.id)
	d.published.version = &version{snap: db.NewSnapshot(), head: head, current: true}
	d.events.Start(head.rev)
	d.routines.Add(2)
	go d.commitLoop()
	go d.syncLoop()
	sweep := newForced(journal.Txn{Ops: []journal.Op{{Kind: journal.DeleteRange, Key: "i/", End: "i0"}}})
	if _, err := d.submit(context.Background(), sweep); err != nil {
		return errors.Join(err, d.Close())
	}
	d.space.bePatient()
	compactions.start()
	return nil
}
