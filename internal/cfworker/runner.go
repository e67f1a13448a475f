package cfworker

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/popkv/popkv/internal/cfjs"
)

// A Runner runs functions.
type Runner interface {
	// Run runs a function once. A function that fails is not an error: the
	// result says what it did, and Exceeded that it was stopped. The error is
	// of kind [popkv.Throttled] when the function is refused because it exceeded
	// its limits lately, [popkv.Unavailable] when no worker can be had,
	// [popkv.Internal] for a defect of the runtime, or ctx's cause when ctx
	// ended before the run began.
	Run(ctx context.Context, call Call) (cfjs.Result, error)
	// Close ends the runs that are in progress and returns when nothing of the
	// runner is left. Run fails from then on.
	Close() error
}

// A Call is one run of a function.
type Call struct {
	Program *Program
	Event   *cfjs.Event
	// Store is the one version of the store that the run reads, nil without
	// association. It is asked from the goroutine that called Run.
	Store cfjs.Store
	// Function names the function for throttling. "" is never refused, which is
	// how TestFunction runs (documented).
	Function string
	// Now is what Date says; zero is the time of the run.
	Now time.Time
}

// Measure is [Runner.Run] for those who look at the compute utilization of one
// run: it runs the function a few times and reports the least, because the
// first run of a program is a slow one and every run may be disturbed. All else
// is of the first run; nobody can tell that there were others.
func Measure(ctx context.Context, r Runner, c Call) (cfjs.Result, error) {
	first, err := r.Run(ctx, c)
	for range measuredRuns - 1 {
		if err != nil || first.CPU > measurable {
			break
		}
		again, err := r.Run(ctx, c)
		if err != nil || again.Exceeded {
			break
		}
		if again.CPU < first.CPU {
			first.CPU, first.ComputeUtilization = again.CPU, again.ComputeUtilization
		}
	}
	return first, err
}

const (
	measuredRuns = 5
	measurable   = 5 * time.Millisecond // what takes longer says enough the first time
)

// A Program is the code of one version of a function. It is immutable; whoever
// calls a function often keeps its Program.
type Program struct {
	runtime  cfjs.Runtime
	code     []byte
	hash     programHash
	compiled func() *cfjs.Program
}

// A programHash is the SHA-256 of runtime and code.
type programHash [sha256.Size]byte

// NewProgram makes a Program of a function's code, which may be broken: then
// every run fails. The caller must not change code afterwards.
func NewProgram(code []byte, version cfjs.Runtime) *Program {
	h := sha256.New()
	h.Write([]byte(version + "\n"))
	h.Write(code)
	p := &Program{runtime: version, code: code}
	h.Sum(p.hash[:0])
	p.compiled = sync.OnceValue(func() *cfjs.Program { return cfjs.Compile(code, version) })
	return p
}

// Options are the limits of runs. The zero value works.
type Options struct {
	Logger *slog.Logger // nil discards
	// Now is the clock of throttling and idleness. Default time.Now.
	Now func() time.Time

	// Calls is how many functions run at once; others wait. Default GOMAXPROCS.
	Calls int
	// Budget, HardLimit and WallLimit are as in [cfjs.Options]. A [Pool] kills a
	// worker at one and a half times the limits.
	Budget    time.Duration
	HardLimit time.Duration
	WallLimit time.Duration
	// MemoryBytes is the memory of one worker process, in-process how much the
	// heap may grow. Default [cfjs.DefaultMemoryLimit].
	MemoryBytes int64
	// Edge is what cloudfront.edgeLocation says; nil leaves it empty.
	Edge *cfjs.EdgeLocation
	// IdleTime is how long a worker beyond the spare waits for its next call
	// before it is ended. Default [DefaultIdleTime].
	IdleTime time.Duration

	unguarded   bool          // tests: the worker does not stop a run itself
	starvedTime time.Duration // as the constant; longer in tests that are not about it
}

// DefaultIdleTime is how long workers wait for their next call.
const DefaultIdleTime = time.Minute

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Calls <= 0 {
		o.Calls = runtime.GOMAXPROCS(0)
	}
	if o.Budget <= 0 {
		o.Budget = cfjs.DefaultBudget
	}
	if o.HardLimit <= 0 {
		o.HardLimit = cfjs.DefaultHardLimit
	}
	if o.WallLimit <= 0 {
		o.WallLimit = cfjs.DefaultWallLimit
	}
	if o.MemoryBytes <= 0 {
		o.MemoryBytes = cfjs.DefaultMemoryLimit
	}
	if o.IdleTime <= 0 {
		o.IdleTime = DefaultIdleTime
	}
	if o.starvedTime <= 0 {
		o.starvedTime = starvedTime
	}
	return o
}
