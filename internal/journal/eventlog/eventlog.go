// Package eventlog keeps the last transactions of one process in memory, for
// drivers whose engine has no watch of its own. It deliberately keeps nothing
// durably: a watcher that falls out of the window starts again from a View.
package eventlog

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/popkv/popkv/internal/journal"
)

// Bounds of a [Log].
const (
	maxEvents = 4096
	maxBytes  = 8 << 20 // of keys and values
)

// A Log is the window of the last events. Its methods may be called
// concurrently.
type Log struct {
	mu      sync.Mutex
	events  []journal.Event // ascending Rev
	bytes   int
	base    journal.Rev   // nothing at or below base is kept
	last    journal.Rev   // of everything appended
	changed chan struct{} // closed at the next change; nil while nobody waits
	ended   error
}

// New returns an empty log for transactions after base.
func New(base journal.Rev) *Log { return &Log{base: base, last: base} }

// Start forgets everything up to base, for a log that was made before its
// driver knew where it begins.
func (l *Log) Start(base journal.Rev) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events, l.bytes, l.base, l.last = nil, 0, base, base
	l.wake()
}

// Append adds transactions in the order of their revisions, and notes that
// there is nothing else up to upTo. The log keeps their values.
func (l *Log) Append(upTo journal.Rev, events ...journal.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		l.events = append(l.events, e)
		l.bytes += sizeBytes(e)
	}
	l.last = upTo
	drop := 0
	for len(l.events)-drop > maxEvents || l.bytes > maxBytes {
		l.bytes -= sizeBytes(l.events[drop])
		l.base = l.events[drop].Rev
		l.events[drop] = journal.Event{}
		drop++
	}
	l.events = l.events[drop:]
	l.wake()
}

// Close ends every watch, present and future, with err.
func (l *Log) Close(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended == nil {
		l.ended = err
		l.wake()
	}
}

// Watch yields the transactions after rev that touch prefix, as
// [journal.Driver.Watch] promises.
func (l *Log) Watch(ctx context.Context, prefix string, after journal.Rev) iter.Seq2[journal.Event, error] {
	return func(yield func(journal.Event, error) bool) {
		for {
			events, upTo, changed, err := l.since(after)
			if err == nil && ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			if err != nil {
				yield(journal.Event{}, err)
				return
			}
			for _, e := range events {
				if touches(e, prefix) && !yield(e, nil) {
					return
				}
			}
			after = upTo
			if changed == nil {
				continue
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
}

// since returns what came after rev, up to the last revision there is, or a
// channel that is closed when there is more.
func (l *Log) since(after journal.Rev) ([]journal.Event, journal.Rev, <-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return nil, 0, nil, l.ended
	}
	if after < l.base || after > l.last {
		return nil, 0, nil, fmt.Errorf("%w: %d is outside of %d to %d", journal.ErrMoved, after, l.base, l.last)
	}
	if after < l.last {
		from := len(l.events)
		for from > 0 && l.events[from-1].Rev > after {
			from--
		}
		return append([]journal.Event(nil), l.events[from:]...), l.last, nil, nil
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return nil, l.last, l.changed, nil
}

func (l *Log) wake() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

func touches(e journal.Event, prefix string) bool {
	for _, op := range e.Ops {
		if op.Touches(prefix) {
			return true
		}
	}
	return false
}

func sizeBytes(e journal.Event) int { return journal.Txn{Ops: e.Ops}.SizeBytes() }
