// Package memjournal is the driver that keeps everything in memory: the model
// that the other drivers are checked against, and the storage of a server
// without a disk. It deliberately has no file format and no background work.
//
// It can raise each answer of the contract on demand, see [Fault], so that its
// callers' handling of lost answers can be tested.
package memjournal

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"

	"github.com/google/btree"

	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/eventlog"
)

// Options change how a [Driver] behaves; the zero value works.
type Options struct {
	// Rand makes the identity; nil is crypto/rand.
	Rand io.Reader
	// Fault is asked before each call and may block; nil is [NoFault] always.
	// It is called without any lock held.
	Fault func(Call) Fault
}

// A Driver is a [journal.Driver] in memory.
type Driver struct {
	id    journal.ID
	fault func(Call) Fault

	mu     sync.Mutex
	tree   *btree.BTreeG[journal.KV]
	rev    journal.Rev
	late   []journal.Txn // answered with ErrUnknown, waiting for Land
	events *eventlog.Log
	failed error
	closed bool
}

var _ journal.Driver = (*Driver)(nil)

// New returns an empty driver.
func New(o Options) *Driver {
	d := newDriver(o.Fault)
	r := o.Rand
	if r == nil {
		r = rand.Reader
	}
	if _, err := io.ReadFull(r, d.id[:]); err != nil {
		panic("memjournal: no randomness: " + err.Error())
	}
	return d
}

func newDriver(fault func(Call) Fault) *Driver {
	if fault == nil {
		fault = func(Call) Fault { return NoFault }
	}
	return &Driver{
		fault:  fault,
		tree:   btree.NewG(32, func(a, b journal.KV) bool { return a.Key < b.Key }),
		events: eventlog.New(0),
	}
}

// Restart closes d and returns a driver with its data, as a process that
// starts again finds it: failures are over, intents are swept, and no watch
// can resume.
func (d *Driver) Restart() *Driver {
	d.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	next := newDriver(d.fault)
	next.id, next.rev, next.tree = d.id, d.rev+1, d.tree.Clone()
	next.events = eventlog.New(next.rev)
	next.apply(journal.Op{Kind: journal.DeleteRange, Key: "i/", End: "i0"})
	return next
}

// Commit is [journal.Driver.Commit]; what it applies outlives only a
// [Driver.Restart].
func (d *Driver) Commit(ctx context.Context, t journal.Txn) (journal.Rev, error) {
	if err := t.Check(); err != nil {
		return 0, err
	}
	if ctx.Err() != nil {
		return 0, fmt.Errorf("%w: %w", journal.ErrRefused, context.Cause(ctx))
	}
	fault := d.fault(Call{Method: "Commit", Txn: t})
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.down(); err != nil {
		return 0, err
	}
	switch fault {
	case Refused:
		return 0, fmt.Errorf("%w: injected", journal.ErrRefused)
	case UnknownLost:
		return 0, fmt.Errorf("%w: injected", journal.ErrUnknown)
	case UnknownLater:
		d.late = append(d.late, t)
		return 0, fmt.Errorf("%w: injected", journal.ErrUnknown)
	case UnknownApplied:
		d.commit(t)
		return 0, fmt.Errorf("%w: injected", journal.ErrUnknown)
	case FailedApplied:
		d.commit(t)
		return 0, d.fail()
	case FailedLost:
		return 0, d.fail()
	}
	return d.commit(t)
}

// Land applies, as far as their guards hold now, the commits that were
// answered with [UnknownLater].
func (d *Driver) Land() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.late {
		d.commit(t)
	}
	d.late = nil
}

func (d *Driver) commit(t journal.Txn) (journal.Rev, error) {
	for _, g := range t.Guards {
		if !d.holds(g) {
			return 0, journal.ErrGuard
		}
	}
	if len(t.Ops) == 0 {
		return d.rev, nil
	}
	d.rev++
	for _, op := range t.Ops {
		d.apply(op)
	}
	d.events.Append(d.rev, journal.Event{Rev: d.rev, Ops: slices.Clone(t.Ops)})
	return d.rev, nil
}

