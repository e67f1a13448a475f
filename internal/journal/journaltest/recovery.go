package journaltest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/popkv/popkv/internal/journal"
)

func testCrash(t *testing.T, h Harness) {
	if h.Crash == nil {
		t.Skip("the harness cannot crash")
	}
	d := h.Driver
	var want []string
	var last journal.Rev
	for round := range 4 {
		results := concurrently(16, func(i int) (journal.Rev, error) {
			return d.Commit(t.Context(), ops(put(fmt.Sprintf("m/%d/%02d", round, i), "x"), put("k/shared", "x")))
		})
		for i, r := range results {
			if r.err != nil || r.rev <= last {
				t.Fatalf("round %d: revision %d after %d, %v", round, r.rev, last, r.err)
			}
			want = append(want, fmt.Sprintf("m/%d/%02d=x", round, i))
		}
		for _, r := range results {
			last = max(last, r.rev)
		}
		d = h.Crash(t)
		wantAll(t, d, append([]string{"k/shared=x"}, want...)...)
		if _, rev := read(t, d, "k/shared"); rev != last {
			t.Fatalf("the last commit was at %d, found %d", last, rev)
		}
	}
}

func testCrashIntents(t *testing.T, h Harness) {
	if h.Crash == nil {
		t.Skip("the harness cannot crash")
	}
	d := h.Driver
	id := d.Identity()
	if id == (journal.ID{}) {
		t.Fatal("no identity")
	}
	intent := commit(t, d, ops(put("i/s/g", ""), put("m/s", "")))
	const stages = 5
	for range stages {
		if err := d.Stage(t.Context(), journal.Guard{Key: "i/s/g", Rev: intent}, chunks("g", 3, 10)); err != nil {
			t.Fatal(err)
		}
	}
	d = h.Crash(t)
	if d.Identity() != id {
		t.Fatal("the identity changed")
	}
	if _, rev := read(t, d, "i/s/g"); rev != 0 {
		t.Fatal("the intent of a dead process is still there")
	}
	// Staged puts may be there or not, but none of their revisions comes back.
	again := commit(t, d, ops(put("c/s/g/0000", "")))
	if again <= intent+stages {
		t.Fatalf("revision %d after %d stages that followed %d", again, stages, intent)
	}
}

func testClose(t *testing.T, h Harness) {
	d := h.Driver
	rev := commit(t, d, ops(put("m/a", "")))
	watched := make(chan error, 1)
	go func() {
		for _, err := range d.Watch(t.Context(), "", rev) {
			watched <- err
		}
	}()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	wantErr(t, <-watched, journal.ErrRefused)
	_, err := d.Commit(t.Context(), ops(put("m/b", "")))
	wantErr(t, err, journal.ErrRefused)
	wantErr(t, d.Stage(t.Context(), journal.Guard{Key: "i/a"}, chunks("g", 1, 1)), journal.ErrRefused)
	_, err = d.Revs(t.Context(), []string{"m/a"})
	wantErr(t, err, journal.ErrRefused)
	_, err = d.View(t.Context())
	wantErr(t, err, journal.ErrRefused)
	if err := d.Close(); err != nil {
		t.Fatalf("closed twice: %v", err)
	}
}

// testModel runs random calls on the driver and on a map of values.
func testModel(t *testing.T, h Harness) {
	d := h.Driver
	keys := rapid.SampledFrom([]string{"m/a", "m/b", "k/a", "l/a/1", "l/a/2", "c/a/1", "c/a/2", "n/x", "t/a"})
	rapid.Check(t, func(r *rapid.T) {
		commit(t, d, ops(delRange("a", "z")))
		model := map[string]string{}
		revs := map[string]journal.Rev{}
		compare := func() {
			want := []string{}
			for _, key := range slices.Sorted(maps.Keys(model)) {
				want = append(want, key+"="+model[key])
			}
			if got := scanAll(t, d); !slices.Equal(got, want) {
				r.Fatalf("got %q, want %q", got, want)
			}
			for key, rev := range revs {
				if _, got := read(t, d, key); got != rev {
					r.Fatalf("%s is at %d, want %d", key, got, rev)
				}
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"commit": func(r *rapid.T) {
				txn, holds := drawTxn(r, keys, revs)
				rev, err := d.Commit(t.Context(), txn)
				if holds != (err == nil) || err != nil && !errors.Is(err, journal.ErrGuard) {
					r.Fatalf("guards hold: %v, answer %v", holds, err)
				}
				if holds {
					apply(txn.Ops, rev, model, revs)
				}
			},
			"crash": func(r *rapid.T) {
				if h.Crash == nil || rapid.IntRange(0, 9).Draw(r, "crash") != 0 {
					r.Skip()
				}
				d = h.Crash(t)
			},
			"": func(*rapid.T) { compare() },
		})
	})
}

// drawTxn returns a transaction within its bounds and whether its guards hold.
func drawTxn(r *rapid.T, keys *rapid.Generator[string], revs map[string]journal.Rev) (journal.Txn, bool) {
	var txn journal.Txn
	holds := true
	for _, key := range rapid.SliceOfNDistinct(keys, 0, 2, rapid.ID).Draw(r, "guards") {
		g := journal.Guard{Key: key, Rev: revs[key]}
		if rapid.IntRange(0, 5).Draw(r, "false") == 0 {
			g.Rev, holds = g.Rev+1, false
		}
		txn.Guards = append(txn.Guards, g)
	}
	if rapid.IntRange(0, 4).Draw(r, "range") == 0 {
		from := keys.Draw(r, "from")
		txn.Ops = append(txn.Ops, delRange(from, from[:1]+"0"))
	}
	for _, key := range rapid.SliceOfNDistinct(keys, 1, 3, rapid.ID).Draw(r, "keys") {
		op := put(key, rapid.StringN(0, 4, 8).Draw(r, "value"))
		if rapid.Bool().Draw(r, "delete") {
			op = del(key)
		}
		if next := append(txn.Ops, op); (journal.Txn{Ops: next}).Check() == nil {
			txn.Ops = next
		}
	}
	return txn, holds
}

func apply(ops []journal.Op, rev journal.Rev, model map[string]string, revs map[string]journal.Rev) {
	for _, op := range ops {
		switch op.Kind {
		case journal.Put:
			model[op.Key], revs[op.Key] = string(op.Value), rev
		case journal.Delete:
			delete(model, op.Key)
			revs[op.Key] = 0
		case journal.DeleteRange:
			for key := range model {
				if key >= op.Key && key < op.End {
					delete(model, key)
					revs[key] = 0
				}
			}
		}
	}
}
