package journal

import (
	"context"
	"errors"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/snapshot"
)

// A flight is one load that all who want the store wait for.
type flight struct {
	done chan struct{} // closed when the rest is set
	st   *state
	err  error
}

// viewRetries is how often a view that has moved is taken anew.
const viewRetries = 4

// ensure returns the state of a pinned store, loading it if need be.
func (j *Journal) ensure(ctx context.Context, s *store) (*state, error) {
	if st := s.state.Load(); st != nil {
		return st, nil
	}
	ctx, cancel := context.WithTimeout(ctx, j.o.LoadWait)
	defer cancel()
	for {
		if st := s.state.Load(); st != nil {
			s.used.Store(true)
			return st, nil
		}
		j.mu.Lock()
		f := s.flight
		leads := f == nil
		if leads {
			f = &flight{done: make(chan struct{})}
			s.flight = f
		}
		j.mu.Unlock()
		if leads {
			j.fly(ctx, s, f)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, popkv.Wrap(popkv.Unavailable, context.Cause(ctx), "the store is still being loaded")
		}
		// Only who began the load may take its result as it is: for the others
		// it may be from before their call. They find it published, or look
		// again, as after a load that failed for its own caller's impatience.
		if leads {
			return f.st, f.err
		}
		if f.err != nil && popkv.KindOf(f.err) != popkv.Unavailable {
			return nil, f.err
		}
	}
}

// fly runs a load for all who wait for it, and ends it even if it panics.
func (j *Journal) fly(ctx context.Context, s *store, f *flight) {
	f.err = popkv.Errorf(popkv.Internal, "internal error")
	defer func() {
		j.mu.Lock()
		s.flight = nil
		j.mu.Unlock()
		close(f.done)
	}()
	f.st, f.err = j.load(ctx, s)
}

// load brings the store into memory and publishes it. Stores that are not READY
// have nothing to keep in memory: each call reads their meta, so that the two
// planes agree on the status at every moment.
//
// ctx bounds the wait for
// memory and for a place among the loads, not the load itself, which others
// may be waiting for.
func (j *Journal) load(ctx context.Context, s *store) (*state, error) {
	select {
	case j.loads <- struct{}{}:
		defer func() { <-j.loads }()
	case <-ctx.Done():
		return nil, popkv.Wrap(popkv.Unavailable, context.Cause(ctx), "the store could not be loaded: too many others are")
	}
	var m Meta
	var st *state
	err := j.look(ctx, func(view View) error {
		var rev Rev
		var err error
		m, rev, err = j.readMeta(view, s.id)
		st = &state{&Head{m, snapshot.Empty(m.DigestKey)}, rev}
		return err
	})
	if err != nil || m.Status != popkv.Ready {
		return st, err
	}
	reserved := m.SizeBytes*8/5 + storeOverheadBytes
	if err := j.reserve(ctx, reserved); err != nil {
		return nil, err
	}
	err = j.look(context.WithoutCancel(ctx), func(view View) (err error) {
		st, err = j.readState(view, s.id, nil)
		return err
	})
	if err != nil {
		j.release(reserved)
		if isDamage(err) {
			j.log.Error("store is damaged", "store", s.id.String(), "error", err.Error())
		}
		return nil, err
	}
	j.count.loads.Add(1)
	j.publish(s, st, reserved)
	return st, nil
}

// refresh reads the current state of a store whose entry is pinned, after the
// driver said that the one at hand is outdated, and publishes it.
func (j *Journal) refresh(ctx context.Context, s *store, old *state) (*state, error) {
	var st *state
	err := j.look(ctx, func(view View) (err error) {
		if err := j.passGate(view); err != nil {
			return err
		}
		st, err = j.readState(view, s.id, old.head)
		return err
	})
	if err != nil {
		if kind := popkv.KindOf(err); kind == popkv.StoreNotFound || kind == popkv.WrongState {
			j.withdraw(s, 0)
		}
		return nil, err // else what is resident stays readable
	}
	j.publish(s, st, 0)
	return st, nil
}

// look runs read on a view, and on a new one when that has moved.
func (j *Journal) look(ctx context.Context, read func(View) error) error {
	var err error
	for range viewRetries {
		err = func() error {
			view, err := j.drv.View(ctx)
			if err != nil {
				return err
			}
			defer view.Close()
			return read(view)
		}()
		if !errors.Is(err, ErrMoved) {
			break
		}
	}
	if err != nil {
		return unreadable(err)
	}
	return nil
}
