package pebblejournal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/popkv/popkv/internal/journal"
)

// A version is a published state of the engine: all of a batch and of what was
// before it, durable.
type version struct {
	snap    *pebble.Snapshot
	head    root
	views   int
	current bool
}

// publish makes the group's state the one that views show.
func (d *Driver) publish(g *group) {
	d.published.Lock()
	old := d.published.version
	d.published.version = &version{snap: g.snap, head: g.head, current: true}
	old.current = false
	d.retire(old)
	retired := d.published.retired
	d.published.retired = nil
	d.published.Unlock()
	d.events.Append(g.head.rev, g.events...)
	for _, snap := range retired {
		if err := snap.Close(); err != nil {
			d.latch.log.Warn("a snapshot was not closed", "error", err)
		}
	}
}

// retire lets go of a version that nobody can see any longer. Its snapshot is
// closed by the syncer, because that may wait for the engine.
func (d *Driver) retire(v *version) {
	if !v.current && v.views == 0 {
		d.published.retired = append(d.published.retired, v.snap)
	}
}

// View is [journal.Driver.View]. It never waits: it shows the state after the
// last answered batch, and never returns ErrMoved. Damage that a read meets is
// that read's error.
func (d *Driver) View(ctx context.Context) (journal.View, error) {
	return d.view(ctx)
}

func (d *Driver) view(ctx context.Context) (*view, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	done, err := d.use()
	if err != nil {
		return nil, err
	}
	d.published.Lock()
	defer d.published.Unlock()
	v := d.published.version
	v.views++
	return &view{d: d, version: v, done: done}, nil
}

// Revs is [journal.Driver.Revs].
func (d *Driver) Revs(ctx context.Context, keys []string) ([]journal.Rev, error) {
	if len(keys) > journal.MaxRevs {
		return nil, fmt.Errorf("%w: %d keys, at most %d", journal.ErrRefused, len(keys), journal.MaxRevs)
	}
	v, err := d.view(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	revs := make([]journal.Rev, len(keys))
	for i, key := range keys {
		if err := v.read(key, func(rev journal.Rev, _ []byte) { revs[i] = rev }); err != nil {
			return nil, err
		}
	}
	return revs, nil
}

type view struct {
	d       *Driver
	version *version
	done    func()
	once    sync.Once
}

func (v *view) Rev() journal.Rev { return v.version.head.rev }

func (v *view) Get(key string) (value []byte, rev journal.Rev, err error) {
	err = v.read(key, func(r journal.Rev, found []byte) {
		rev, value = r, append([]byte{}, found...)
	})
	return value, rev, err
}

// read calls found with what the engine has of key, if anything.
func (v *view) read(key string, found func(journal.Rev, []byte)) error {
	if err := v.down(); err != nil {
		return err
	}
	if kindOf(key) == "r" {
		return nil
	}
	stored, closer, err := v.version.snap.Get([]byte(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get: %w", readError(err))
	}
	defer closer.Close()
	rev, value, err := splitValue(stored)
	if err != nil {
		return err
	}
	found(rev, value)
	return nil
}

// down keeps readers away from a failed engine.
func (v *view) down() error {
	if cause := v.d.latch.cause(); cause != nil {
		return fmt.Errorf("%w: %w", journal.ErrFailed, cause)
	}
	return nil
}

func (v *view) Scan(from, end string, limit int) iter.Seq2[journal.KV, error] {
	return func(yield func(journal.KV, error) bool) {
		if err := v.scan(from, end, limit, yield); err != nil {
			yield(journal.KV{}, err)
		}
	}
}

// scan returns an error only if yield may be called once more.
func (v *view) scan(from, end string, limit int, yield func(journal.KV, error) bool) error {
	if err := v.down(); err != nil {
		return err
	}
	bounds := &pebble.IterOptions{}
	if from != "" {
		bounds.LowerBound = []byte(from)
	}
	if end != "" {
		bounds.UpperBound = []byte(end)
	}
	it, err := v.version.snap.NewIter(bounds)
	if err != nil {
		return fmt.Errorf("scan: %w", readError(err))
	}
	defer it.Close()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		key := string(it.Key())
		if kindOf(key) == "r" {
			continue
		}
		stored, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("scan: %w", readError(err))
		}
		rev, value, err := splitValue(stored)
		if err != nil {
			return err
		}
		n++
		if !yield(journal.KV{Key: key, Value: value, Rev: rev}, nil) || n == limit {
			return nil
		}
		if err := v.down(); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("scan: %w", readError(err))
	}
	return nil
}

func (v *view) Close() {
	v.once.Do(func() {
		v.d.published.Lock()
		v.version.views--
		v.d.retire(v.version)
		v.d.published.Unlock()
		v.done()
	})
}
