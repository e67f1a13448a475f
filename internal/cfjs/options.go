package cfjs

import (
	"log/slog"
	"math/rand/v2"
	"time"
)

// Options are the limits and the surroundings of a run. The zero value works.
type Options struct {
	// Now is the clock; Date stands still at its first answer. Default time.Now.
	Now func() time.Time
	// Random gives Math.random its values in [0,1). Default: a fresh generator
	// for each run.
	Random func() float64
	// Budget is the processor time that counts as 100 % utilization. Default
	// [DefaultBudget]. Passing it stops nothing.
	Budget time.Duration
	// HardLimit is the processor time after which a run is stopped. Default
	// [DefaultHardLimit].
	HardLimit time.Duration
	// WallLimit stops a run that does not get the processor. Default
	// [DefaultWallLimit].
	WallLimit time.Duration
	// MemoryLimit is how many bytes the process's heap may grow while a run is
	// slow before that run is stopped. Default [DefaultMemoryLimit].
	MemoryLimit int64
	// Repeat is how many more times a run that was quick and did not fail is made
	// to tell its processor time: the first of a process takes several times as
	// long. The result is that of the first run, the time that of the fastest.
	// For TestFunction; 0 at the edge.
	Repeat int
	// Thread is the one that Run is called on, if the caller stays locked to it.
	// Then the processor time of every run is exact. Without it, a run that ends
	// within 10 ms on the wall clock is said to have used that, and one that does
	// not is made again with its processor time measured.
	Thread *Thread
	// WholeProcess says that the process does nothing but this run, so that the
	// hard limit counts all its threads: garbage is collected by others than
	// Thread, which must be set. What a function is charged is Thread's alone.
	WholeProcess bool
	// FreeReads says that what the store does is not the function's doing: it counts
	// for the limits, but is not charged. Thread must be set.
	FreeReads bool
	// Edge is what cloudfront.edgeLocation says; nil leaves it empty.
	Edge *EdgeLocation
	// Logger gets a line for a defect of this package, never for a function's.
	Logger *slog.Logger

	patience time.Duration // [regexpTimeout], less in tests
}

// An EdgeLocation is where a function runs (documented).
type EdgeLocation struct {
	Name     string // IATA code
	ServerIP string
	Region   string
}

// Limits of a run. AWS publishes only that a run takes less than a
// millisecond, so these are chosen; the budget is set so that typical functions
// show the utilization that the real service shows for them, 7 to 21 percent.
const (
	DefaultBudget      = 400 * time.Microsecond
	DefaultHardLimit   = 50 * time.Millisecond
	DefaultWallLimit   = 2 * time.Second
	DefaultMemoryLimit = 128 << 20

	// MaxLogBytes is where the log of one run is cut (documented).
	MaxLogBytes = 10 << 10

	// regexpTimeout is wall time: the matcher knows no other. It is well over the
	// hard limit, so that a run which waits for the processor is not taken for one
	// whose pattern ran astray.
	regexpTimeout = 250 * time.Millisecond
	// regexpPatience is the processor time below which a run that took so long only
	// waited for others, and is made again.
	regexpPatience = regexpTimeout / 50
	maxCallDepth   = 256
)

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Budget <= 0 {
		o.Budget = DefaultBudget
	}
	if o.HardLimit <= 0 {
		o.HardLimit = DefaultHardLimit
	}
	if o.WallLimit <= 0 {
		o.WallLimit = DefaultWallLimit
	}
	if o.MemoryLimit <= 0 {
		o.MemoryLimit = DefaultMemoryLimit
	}
	if o.patience <= 0 {
		o.patience = regexpTimeout
	}
	return o
}
