package pebblejournal

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/popkv/popkv/internal/journal"
)

// A Salvaged is what is left of a damaged directory, as a [journal.Driver] that
// refuses every write.
type Salvaged struct {
	*Driver
	// Lost says what [Open] would object to, empty if nothing.
	Lost string
}

var errSalvaged = fmt.Errorf("%w: what is salvaged is only read", journal.ErrRefused)

// Salvage opens a directory for reading although it is not what was last
// acknowledged: its engine ends early or was rolled back, or the witness or
// FORMAT is lost. It changes nothing in it. Its keys are all of what some
// earlier batch left, which the root record tells; where that is not so Salvage
// fails with [ErrDamaged], because no record could be trusted. Records and
// chunks are for their stores' hashes to judge.
//
// ETags that were handed out since that batch would be handed out again, so
// the contents may only serve as a backup that was restored, under new ETags.
func Salvage(dir string, o Options) (*Salvaged, error) {
	s, err := salvage(dir, o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("salvage %s: %w", dir, err)
	}
	return s, nil
}

func salvage(dir string, o Options) (s *Salvaged, err error) {
	dir = o.FS.PathJoin(dir)
	if !exists(o.FS, dir) {
		return nil, ErrNoData
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
	id, found, lost := readFormat(o.FS, dir)
	switch {
	case errors.Is(lost, ErrNewer):
		return nil, lost
	case lost == nil && !found:
		lost = fmt.Errorf("%w: %s is missing", ErrDamaged, formatName)
	}
	d := newDriver(dir, o)
	db, err := d.openReadOnly(d.engineDir())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	head, err := readRoot(db)
	if err != nil {
		return nil, damaged(err)
	}
	if d.id = id; lost != nil {
		d.id = head.id // the engine's own word
	}
	if err := addUp(db, head, d.id); err != nil {
		return nil, err
	}
	seen, err := d.readWitness()
	if err == nil {
		err = compare(head, seen)
	}
	s = &Salvaged{Driver: d}
	if lost = errors.Join(lost, err); lost != nil {
		s.Lost = lost.Error()
	}
	d.db, d.lock = db, lock
	d.published.version = &version{snap: db.NewSnapshot(), head: head, current: true}
	d.queue.close(errSalvaged)
	d.events.Close(errSalvaged)
	return s, nil
}

// Stage is refused.
func (s *Salvaged) Stage(context.Context, journal.Guard, []journal.Op) error { return errSalvaged }

// Watch has nothing to tell.
func (s *Salvaged) Watch(context.Context, string, journal.Rev) iter.Seq2[journal.Event, error] {
	return func(yield func(journal.Event, error) bool) { yield(journal.Event{}, errSalvaged) }
}

// State says that no writes are taken.
func (s *Salvaged) State() journal.State {
	return journal.State{Mode: journal.Failed, Cause: errSalvaged}
}

// Check is not to be had: there is nothing to compare with.
func (s *Salvaged) Check(context.Context) (Report, error) { return Report{}, errSalvaged }

// Close releases the directory when all views are closed.
func (s *Salvaged) Close() error {
	s.closeOnce.Do(func() {
		s.published.Lock()
		s.published.closed = true
		s.published.Unlock()
		s.published.users.Wait()
		s.closeErr = errors.Join(s.closeEngine(), s.lock.Close())
	})
	return s.closeErr
}
