package memjournal

import "github.com/popkv/popkv/internal/journal"

// A Call is what [Options.Fault] decides on.
type Call struct {
	Method string      // "Commit", "Stage", "Revs", "View", "View.Get" or "View.Scan"
	Txn    journal.Txn // of Commit; of Stage its guard and puts; else empty
}

// A Fault is what becomes of a [Call].
type Fault uint8

// The faults. A reading call turns all unknown ones into a plain ErrUnknown
// and both failed ones into ErrFailed; the methods of a View turn any fault
// into ErrMoved.
const (
	NoFault        Fault = iota
	Refused              // ErrRefused, not applied
	UnknownLost          // ErrUnknown, not persisted
	UnknownApplied       // ErrUnknown, persisted anyway if the guards held
	UnknownLater         // ErrUnknown, persisted when Driver.Land is called if the guards hold then
	FailedLost           // ErrFailed from now on, not persisted
	FailedApplied        // ErrFailed from now on, persisted anyway if the guards held
)
