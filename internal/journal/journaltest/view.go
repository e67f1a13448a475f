package journaltest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv/internal/journal"
)

func testRevs(t *testing.T, h Harness) {
	d := h.Driver
	a := commit(t, d, ops(put("m/a", "")))
	b := commit(t, d, ops(put("m/b", ""), put("k/b", "")))
	got, err := d.Revs(t.Context(), []string{"m/b", "m/none", "m/a", "k/b", "m/a"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]journal.Rev{b, 0, a, b, a}, got); diff != "" {
		t.Fatal(diff)
	}
	keys := make([]string, journal.MaxRevs)
	for i := range keys {
		keys[i] = fmt.Sprint("m/", i)
	}
	if got, err := d.Revs(t.Context(), keys); err != nil || len(got) != len(keys) {
		t.Fatalf("%d revisions of %d keys: %v", len(got), len(keys), err)
	}
	_, err = d.Revs(t.Context(), append(keys, "m/one more"))
	wantErr(t, err, journal.ErrRefused)
	for range 20 {
		rev := commit(t, d, ops(put("m/a", "")))
		if got, err := d.Revs(t.Context(), []string{"m/a"}); err != nil || got[0] != rev {
			t.Fatalf("committed at %d, then %v, %v", rev, got, err)
		}
	}
}

func testViewStable(t *testing.T, h Harness) {
	d := h.Driver
	empty := view(t, d)
	defer empty.Close()
	first := commit(t, d, ops(put("m/a", "1"), put("m/b", "1")))
	old := view(t, d)
	defer old.Close()
	second := commit(t, d, ops(put("m/a", "2"), del("m/b"), put("m/c", "2")))
	now := view(t, d)
	defer now.Close()
	for _, c := range []struct {
		name  string
		view  journal.View
		least journal.Rev
		want  []string
	}{
		{"before", empty, 0, []string{}},
		{"between", old, first, []string{"m/a=1", "m/b=1"}},
		{"after", now, second, []string{"m/a=2", "m/c=2"}},
	} {
		if diff := cmp.Diff(c.want, scan(t, c.view, "", "", 0)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if got := c.view.Rev(); got < c.least {
			t.Errorf("%s: the view is at %d, want at least %d", c.name, got, c.least)
		}
	}
	if old.Rev() >= second || empty.Rev() >= first {
		t.Errorf("views at %d and %d claim the commits after them, %d and %d", empty.Rev(), old.Rev(), first, second)
	}
}

// Every transaction puts two keys to one value; no view may see two values,
// and views go forward.
func testViewWhole(t *testing.T, h Harness) {
	d := h.Driver
	done := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 50 {
				value := fmt.Sprint(w, "/", i)
				if _, err := d.Commit(t.Context(), ops(put("m/a", value), put("l/z", value))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { writers.Wait(); close(done) }()
	var last journal.Rev
	for {
		v := view(t, d)
		a, revA := get(t, v, "m/a")
		z, revZ := get(t, v, "l/z")
		if a != z || revA != revZ || revA > v.Rev() || v.Rev() < last {
			t.Errorf("m/a is %q at %d, l/z is %q at %d, in a view at %d after one at %d", a, revA, z, revZ, v.Rev(), last)
		}
		last = v.Rev()
		v.Close()
		select {
		case <-done:
			return
		default:
		}
	}
}

func testSeenWhenDurable(t *testing.T, h Harness) {
	if h.Hold == nil {
		t.Skip("the harness cannot hold commits")
	}
	d := h.Driver
	before := commit(t, d, ops(put("m/a", "old")))
	reached, release := h.Hold(t)
	answer := make(chan result)
	go func() {
		rev, err := d.Commit(t.Context(), ops(put("m/a", "new")))
		answer <- result{rev, err}
	}()
	<-reached
	var released atomic.Bool
	early := make(chan bool)
	go func() {
		for range d.Watch(t.Context(), "", before) {
			early <- !released.Load()
			return
		}
	}()
	if value, rev := read(t, d, "m/a"); value != "old" || rev != before {
		t.Errorf("a view shows %q at %d before it is durable", value, rev)
	}
	if revs, err := d.Revs(t.Context(), []string{"m/a"}); err != nil || revs[0] != before {
		t.Errorf("Revs answers %v, %v before it is durable", revs, err)
	}
	released.Store(true)
	release()
	if <-early {
		t.Error("watch shows an event before it is durable")
	}
	if r := <-answer; r.err != nil {
		t.Fatal(r.err)
	}
	if value, _ := read(t, d, "m/a"); value != "new" {
		t.Errorf("an answered commit is not seen, found %q", value)
	}
}

func testScan(t *testing.T, h Harness) {
	d := h.Driver
	keys := []string{"a", "m", "m/", "m/\x00", "m/a", "m/a/b", "m/b", "m/\xff\xff", "m0", "n/é", "z"}
	for _, key := range keys {
		commit(t, d, ops(put(key, key)))
	}
	slices.Sort(keys)
	v := view(t, d)
	defer v.Close()
	for _, c := range []struct {
		from, end string
		limit     int
	}{
		{"", "", 0}, {"", "", 3}, {"m/", "m0", 0}, {"m/", "m0", 2}, {"m/a", "m/b", 0}, {"m/a\x00", "m/b", 0},
		{"m", "", 0}, {"zz", "", 0}, {"a", "a", 0}, {"m/a", "m/a\x00", 0}, {"", "", len(keys)}, {"", "b", 100},
	} {
		want := []string{}
		for _, key := range keys {
			if key >= c.from && (c.end == "" || key < c.end) && (c.limit == 0 || len(want) < c.limit) {
				want = append(want, key+"="+key)
			}
		}
		if diff := cmp.Diff(want, scan(t, v, c.from, c.end, c.limit)); diff != "" {
			t.Errorf("from %q to %q, limit %d:\n%s", c.from, c.end, c.limit, diff)
		}
	}
	for kv, err := range v.Scan("m/", "", 0) {
		if err != nil || kv.Key != "m/" || kv.Rev == 0 {
			t.Fatalf("first of a scan is %q at %d, %v", kv.Key, kv.Rev, err)
		}
		break
	}
}

func testBytes(t *testing.T, h Harness) {
	d := h.Driver
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	values := map[string]string{"m/empty": "", "m/all": string(all), "m/" + string(all): "x", "m/long" + strings.Repeat("k", 4000): "y", "\xff": "z"}
	for key, value := range values {
		commit(t, d, ops(put(key, value)))
	}
	for key, want := range values {
		if value, rev := read(t, d, key); value != want || rev == 0 {
			t.Errorf("%q is %q at %d, want %q", key, value, rev, want)
		}
	}
	if value, rev := read(t, d, "m/none"); value != "" || rev != 0 {
		t.Errorf("an absent key is %q at %d", value, rev)
	}
}
