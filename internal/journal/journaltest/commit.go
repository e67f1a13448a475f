package journaltest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/popkv/popkv/internal/journal"
)

func testGuards(t *testing.T, h Harness) {
	d := h.Driver
	a := commit(t, d, ops(put("m/a", "1")))
	b := commit(t, d, ops(put("m/b", "1")))
	for _, c := range []struct {
		name   string
		guards []journal.Guard
		holds  bool
	}{
		{"no guard", nil, true},
		{"present at its revision", []journal.Guard{{Key: "m/a", Rev: a}}, true},
		{"absent at zero", []journal.Guard{{Key: "m/none"}}, true},
		{"several, all true", []journal.Guard{{Key: "m/a", Rev: a}, {Key: "m/b", Rev: b}, {Key: "m/none"}}, true},
		{"present but zero expected", []journal.Guard{{Key: "m/a"}}, false},
		{"older revision", []journal.Guard{{Key: "m/b", Rev: a}}, false},
		{"newer revision", []journal.Guard{{Key: "m/a", Rev: b}}, false},
		{"absent but a revision expected", []journal.Guard{{Key: "m/none", Rev: a}}, false},
		{"the last of several is false", []journal.Guard{{Key: "m/a", Rev: a}, {Key: "m/none"}, {Key: "m/b", Rev: a}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := "l/" + c.name
			_, err := d.Commit(t.Context(), journal.Txn{Guards: c.guards, Ops: []journal.Op{put(key, "x"), put(key+"2", "x")}})
			_, first := read(t, d, key)
			_, second := read(t, d, key+"2")
			if c.holds && (err != nil || first == 0 || second != first) {
				t.Fatalf("error %v, revisions %d and %d", err, first, second)
			}
			if !c.holds && (!errors.Is(err, journal.ErrGuard) || first != 0 || second != 0) {
				t.Fatalf("error %v, revisions %d and %d", err, first, second)
			}
		})
	}
	t.Run("guards alone", func(t *testing.T) {
		if _, err := d.Commit(t.Context(), guarded("m/a", a)); err != nil {
			t.Fatal(err)
		}
		_, err := d.Commit(t.Context(), guarded("m/a", b))
		wantErr(t, err, journal.ErrGuard)
	})
}

func testRevisionsGrow(t *testing.T, h Harness) {
	d := h.Driver
	var last journal.Rev
	for i := range 10 {
		rev := commit(t, d, ops(put("m/a", fmt.Sprint(i)), put("l/a/"+fmt.Sprint(i), "")))
		if rev <= last {
			t.Fatalf("revision %d after %d", rev, last)
		}
		last = rev
		for _, key := range []string{"m/a", "l/a/" + fmt.Sprint(i)} {
			if _, got := read(t, d, key); got != rev {
				t.Fatalf("%s is at %d, want %d", key, got, rev)
			}
		}
	}
	gone := commit(t, d, ops(del("m/a"), del("m/never")))
	if _, got := read(t, d, "m/a"); got != 0 {
		t.Fatalf("a deleted key is at %d", got)
	}
	again := commit(t, d, guarded("m/a", 0, put("m/a", "")))
	if again <= gone || gone <= last {
		t.Fatalf("%d, deleted at %d, again at %d", last, gone, again)
	}
	// What changes nothing need not have a revision of its own, but it must not
	// take that of another.
	nothing := commit(t, d, ops(delRange("x/", "x0")))
	v := view(t, d)
	defer v.Close()
	next := commit(t, d, ops(put("m/a", "")))
	if nothing < again || v.Rev() < nothing || next <= nothing {
		t.Fatalf("%d, nothing at %d, seen in a view at %d, next at %d", again, nothing, v.Rev(), next)
	}
}

func testOneWinner(t *testing.T, h Harness) {
	d := h.Driver
	const writers, rounds = 32, 16
	rev := commit(t, d, ops(put("m/a", "start")))
	for round := range rounds {
		txn := func(i int) journal.Txn { // they fight for the meta or for the record
			txn := guarded("m/a", rev, put("m/a", fmt.Sprint(i)), put(fmt.Sprintf("l/a/%d/%d", round, i), ""))
			if round%2 == 1 {
				record := fmt.Sprintf("l/a/%d", round)
				txn = guarded(record, 0, put("m/a", fmt.Sprint(i)), put(record, ""))
			}
			return txn
		}
		results := concurrently(writers, func(i int) (journal.Rev, error) { return d.Commit(t.Context(), txn(i)) })
		winner := -1
		for i, r := range results {
			switch {
			case r.err == nil && winner < 0:
				winner, rev = i, r.rev
			case r.err == nil:
				t.Fatalf("round %d: writers %d and %d both won", round, winner, i)
			case !errors.Is(r.err, journal.ErrGuard):
				t.Fatalf("round %d: writer %d: %v", round, i, r.err)
			}
		}
		if value, got := read(t, d, "m/a"); winner < 0 || value != fmt.Sprint(winner) || got != rev {
			t.Fatalf("round %d: writer %d won at %d, found %q at %d", round, winner, rev, value, got)
		}
	}
	v := view(t, d)
	defer v.Close()
	if n := len(scan(t, v, "l/", "l0", 0)); n != rounds {
		t.Fatalf("%d records of %d rounds", n, rounds)
	}
}

