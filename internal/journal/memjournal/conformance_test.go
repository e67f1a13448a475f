package memjournal

import (
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/journaltest"
)

func TestConformance(t *testing.T) {
	defer goleak.VerifyNone(t)
	journaltest.Run(t, func(t *testing.T) journaltest.Harness {
		var next atomic.Uint32
		d := New(Options{Fault: func(c Call) Fault {
			if c.Method != "Commit" {
				return NoFault
			}
			return Fault(next.Swap(uint32(NoFault)))
		}})
		t.Cleanup(func() { d.Close() })
		return journaltest.Harness{
			Driver: d,
			Crash: func(*testing.T) journal.Driver {
				d = d.Restart()
				return d
			},
			Lose: func(_ *testing.T, applied bool) {
				if applied {
					next.Store(uint32(UnknownApplied))
				} else {
					next.Store(uint32(FailedLost))
				}
			},
		}
	})
}
