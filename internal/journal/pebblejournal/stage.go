package pebblejournal

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/popkv/popkv/internal/journal"
)

const (
	stageSliceBytes = 256 << 10 // put while the committer waits
	stageSyncBytes  = 2 << 20   // staged between two syncs, so that no commit's sync has to carry more
)

// Stage is [journal.Driver.Stage]. The puts go to the engine unsynced, past
// the queue, in slices, each of them under the guard; one caller stages at a
// time, no faster than the disk takes it. When ctx ends or the driver fails in
// the middle of a slice the outcome is unknown.
func (d *Driver) Stage(ctx context.Context, g journal.Guard, puts []journal.Op) error {
	if err := journal.CheckStage(puts); err != nil {
		return err
	}
	done, err := d.use()
	if err != nil {
		return err
	}
	staged := make(chan error, 1)
	go func() { // the engine may hold a slice up for as long as the disk is full
		defer done()
		defer d.latch.guard()
		staged <- d.stageAll(ctx, g, puts)
	}()
	select {
	case err := <-staged:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", journal.ErrUnknown, context.Cause(ctx))
	case <-d.latch.tripped:
		return fmt.Errorf("%w: %w", journal.ErrFailed, d.latch.cause())
	}
}

func (d *Driver) stageAll(ctx context.Context, g journal.Guard, puts []journal.Op) error {
	select {
	case d.stageTurn <- struct{}{}:
		defer func() { <-d.stageTurn }()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", journal.ErrRefused, context.Cause(ctx))
	}
	for len(puts) > 0 {
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", journal.ErrRefused, context.Cause(ctx))
		}
		n, bytes := 1, len(puts[0].Value)
		for n < len(puts) && bytes+len(puts[n].Value) <= stageSliceBytes {
			bytes += len(puts[n].Value)
			n++
		}
		if err := d.space.check(bytes); err != nil {
			return err
		}
		if err := d.stageSlice(g, puts[:n]); err != nil {
			return err
		}
		puts = puts[n:]
		if d.staged.Add(int64(bytes)) >= stageSyncBytes {
			d.staged.Store(0)
			if _, err := d.submit(ctx, newForced(journal.Txn{})); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Driver) stageSlice(g journal.Guard, puts []journal.Op) (err error) {
	d.write.Lock()
	defer d.write.Unlock()
	if cause := d.latch.cause(); cause != nil {
		return fmt.Errorf("%w: %w", journal.ErrFailed, cause)
	}
	d.write.revs.begin()
	e, err := d.write.revs.get(g.Key)
	if err != nil {
		return fmt.Errorf("%w: %w", journal.ErrRefused, err)
	}
	if e.rev != g.Rev {
		return journal.ErrGuard
	}
	d.write.head.rev++
	batch := d.db.NewBatch()
	defer batch.Close()
	for _, op := range puts {
		slot := batch.SetDeferred(len(op.Key), revBytes+len(op.Value))
		copy(slot.Key, op.Key)
		binary.BigEndian.PutUint64(slot.Value, uint64(d.write.head.rev))
		copy(slot.Value[revBytes:], op.Value)
		if err := slot.Finish(); err != nil {
			return fmt.Errorf("%w: %w", journal.ErrRefused, err)
		}
	}
	if err := d.db.Apply(batch, pebble.NoSync); err != nil {
		d.latch.trip(fmt.Errorf("stage: %w", err))
		return fmt.Errorf("%w: %w", journal.ErrFailed, err)
	}
	return nil
}
