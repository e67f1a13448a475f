package memjournal

import (
	"context"
	"errors"
	"testing"

	"github.com/popkv/popkv/internal/journal"
)

func put(key, value string) []journal.Op {
	return []journal.Op{{Kind: journal.Put, Key: key, Value: []byte(value)}}
}

func mustCommit(t *testing.T, d *Driver, txn journal.Txn) journal.Rev {
	t.Helper()
	rev, err := d.Commit(t.Context(), txn)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func get(t *testing.T, d *Driver, key string) (string, journal.Rev) {
	t.Helper()
	v, err := d.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	value, rev, err := v.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(value), rev
}

func TestEachFaultAnswersAndPersistsAsItsNameSays(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault Fault
		want  error
		after string // value seen after a restart
	}{
		{"none", NoFault, nil, "new"},
		{"refused", Refused, journal.ErrRefused, "old"},
		{"unknown and lost", UnknownLost, journal.ErrUnknown, "old"},
		{"unknown and applied", UnknownApplied, journal.ErrUnknown, "new"},
		{"unknown and not landed", UnknownLater, journal.ErrUnknown, "old"},
		{"failed and lost", FailedLost, journal.ErrFailed, "old"},
		{"failed and applied", FailedApplied, journal.ErrFailed, "new"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var next Fault
			d := New(Options{Fault: func(call Call) Fault {
				if call.Method != "Commit" {
					return NoFault
				}
				return next
			}})
			mustCommit(t, d, journal.Txn{Ops: put("m/1", "old")})
			next = c.fault
			if _, err := d.Commit(t.Context(), journal.Txn{Ops: put("m/1", "new")}); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if failed := d.State().Mode == journal.Failed; failed != errors.Is(c.want, journal.ErrFailed) {
				t.Fatalf("failed is %v", failed)
			}
			if value, _ := get(t, d.Restart(), "m/1"); value != c.after {
				t.Fatalf("got %q, want %q", value, c.after)
			}
		})
	}
}

func TestALateCommitLandsOnlyWhileItsGuardHolds(t *testing.T) {
	for name, fence := range map[string]bool{"no fence": false, "fenced": true} {
		t.Run(name, func(t *testing.T) {
			late := false
			d := New(Options{Fault: func(Call) Fault {
				if late {
					return UnknownLater
				}
				return NoFault
			}})
			rev := mustCommit(t, d, journal.Txn{Ops: put("m/1", "old")})
			guarded := journal.Txn{Guards: []journal.Guard{{Key: "m/1", Rev: rev}}, Ops: put("m/1", "new")}
			late = true
			if _, err := d.Commit(t.Context(), guarded); !errors.Is(err, journal.ErrUnknown) {
				t.Fatal(err)
			}
			late = false
			want := "new"
			if fence {
				guarded.Ops = put("m/1", "old")
				mustCommit(t, d, guarded)
				want = "old"
			}
			d.Land()
			if value, _ := get(t, d, "m/1"); value != want {
				t.Fatalf("got %q, want %q", value, want)
			}
		})
	}
}

func TestRestartSweepsIntentsAndKeepsTheRest(t *testing.T) {
	d := New(Options{})
	mustCommit(t, d, journal.Txn{Ops: append(put("i/1/2", ""), put("m/1", "x")...)})
	id, before := d.Identity(), d
	d = d.Restart()
	if _, rev := get(t, d, "i/1/2"); rev != 0 {
		t.Fatal("the intent is still there")
	}
	if value, _ := get(t, d, "m/1"); value != "x" || d.Identity() != id {
		t.Fatalf("value %q, identity kept %v", value, d.Identity() == id)
	}
	if _, err := before.Commit(context.Background(), journal.Txn{Ops: put("m/1", "y")}); !errors.Is(err, journal.ErrRefused) {
		t.Fatalf("a closed driver answered %v", err)
	}
}