type result struct {
	rev journal.Rev
	err error
}

// concurrently returns the results of n calls that overlap.
func concurrently(n int, call func(i int) (journal.Rev, error)) []result {
	results := make([]result, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			results[i].rev, results[i].err = call(i)
		})
	}
	close(start)
	wg.Wait()
	return results
}

func testNoneFailsAnother(t *testing.T, h Harness) {
	d := h.Driver
	results := concurrently(64, func(i int) (journal.Rev, error) {
		txn := ops(put(fmt.Sprintf("m/%02d", i), ""))
		if i%2 == 1 {
			txn.Guards = []journal.Guard{{Key: "m/none", Rev: 1 << 60}}
		}
		return d.Commit(t.Context(), txn)
	})
	seen := map[journal.Rev]bool{}
	for i, r := range results {
		if i%2 == 1 {
			wantErr(t, r.err, journal.ErrGuard)
			continue
		}
		if r.err != nil || seen[r.rev] {
			t.Fatalf("commit %d: revision %d twice or %v", i, r.rev, r.err)
		}
		seen[r.rev] = true
	}
	if n := len(scanAll(t, d)); n != 32 {
		t.Fatalf("%d keys, want 32", n)
	}
}

func testGuardIsExplained(t *testing.T, h Harness) {
	d := h.Driver
	commit(t, d, ops(put("m/a", "")))
	results := concurrently(8, func(int) (journal.Rev, error) {
		for range 50 {
			_, rev, err := readNow(d, "m/a")
			if err != nil {
				return 0, err
			}
			_, err = d.Commit(context.Background(), guarded("m/a", rev, put("m/a", "")))
			if errors.Is(err, journal.ErrGuard) {
				_, now, err := readNow(d, "m/a")
				if err != nil || now == rev {
					return 0, fmt.Errorf("guard at %d was false, a view then shows %d (%v)", rev, now, err)
				}
			} else if err != nil {
				return 0, err
			}
		}
		return 0, nil
	})
	for _, r := range results {
		if r.err != nil {
			t.Fatal(r.err)
		}
	}
}

// readNow is read for goroutines, which must not end the test.
func readNow(d journal.Driver, key string) ([]byte, journal.Rev, error) {
	v, err := d.View(context.Background())
	if err != nil {
		return nil, 0, err
	}
	defer v.Close()
	return v.Get(key)
}

func many(n int, op func(i int) journal.Op) []journal.Op {
	all := make([]journal.Op, n)
	for i := range all {
		all[i] = op(i)
	}
	return all
}

func testBounds(t *testing.T, h Harness) {
	big := strings.Repeat("x", journal.MaxTxnBytes)
	for _, c := range []struct {
		name string
		txn  journal.Txn
	}{
		{"17 guards", journal.Txn{Guards: make([]journal.Guard, 17), Ops: []journal.Op{put("m/a", "")}}},
		{"65 ops", ops(many(65, func(i int) journal.Op { return put(fmt.Sprint("m/", i), "") })...)},
		{"more than 1 MiB", ops(put("m/a", big))},
		{"a key put twice", ops(put("m/a", ""), put("m/a", ""))},
		{"a key put and deleted", ops(put("m/a", ""), del("m/a"))},
		{"a put inside a range", ops(delRange("m/", "m0"), put("m/a", ""))},
		{"a range around a put", ops(put("m/a", ""), delRange("m/", "m0"))},
		{"two ranges that overlap", ops(delRange("m/a", "m/c"), delRange("m/b", "m/d"))},
		{"an empty range", ops(delRange("m/b", "m/b"))},
		{"an empty key", ops(put("", ""))},
		{"a key of the driver's own", ops(put("r", ""))},
		{"no such kind", ops(journal.Op{Kind: 9, Key: "m/a"})},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := h.Driver.Commit(t.Context(), c.txn)
			wantErr(t, err, journal.ErrRefused)
			wantAll(t, h.Driver)
		})
	}
}

