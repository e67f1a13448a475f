package journaltest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/popkv/popkv/internal/journal"
)

func chunks(generation string, n, sizeBytes int) []journal.Op {
	return many(n, func(i int) journal.Op {
		return put(fmt.Sprintf("c/s/%s/%04d", generation, i), strings.Repeat(string(rune('a'+i%26)), sizeBytes))
	})
}

func testStageDurable(t *testing.T, h Harness) {
	d := h.Driver
	intent := commit(t, d, ops(put("i/s/g", "")))
	puts := chunks("g", 40, 64<<10) // more than any Txn may hold
	if err := d.Stage(t.Context(), journal.Guard{Key: "i/s/g", Rev: intent}, puts); err != nil {
		t.Fatal(err)
	}
	flip := commit(t, d, guarded("i/s/g", intent, del("i/s/g"), put("m/s", "g")))
	check := func(d journal.Driver) {
		t.Helper()
		v := view(t, d)
		defer v.Close()
		var got []journal.Op
		for kv, err := range v.Scan("c/", "c0", 0) {
			if err != nil {
				t.Fatal(err)
			}
			if kv.Rev <= intent || kv.Rev >= flip {
				t.Fatalf("%s is at %d, staged between %d and %d", kv.Key, kv.Rev, intent, flip)
			}
			got = append(got, put(kv.Key, string(kv.Value)))
		}
		same := func(a, b journal.Op) bool { return a.Key == b.Key && bytes.Equal(a.Value, b.Value) }
		if !slices.EqualFunc(puts, got, same) {
			t.Fatalf("%d chunks were staged, %d other ones are there", len(puts), len(got))
		}
	}
	check(d)
	if h.Crash != nil {
		check(h.Crash(t))
	}
}

func testStageGuard(t *testing.T, h Harness) {
	d := h.Driver
	intent := commit(t, d, ops(put("i/s/g", "")))
	for _, g := range []journal.Guard{{Key: "i/s/g"}, {Key: "i/s/g", Rev: intent + 1}, {Key: "i/s/other", Rev: intent}} {
		wantErr(t, d.Stage(t.Context(), g, chunks("g", 3, 10)), journal.ErrGuard)
	}
	commit(t, d, ops(put("m/s", "")))
	wantAll(t, d, "i/s/g=", "m/s=")
	if err := d.Stage(t.Context(), journal.Guard{Key: "i/s/g", Rev: intent}, nil); err != nil {
		t.Fatalf("staging nothing: %v", err)
	}
}

// A sweeper that has removed the intent finds no chunk that lands later.
func testStageRace(t *testing.T, h Harness) {
	d := h.Driver
	for round := range 10 {
		g := fmt.Sprint(round)
		intent := commit(t, d, ops(put("i/s/"+g, "")))
		staged := make(chan error)
		first := make(chan struct{})
		go func() {
			var err error
			for i, op := range chunks(g, 200, 100) {
				if err = d.Stage(t.Context(), journal.Guard{Key: "i/s/" + g, Rev: intent}, []journal.Op{op}); err != nil {
					break
				}
				if i == 10 {
					close(first)
				}
			}
			staged <- err
		}()
		<-first
		commit(t, d, ops(del("i/s/"+g)))
		commit(t, d, ops(delRange("c/", "c0")))
		if err := <-staged; err != nil {
			wantErr(t, err, journal.ErrGuard)
		}
		commit(t, d, ops(put("m/s", "")))
		wantAll(t, d, "m/s=")
	}
}

func testStageRefuses(t *testing.T, h Harness) {
	d := h.Driver
	intent := journal.Guard{Key: "i/s/g", Rev: commit(t, d, ops(put("i/s/g", "")))}
	for name, op := range map[string]journal.Op{
		"a key that is not bulk": put("m/s", ""),
		"a delete":               del("c/s/g/1"),
		"a range":                delRange("c/", "c0"),
		"a value that is too long": put("c/s/g/1",
			strings.Repeat("x", journal.MaxTxnBytes+1)),
	} {
		t.Run(name, func(t *testing.T) {
			wantErr(t, d.Stage(t.Context(), intent, []journal.Op{op}), journal.ErrRefused)
		})
	}
	commit(t, d, ops(put("m/z", "")))
	wantAll(t, d, "i/s/g=", "m/z=")
}
