package eventlog

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv/internal/journal"
)

func event(rev journal.Rev, key string) journal.Event {
	return journal.Event{Rev: rev, Ops: []journal.Op{{Key: key}}}
}

// revs returns what Watch yields without waiting, and the error that ends it.
func revs(l *Log, prefix string, after journal.Rev, n int) ([]journal.Rev, error) {
	var got []journal.Rev
	for e, err := range l.Watch(context.Background(), prefix, after) {
		if err != nil {
			return got, err
		}
		if got = append(got, e.Rev); len(got) == n {
			break
		}
	}
	return got, nil
}

func TestAWindowForgetsTheOldestAndSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		value   []byte
		appends int
		kept    journal.Rev // how many of them
	}{
		"by count": {nil, maxEvents + 100, maxEvents},
		"by bytes": {make([]byte, 1<<20-1), 20, 8},
	} {
		t.Run(name, func(t *testing.T) {
			l := New(10)
			last := journal.Rev(10)
			for range c.appends {
				last++
				l.Append(last, journal.Event{Rev: last, Ops: []journal.Op{{Key: "k", Value: c.value}}})
			}
			if got, err := revs(l, "", last-c.kept, 1); err != nil || got[0] != last-c.kept+1 {
				t.Errorf("the oldest kept is %v, %v", got, err)
			}
			if _, err := revs(l, "", last-c.kept-1, 1); !errors.Is(err, journal.ErrMoved) {
				t.Errorf("before the window: %v", err)
			}
			if _, err := revs(l, "", last+1, 1); !errors.Is(err, journal.ErrMoved) {
				t.Errorf("after the window: %v", err)
			}
		})
	}
}

func TestARevisionWithoutAnEventIsAPlaceToResume(t *testing.T) {
	l := New(0)
	l.Append(1, event(1, "m/a"))
	l.Append(5)
	l.Append(7, event(7, "m/b"))
	for after, want := range map[journal.Rev][]journal.Rev{0: {1, 7}, 1: {7}, 3: {7}, 5: {7}} {
		got, err := revs(l, "m/", after, len(want))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("after %d: %v\n%s", after, err, diff)
		}
	}
}

func TestWhatOthersTouchIsPassedOver(t *testing.T) {
	l := New(0)
	l.Append(3, event(1, "n/a"), event(2, "m/a"), event(3, "m"))
	l.Append(4, event(4, "m/b"))
	got, err := revs(l, "m/", 0, 2)
	if diff := cmp.Diff([]journal.Rev{2, 4}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestCloseEndsWatchesOnce(t *testing.T) {
	l := New(0)
	first, second := errors.New("first"), errors.New("second")
	ended := make(chan error)
	go func() {
		_, err := revs(l, "", 0, 1)
		ended <- err
	}()
	l.Close(first)
	l.Close(second)
	if err := <-ended; err != first {
		t.Errorf("a watch ended with %v", err)
	}
	if _, err := revs(l, "", 0, 1); err != first {
		t.Errorf("a later watch ended with %v", err)
	}
}
