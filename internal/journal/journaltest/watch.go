package journaltest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv/internal/journal"
)

// take returns the next n events after rev that touch prefix.
func take(t *testing.T, d journal.Driver, prefix string, after journal.Rev, n int) []journal.Event {
	t.Helper()
	events := []journal.Event{}
	if n == 0 {
		return events
	}
	for e, err := range d.Watch(t.Context(), prefix, after) {
		if err != nil {
			t.Fatalf("watch %q after %d: %v", prefix, after, err)
		}
		if events = append(events, e); len(events) == n {
			break
		}
	}
	return events
}

func testWatchWhole(t *testing.T, h Harness) {
	d := h.Driver
	start := commit(t, d, ops(put("x", ""), put("l/a/0", ""), put("m/z", "")))
	type step struct {
		Rev   journal.Rev
		State map[string]string // after it
	}
	state := map[string]string{"x": "", "l/a/0": "", "m/z": ""}
	var touching, all []step
	for _, c := range []struct {
		touches bool // of prefix m/
		txn     journal.Txn
	}{
		{true, ops(put("m/a", "1"), put("l/a/1", "record"))},
		{false, ops(put("n/other", "1"))},
		{true, ops(del("m/a"), put("k/a", "1"))},
		{true, ops(put("m/a", "2"), delRange("l/a/", "l/a0"))},
		{true, ops(delRange("k/", "m0"))},
		{false, ops(put("m", ""), put("m0", ""))},
	} {
		rev := commit(t, d, c.txn)
		apply(c.txn.Ops, rev, state, map[string]journal.Rev{})
		all = append(all, step{rev, maps.Clone(state)})
		if c.touches {
			touching = append(touching, all[len(all)-1])
		}
	}
	for prefix, want := range map[string][]step{"m/": touching, "": all} {
		var got []step
		state := map[string]string{"x": "", "l/a/0": "", "m/z": ""}
		for _, e := range take(t, d, prefix, start, len(want)) {
			apply(e.Ops, e.Rev, state, map[string]journal.Rev{})
			if e.Rev >= all[1].Rev {
				state["n/other"] = "1" // which the prefix leaves out
			}
			got = append(got, step{e.Rev, maps.Clone(state)})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("prefix %q (-want +got):\n%s", prefix, diff)
		}
	}
}

func testWatchResumes(t *testing.T, h Harness) {
	d := h.Driver
	start := view(t, d)
	start.Close()
	revs := []journal.Rev{start.Rev()}
	for i := range 8 {
		revs = append(revs, commit(t, d, ops(put("m/a", fmt.Sprint(i)))))
	}
	for i, after := range revs {
		var got []journal.Rev
		for _, e := range take(t, d, "m/", after, len(revs)-1-i) {
			got = append(got, e.Rev)
		}
		if diff := cmp.Diff(append([]journal.Rev(nil), revs[i+1:]...), got); diff != "" {
			t.Errorf("after %d:\n%s", after, diff)
		}
	}
}

func testWatchMoved(t *testing.T, h Harness) {
	d := h.Driver
	rev := commit(t, d, ops(put("m/a", "")))
	for _, err := range d.Watch(t.Context(), "", rev+1<<50) {
		wantErr(t, err, journal.ErrMoved)
	}
	if h.Crash == nil {
		return
	}
	// A driver may resume across a crash or not, but it must not leave a gap.
	last := commit(t, d, ops(put("m/b", "")))
	d = h.Crash(t)
	for e, err := range d.Watch(t.Context(), "", rev) {
		if err == nil && e.Rev != last || err != nil && !errors.Is(err, journal.ErrMoved) {
			t.Fatalf("after a crash: event %d, %v, want %d or ErrMoved", e.Rev, err, last)
		}
		break
	}
	v := view(t, d)
	from := v.Rev()
	v.Close()
	next := commit(t, d, ops(put("m/c", "")))
	if got := take(t, d, "", from, 1); got[0].Rev != next {
		t.Fatalf("from a view at %d: event %d, want %d", from, got[0].Rev, next)
	}
}

func testWatchContext(t *testing.T, h Harness) {
	d := h.Driver
	rev := commit(t, d, ops(put("m/a", "")))
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	seen := 0
	go func() {
		if _, err := d.Commit(t.Context(), ops(put("m/b", ""))); err != nil {
			cancel(err)
		}
	}()
	for _, err := range d.Watch(ctx, "m/", rev) {
		if err != nil {
			wantErr(t, err, cause)
			continue // nothing may follow
		}
		seen++
		cancel(cause)
	}
	if seen != 1 {
		t.Fatalf("%d events, want 1", seen)
	}
}

func testWatchConcurrent(t *testing.T, h Harness) {
	d := h.Driver
	const writers, each, watchers = 8, 25, 3
	start := commit(t, d, ops(put("x", "")))
	var mu sync.Mutex
	committed := map[journal.Rev]string{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				value := fmt.Sprintf("%d/%d", w, i)
				rev, err := d.Commit(t.Context(), ops(put(fmt.Sprint("m/", w), value), put("l/"+value, value)))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				committed[rev] = value
				mu.Unlock()
			}
		})
	}
	seen := make([]map[journal.Rev]string, watchers)
	for i := range seen {
		seen[i] = map[journal.Rev]string{}
		wg.Go(func() {
			after := start
			for len(seen[i]) < writers*each && !t.Failed() {
				for e, err := range d.Watch(t.Context(), "l/", after) {
					if err != nil || e.Rev <= after || len(e.Ops) != 2 {
						t.Errorf("event %d after %d with %d ops: %v", e.Rev, after, len(e.Ops), err)
						return
					}
					after = e.Rev
					seen[i][e.Rev] = string(e.Ops[1].Value)
					if len(seen[i])%50 == 0 { // break off and resume
						break
					}
				}
			}
		})
	}
	wg.Wait()
	for i := range seen {
		if diff := cmp.Diff(committed, seen[i]); diff != "" {
			t.Errorf("watcher %d (-committed +seen):\n%s", i, diff)
		}
	}
}