func (d *Driver) holds(g journal.Guard) bool {
	kv, _ := d.tree.Get(journal.KV{Key: g.Key})
	return kv.Rev == g.Rev
}

func (d *Driver) apply(op journal.Op) {
	switch op.Kind {
	case journal.Put:
		d.tree.ReplaceOrInsert(journal.KV{Key: op.Key, Value: op.Value, Rev: d.rev})
	case journal.Delete:
		d.tree.Delete(journal.KV{Key: op.Key})
	case journal.DeleteRange:
		var gone []journal.KV
		d.tree.AscendRange(journal.KV{Key: op.Key}, journal.KV{Key: op.End}, func(kv journal.KV) bool {
			gone = append(gone, kv)
			return true
		})
		for _, kv := range gone {
			d.tree.Delete(kv)
		}
	}
}

// Stage is [journal.Driver.Stage].
func (d *Driver) Stage(ctx context.Context, g journal.Guard, puts []journal.Op) error {
	if err := journal.CheckStage(puts); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", journal.ErrRefused, context.Cause(ctx))
	}
	fault := d.fault(Call{Method: "Stage", Txn: journal.Txn{Guards: []journal.Guard{g}, Ops: puts}})
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.down(); err != nil {
		return err
	}
	if fault == Refused {
		return fmt.Errorf("%w: injected", journal.ErrRefused)
	}
	if !d.holds(g) {
		return journal.ErrGuard
	}
	if fault != FailedLost && fault != UnknownLost {
		d.rev++
		for _, op := range puts {
			d.apply(op)
		}
		d.events.Append(d.rev)
	}
	switch fault {
	case FailedLost, FailedApplied:
		return d.fail()
	case UnknownLost, UnknownLater, UnknownApplied:
		return fmt.Errorf("%w: injected", journal.ErrUnknown)
	}
	return nil
}

// Revs is [journal.Driver.Revs].
func (d *Driver) Revs(ctx context.Context, keys []string) ([]journal.Rev, error) {
	if len(keys) > journal.MaxRevs {
		return nil, fmt.Errorf("%w: %d keys, at most %d", journal.ErrRefused, len(keys), journal.MaxRevs)
	}
	if err := d.read(ctx, "Revs"); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.down(); err != nil {
		return nil, err
	}
	revs := make([]journal.Rev, len(keys))
	for i, key := range keys {
		kv, _ := d.tree.Get(journal.KV{Key: key})
		revs[i] = kv.Rev
	}
	return revs, nil
}

// Watch is [journal.Driver.Watch].
func (d *Driver) Watch(ctx context.Context, prefix string, after journal.Rev) iter.Seq2[journal.Event, error] {
	return d.events.Watch(ctx, prefix, after)
}

// Identity is random and kept by [Driver.Restart].
func (d *Driver) Identity() journal.ID { return d.id }

// State is [journal.Driver.State]; a driver in memory is never full.
func (d *Driver) State() journal.State {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed != nil {
		return journal.State{Mode: journal.Failed, Cause: d.failed}
	}
	return journal.State{}
}

// Close ends all watches. It never fails.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.events.Close(errClosed)
	return nil
}

var errClosed = fmt.Errorf("%w: closed", journal.ErrRefused)

// down says why no call is taken.
func (d *Driver) down() error {
	switch {
	case d.closed:
		return errClosed
	case d.failed != nil:
		return d.failed
	}
	return nil
}

func (d *Driver) fail() error {
	d.failed = fmt.Errorf("%w: injected", journal.ErrFailed)
	d.events.Close(d.failed)
	return d.failed
}

// read asks for a fault of a reading call.
func (d *Driver) read(ctx context.Context, method string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch d.fault(Call{Method: method}) {
	case NoFault:
		return nil
	case Refused:
		return fmt.Errorf("%w: injected", journal.ErrRefused)
	case FailedLost, FailedApplied:
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.fail()
	}
	return fmt.Errorf("%w: injected", journal.ErrUnknown)
}
