package pebblejournal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/popkv/popkv/internal/journal"
)

// pipelineDepth is how many batches are under way: one being synced, one
// applied and waiting for its sync.
const pipelineDepth = 2

// A group is the commits that share a batch and a sync.
type group struct {
	requests []*request
	verdicts []verdict
	taken    time.Time

	batch  *pebble.Batch // nil if nothing is to be written
	snap   *pebble.Snapshot
	head   root // after it
	events []journal.Event
}

// A verdict is a request's answer once its group is durable.
type verdict struct {
	rev journal.Rev
	err error
}

// Commit is [journal.Driver.Commit]. It is refused while the disk is full and
// when too many commits wait. What the committer has begun on is unknown when
// ctx ends, when the driver fails, and after a second without disk space.
func (d *Driver) Commit(ctx context.Context, t journal.Txn) (journal.Rev, error) {
	if err := t.Check(); err != nil {
		return 0, err
	}
	return d.submit(ctx, newRequest(t))
}

func (d *Driver) submit(ctx context.Context, r *request) (journal.Rev, error) {
	if ctx.Err() != nil {
		return 0, fmt.Errorf("%w: %w", journal.ErrRefused, context.Cause(ctx))
	}
	if err := d.latch.cause(); err != nil {
		return 0, fmt.Errorf("%w: %w: %w", journal.ErrRefused, journal.ErrFailed, err)
	}
	if d.space.stalled() && !r.forced {
		return 0, fmt.Errorf("%w: %w", journal.ErrRefused, errFull)
	}
	if err := d.queue.put(r); err != nil {
		return 0, err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if d.queue.withdraw(r) {
			r.answer(0, fmt.Errorf("%w: %w", journal.ErrRefused, context.Cause(ctx)))
		} else {
			r.answer(0, fmt.Errorf("%w: %w", journal.ErrUnknown, context.Cause(ctx)))
		}
	}
	<-r.done
	return r.rev, r.err
}

// commitLoop is the committer: it turns waiting requests into batches.
func (d *Driver) commitLoop() {
	defer d.routines.Done()
	defer close(d.applied)
	defer d.latch.guard()
	size := 0 // of the batch before
	for d.awaitBatch(size) {
		g := d.takeGroup()
		if g == nil {
			<-d.slots
			continue
		}
		size = len(g.requests)
		if err := d.space.check(0); err != nil && !g.requests[0].forced {
			d.finish(g, err)
			<-d.slots
			continue
		}
		if err := d.apply(g); err != nil {
			d.latch.trip(err)
			d.finish(g, fmt.Errorf("%w: %w", journal.ErrFailed, err))
			return
		}
		d.applied <- g
	}
}

// awaitBatch returns with a slot when the next batch shall be built: at once
// if no other is under way, else when as many commits wait as that has, so
// that few syncs serve many commits, or when it has landed. It reports false
// when the committer shall end.
func (d *Driver) awaitBatch(size int) bool {
	select {
	case <-d.queue.ready:
	case <-d.closing:
		return false
	case <-d.latch.tripped:
		return false
	}
	select {
	case d.slots <- struct{}{}:
	case <-d.latch.tripped:
		return false
	}
	for len(d.slots) > 1 && d.queue.len() < size {
		select {
		case <-d.queue.ready:
		case <-d.landed:
		case <-d.latch.tripped:
			return false
		}
	}
	return true
}

// takeGroup takes the next requests; from then on they are in flight.
func (d *Driver) takeGroup() *group {
	var g *group
	d.queue.take(func(requests []*request) {
		g = &group{requests: requests, verdicts: make([]verdict, len(requests)), taken: d.o.Now()}
		d.inFlight.Lock()
		defer d.inFlight.Unlock()
		d.inFlight.groups[g] = struct{}{}
	})
	return g
}

