package cfworker

import (
	"strconv"
	"testing"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/cfjs"
)

func TestAFunctionThatKeepsOverrunningIsRefused(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := newBreaker(func() time.Time { return now })
	bad := Call{Function: "bad", Program: NewProgram([]byte("code"), cfjs.Runtime20)}
	fixed := Call{Function: "bad", Program: NewProgram([]byte("better code"), cfjs.Runtime20)}
	other := Call{Function: "other", Program: bad.Program}
	tested := Call{Program: bad.Program}
	refused := func(c Call) bool {
		err := b.admit(c)
		if err != nil && popkv.KindOf(err) != popkv.Throttled {
			t.Fatalf("%v, want it throttled", err)
		}
		return err != nil
	}
	overrun := b.record

	overrun(bad)
	overrun(bad)
	for range 10 {
		overrun(tested)
	}
	if refused(bad) {
		t.Error("refused after two overruns")
	}
	overrun(bad)
	if !refused(bad) {
		t.Error("not refused after three overruns")
	}
	if refused(other) || refused(fixed) || refused(tested) {
		t.Error("another function, a fixed one or a tested one is refused too")
	}
	now = now.Add(breakerPause)
	if refused(bad) {
		t.Error("refused for longer than the pause")
	}
	overrun(bad)
	now = now.Add(2*breakerPause - 1)
	if !refused(bad) {
		t.Error("the second pause is not twice as long")
	}
	for range 100 {
		overrun(bad)
	}
	now = now.Add(breakerMax - 1)
	if !refused(bad) {
		t.Error("refused for less than the longest pause after many overruns")
	}
	now = now.Add(2)
	if refused(bad) {
		t.Error("refused for longer than the longest pause")
	}
	overrun(bad)
	overrun(bad)
	if refused(bad) {
		t.Error("an old record counts")
	}
}

func TestTheBreakerForgets(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := newBreaker(func() time.Time { return now })
	program := NewProgram([]byte("code"), cfjs.Runtime20)
	for i := range 10 * breakerRecords {
		now = now.Add(time.Second)
		b.record(Call{Function: strconv.Itoa(i), Program: program})
	}
	if len(b.records) > breakerRecords {
		t.Errorf("%d records are kept", len(b.records))
	}
}
