// Package journaltest is the one conformance suite of journal drivers: what
// [journal.Driver] promises, as tests. It deliberately tests nothing that a
// driver alone promises; crash and damage tests of an engine live with it.
package journaltest

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv/internal/journal"
)

// A Harness is one empty driver and the means to hurt it. A nil function
// skips the tests that need it.
type Harness struct {
	Driver journal.Driver

	// Crash ends the driver as kill -9 or a power cut would, without Close,
	// and opens another on what is left. It may be called again.
	Crash func(t *testing.T) journal.Driver

	// Lose makes the answer of the next Commit get lost: it is ErrUnknown or
	// ErrFailed, and its ops are found after a Crash if applied is true, else
	// not.
	Lose func(t *testing.T, applied bool)

	// Hold keeps commits from becoming durable until release is called.
	// reached is closed once a commit has got that far.
	Hold func(t *testing.T) (reached <-chan struct{}, release func())
}

// Run checks the driver that open makes, a new one for each test.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Harness)
	}{
		{"a commit applies iff all guards hold", testGuards},
		{"revisions grow with each write", testRevisionsGrow},
		{"one of 32 concurrent writers wins", testOneWinner},
		{"no commit fails another", testNoneFailsAnother},
		{"a view after a false guard shows why", testGuardIsExplained},
		{"bounds are refused by name", testBounds},
		{"a transaction at its bounds is taken", testAtBounds},
		{"a range is deleted exactly", testDeleteRange},
		{"an ended context withdraws or leaves the outcome unknown", testContext},
		{"a held commit is withdrawn or unknown", testHeldContext},
		{"a lost answer is resolved by a guard", testLostAnswer},
		{"revisions of many keys in one call", testRevs},
		{"a view is stable and not older than an answer", testViewStable},
		{"a view never splits a transaction", testViewWhole},
		{"nothing is seen before it is durable", testSeenWhenDurable},
		{"a scan is ordered, bounded and limited", testScan},
		{"keys and values are bytes", testBytes},
		{"watch yields whole transactions in order", testWatchWhole},
		{"watch resumes after any revision", testWatchResumes},
		{"watch says when it cannot resume", testWatchMoved},
		{"watch ends with its context", testWatchContext},
		{"watch follows concurrent writers exactly", testWatchConcurrent},
		{"stage is durable with the next commit", testStageDurable},
		{"stage applies only under its guard", testStageGuard},
		{"stage stops where the guard falls", testStageRace},
		{"stage refuses what is not bulk", testStageRefuses},
		{"a crash loses nothing acknowledged", testCrash},
		{"a crash ends intents and keeps the identity", testCrashIntents},
		{"any sequence of calls agrees with a map", testModel},
		{"a closed driver refuses everything", testClose},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := open(t)
			if s := h.Driver.State(); s.Mode != journal.Writable || s.Cause != nil {
				t.Fatalf("a new driver is in state %v", s)
			}
			c.test(t, h)
		})
	}
}

func put(key, value string) journal.Op {
	return journal.Op{Kind: journal.Put, Key: key, Value: []byte(value)}
}

func del(key string) journal.Op { return journal.Op{Kind: journal.Delete, Key: key} }

func delRange(key, end string) journal.Op {
	return journal.Op{Kind: journal.DeleteRange, Key: key, End: end}
}

func ops(ops ...journal.Op) journal.Txn { return journal.Txn{Ops: ops} }

func guarded(key string, rev journal.Rev, ops ...journal.Op) journal.Txn {
	return journal.Txn{Guards: []journal.Guard{{Key: key, Rev: rev}}, Ops: ops}
}

func commit(t *testing.T, d journal.Driver, txn journal.Txn) journal.Rev {
	t.Helper()
	rev, err := d.Commit(t.Context(), txn)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return rev
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// view is closed with the test, before the driver is.
func view(t *testing.T, d journal.Driver) journal.View {
	t.Helper()
	v, err := d.View(t.Context())
	if err != nil {
		t.Fatalf("view: %v", err)
	}
	return v
}

func get(t *testing.T, v journal.View, key string) (string, journal.Rev) {
	t.Helper()
	value, rev, err := v.Get(key)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	return string(value), rev
}

// read returns key's value and revision from a view of its own.
func read(t *testing.T, d journal.Driver, key string) (string, journal.Rev) {
	t.Helper()
	v := view(t, d)
	defer v.Close()
	return get(t, v, key)
}

// scan returns "key=value" of every key in the range.
func scan(t *testing.T, v journal.View, from, end string, limit int) []string {
	t.Helper()
	got := []string{}
	for kv, err := range v.Scan(from, end, limit) {
		if err != nil {
			t.Fatalf("scan from %q to %q: %v", from, end, err)
		}
		got = append(got, kv.Key+"="+string(kv.Value))
	}
	return got
}

func scanAll(t *testing.T, d journal.Driver) []string {
	t.Helper()
	v := view(t, d)
	defer v.Close()
	return scan(t, v, "", "", 0)
}

func wantAll(t *testing.T, d journal.Driver, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), scanAll(t, d)); diff != "" {
		t.Fatalf("keys differ (-want +got):\n%s", diff)
	}
}

func ended(t *testing.T) (context.Context, error) {
	cause := errors.New("the caller left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	return ctx, cause
}