// finish answers the group; with a nil error each of its requests gets its
// verdict.
func (d *Driver) finish(g *group, err error) {
	d.inFlight.Lock()
	delete(d.inFlight.groups, g)
	d.inFlight.Unlock()
	for i, r := range g.requests {
		if err != nil {
			r.answer(0, err)
		} else {
			r.answer(g.verdicts[i].rev, g.verdicts[i].err)
		}
	}
}

// diskFull is called whenever a write finds no space: nothing waits for it in
// the queue, and nothing under way waits for longer than fullPatience.
func (d *Driver) diskFull() {
	d.queue.refuse(fmt.Errorf("%w: %w", journal.ErrRefused, errFull))
	d.abandon(fullPatience, fmt.Errorf("%w: %w", journal.ErrUnknown, errFull))
}

// failed is called once, when the latch trips: nothing waits for the engine
// any longer.
func (d *Driver) failed(cause error) {
	d.queue.close(fmt.Errorf("%w: %w: %w", journal.ErrRefused, journal.ErrFailed, cause))
	d.abandon(anyAge, fmt.Errorf("%w: %w", journal.ErrFailed, cause))
	d.events.Close(fmt.Errorf("%w: %w", journal.ErrFailed, cause))
}

const anyAge = time.Duration(math.MinInt64)

// abandon answers what was begun on that long ago.
func (d *Driver) abandon(age time.Duration, err error) {
	now := d.o.Now()
	d.inFlight.Lock()
	defer d.inFlight.Unlock()
	for g := range d.inFlight.groups {
		if now.Sub(g.taken) < age {
			continue
		}
		for _, r := range g.requests {
			r.answer(0, err)
		}
	}
}

// apply judges the group's guards, puts what they allow into one batch and
// applies it. The engine syncs it meanwhile. An error is fatal: part of the
// batch may be in the log.
func (d *Driver) apply(g *group) error {
	d.write.Lock()
	defer d.write.Unlock()
	d.write.revs.begin()
	b := builder{revs: d.write.revs, batch: d.db.NewBatch(), head: d.write.head, db: d.db}
	forced := g.requests[0].forced
	for i, r := range g.requests {
		g.verdicts[i] = b.add(r.txn)
		if g.verdicts[i].err == nil && len(r.txn.Ops) > 0 {
			g.events = append(g.events, journal.Event{Rev: g.verdicts[i].rev, Ops: r.txn.Ops})
		}
	}
	if b.head == d.write.head && !forced {
		g.head = b.head
		return b.batch.Close() // no transaction was applied
	}
	b.head.sequence++
	if err := b.batch.Set(rootKey, b.head.encode(), nil); err != nil {
		return fmt.Errorf("build batch: %w", err)
	}
	g.batch, g.head, d.write.head = b.batch, b.head, b.head
	var err error
	if d.o.noSync {
		err = d.db.Apply(b.batch, pebble.NoSync)
	} else {
		err = d.db.ApplyNoSyncWait(b.batch, pebble.Sync)
	}
	if err != nil {
		return fmt.Errorf("apply batch: %w", err)
	}
	g.snap = d.db.NewSnapshot()
	return nil
}

// syncLoop waits for each batch's sync, in order, and publishes and answers.
func (d *Driver) syncLoop() {
	defer d.routines.Done()
	defer d.latch.guard()
	for g := range d.applied {
		if err := d.settle(g); err != nil {
			d.latch.trip(err)
		}
		if cause := d.latch.cause(); cause != nil {
			d.finish(g, fmt.Errorf("%w: %w", journal.ErrFailed, cause))
			continue
		}
		if g.batch != nil {
			d.publish(g)
		}
		d.finish(g, nil)
		<-d.slots
		select {
		case d.landed <- struct{}{}:
		default:
		}
	}
}

// settle returns once the group is durable and witnessed. What looks like
// success may not be one if the latch was tripped meanwhile.
func (d *Driver) settle(g *group) error {
	if g.batch == nil || d.latch.cause() != nil {
		return nil
	}
	if !d.o.noSync {
		if err := g.batch.SyncWait(); err != nil {
			return fmt.Errorf("sync: %w", err)
		}
	}
	if err := d.latch.cause(); err != nil {
		return err
	}
	err := d.witness.write(g.head.mark())
	for isNoSpace(err) && d.space.hold() {
		err = d.witness.write(g.head.mark())
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", witnessName, err)
	}
	return g.batch.Close()
}