func testAtBounds(t *testing.T, h Harness) {
	d := h.Driver
	txn := ops(many(journal.MaxOps, func(i int) journal.Op { return put(fmt.Sprintf("m/%02d", i), "") })...)
	for i := range journal.MaxGuards {
		txn.Guards = append(txn.Guards, journal.Guard{Key: fmt.Sprintf("m/%02d", i)})
	}
	txn.Ops[63].Value = []byte(strings.Repeat("x", journal.MaxTxnBytes-txn.SizeBytes()))
	commit(t, d, txn)
	if value, _ := read(t, d, "m/63"); value != string(txn.Ops[63].Value) {
		t.Fatalf("%d bytes came back of %d", len(value), len(txn.Ops[63].Value))
	}
	_, err := d.Commit(t.Context(), txn)
	wantErr(t, err, journal.ErrGuard)
}

func testDeleteRange(t *testing.T, h Harness) {
	d := h.Driver
	for _, kind := range []string{"c/", "m/"} {
		commit(t, d, ops(put(kind+"a", ""), put(kind+"a/1", ""), put(kind+"a/2", ""), put(kind+"a0", ""), put(kind+"b", "")))
		commit(t, d, ops(delRange(kind+"a/", kind+"a0"), put(kind+"c", "")))
		v := view(t, d)
		got := strings.Join(scan(t, v, kind, "z", 0), " ")
		v.Close()
		if want := fmt.Sprintf("%[1]sa= %[1]sa0= %[1]sb= %[1]sc=", kind); got != want {
			t.Fatalf("left %q, want %q", got, want)
		}
		commit(t, d, guarded(kind+"a/1", 0, put(kind+"a/1", "again")))
		commit(t, d, ops(delRange("a", "z")))
	}
	wantAll(t, d)
}

func testContext(t *testing.T, h Harness) {
	d := h.Driver
	ctx, _ := ended(t)
	_, err := d.Commit(ctx, ops(put("m/a", "")))
	if err != nil && !errors.Is(err, journal.ErrRefused) && !errors.Is(err, journal.ErrUnknown) {
		t.Fatalf("got %v", err)
	}
	refused := errors.Is(err, journal.ErrRefused)
	commit(t, d, ops(put("m/b", "")))
	if _, rev := read(t, d, "m/a"); refused && rev != 0 {
		t.Fatal("a refused commit was applied")
	}
	if err := d.Stage(ctx, journal.Guard{Key: "i/none"}, []journal.Op{put("c/a", "")}); err == nil {
		t.Fatal("stage went on after its context ended")
	}
}

func testHeldContext(t *testing.T, h Harness) {
	if h.Hold == nil {
		t.Skip("the harness cannot hold commits")
	}
	d := h.Driver
	reached, release := h.Hold(t)
	ctx, cancel := context.WithCancel(t.Context())
	answers := make(chan []result)
	go func() {
		answers <- concurrently(16, func(i int) (journal.Rev, error) {
			return d.Commit(ctx, ops(put(fmt.Sprintf("m/%02d", i), "")))
		})
	}()
	<-reached
	cancel()
	results := <-answers
	release()
	commit(t, d, ops(put("m/after", "")))
	for i, r := range results {
		_, rev := read(t, d, fmt.Sprintf("m/%02d", i))
		switch {
		case errors.Is(r.err, journal.ErrRefused):
			if rev != 0 {
				t.Errorf("commit %d was refused and applied", i)
			}
		case !errors.Is(r.err, journal.ErrUnknown):
			t.Errorf("commit %d: %v", i, r.err)
		}
	}
}

func testLostAnswer(t *testing.T, h Harness) {
	if h.Lose == nil || h.Crash == nil {
		t.Skip("the harness cannot lose answers")
	}
	d := h.Driver
	rev := commit(t, d, ops(put("m/a", "start")))
	for i, applied := range []bool{false, true, true, false} {
		want, _ := read(t, d, "m/a")
		next := fmt.Sprint("attempt ", i)
		h.Lose(t, applied)
		_, err := d.Commit(t.Context(), guarded("m/a", rev, put("m/a", next)))
		if err == nil || errors.Is(err, journal.ErrGuard) || errors.Is(err, journal.ErrRefused) {
			t.Fatalf("a lost answer came as %v", err)
		}
		d = h.Crash(t)
		_, fence := d.Commit(t.Context(), guarded("m/a", rev, put("m/a", "fence")))
		if applied {
			want = next
			wantErr(t, fence, journal.ErrGuard)
		} else if want = "fence"; fence != nil {
			t.Fatalf("nothing was applied, and the fence answers %v", fence)
		}
		var value string
		if value, rev = read(t, d, "m/a"); value != want {
			t.Fatalf("found %q, want %q", value, want)
		}
	}
}