// A builder appends transactions to a batch.
type builder struct {
	db    *pebble.DB
	revs  *revCache
	batch *pebble.Batch
	head  root
}

// add appends t if its guards hold. When it cannot tell, because the engine
// cannot read a key, the transaction is refused and nothing was appended.
func (b *builder) add(t journal.Txn) verdict {
	for _, g := range t.Guards {
		e, err := b.revs.get(g.Key)
		if err != nil {
			return verdict{err: fmt.Errorf("%w: %w", journal.ErrRefused, err)}
		}
		if e.rev != g.Rev {
			return verdict{err: journal.ErrGuard}
		}
	}
	if len(t.Ops) == 0 {
		return verdict{rev: b.head.rev}
	}
	before, err := b.before(t.Ops)
	if err != nil {
		return verdict{err: fmt.Errorf("%w: %w", journal.ErrRefused, err)}
	}
	b.head.rev++
	for _, e := range before {
		b.head.digest = b.head.digest.minus(e.term)
		if e.deleted {
			b.remove(e.key)
		}
	}
	for _, op := range t.Ops {
		switch op.Kind {
		case journal.Put:
			b.put(op)
		case journal.Delete:
			b.remove(op.Key)
		}
	}
	return verdict{rev: b.head.rev}
}

// A prior is a key that a transaction replaces or deletes.
type prior struct {
	key     string
	term    digest
	deleted bool // by a range, so that no op names it
}

// before returns what the ops replace and the root digest must forget, and the
// keys that their ranges delete. Ranges become point deletes: the engine reads
// past those faster.
func (b *builder) before(ops []journal.Op) ([]prior, error) {
	var found []prior
	for _, op := range ops {
		if op.Kind == journal.DeleteRange {
			in, err := b.inRange(op.Key, op.End)
			if err != nil {
				return nil, err
			}
			found = append(found, in...)
		} else if inRoot(op.Key) {
			e, err := b.revs.get(op.Key)
			if err != nil {
				return nil, err
			}
			found = append(found, prior{key: op.Key, term: e.term})
		}
	}
	return found, nil
}

// inRange lists the keys of a range. The engine holds all of them: a request
// with a range has a batch of its own, built after all others were applied.
func (b *builder) inRange(from, end string) (found []prior, err error) {
	it, err := b.db.NewIter(&pebble.IterOptions{LowerBound: []byte(from), UpperBound: []byte(end)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		p := prior{key: string(it.Key()), deleted: true}
		if kindOf(p.key) == "r" {
			continue
		}
		if inRoot(p.key) {
			stored, err := it.ValueAndErr()
			if err != nil {
				return nil, readError(err)
			}
			p.term = b.revs.terms.term(it.Key(), stored)
		}
		found = append(found, p)
	}
	return found, readError(it.Error())
}

func (b *builder) put(op journal.Op) {
	slot := b.batch.SetDeferred(len(op.Key), revBytes+len(op.Value))
	copy(slot.Key, op.Key)
	binary.BigEndian.PutUint64(slot.Value, uint64(b.head.rev))
	copy(slot.Value[revBytes:], op.Value)
	e := entry{rev: b.head.rev}
	if inRoot(op.Key) {
		e.term = b.revs.terms.term(slot.Key, slot.Value)
		b.head.digest = b.head.digest.plus(e.term)
	}
	b.revs.set(op.Key, e)
	if err := slot.Finish(); err != nil {
		panic(err) // only an indexed batch can fail
	}
}

func (b *builder) remove(key string) {
	slot := b.batch.DeleteDeferred(len(key))
	copy(slot.Key, key)
	b.revs.set(key, entry{})
	if err := slot.Finish(); err != nil {
		panic(err) // only an indexed batch can fail
	}
}
