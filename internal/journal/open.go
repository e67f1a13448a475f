package journal

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/popkv/popkv"
)

// Options change how a [Journal] behaves; the zero value works.
type Options struct {
	Logger *slog.Logger     // nil: silent
	Now    func() time.Time // nil: time.Now
	Rand   io.Reader        // ids and keys; nil: crypto/rand

	// MemoryBudgetBytes bounds what loaded stores take in memory. 0: 1 GiB.
	MemoryBudgetBytes int64

	// A store's history reaches back over HistoryVersions effective writes (0:
	// 1,000) or HistoryAge (0: 7 days), whichever is less; at times it
	// reaches further, because it ends where a kept snapshot begins.
	HistoryVersions int
	HistoryAge      time.Duration

	// LoadWait bounds how long a request waits for its store to be loaded (0:
	// 2 s), CommitWait how long for one answer of the driver (0: 5 s).
	LoadWait   time.Duration
	CommitWait time.Duration
}

const (
	defaultMemoryBudget    = 1 << 30
	defaultHistoryVersions = 1000
	defaultHistoryAge      = 7 * 24 * time.Hour
	defaultLoadWait        = 2 * time.Second
	defaultCommitWait      = 5 * time.Second
)

// concurrentLoads is how many stores are loaded at once.
const concurrentLoads = 4

// A Journal keeps stores and the catalog on one driver. All methods may be
// called concurrently.
type Journal struct {
	drv  Driver
	o    Options
	log  *slog.Logger
	rand struct {
		sync.Mutex
		io.Reader
	}

	gateRev atomic.Uint64 // of the gate that every commit guards

	stores sync.Map // popkv.StoreID → *store; written under mu
	mu     sync.Mutex
	memory memory                // guarded by mu
	chores map[popkv.StoreID]int // guarded by mu; what housekeeping has to do
	count  counters

	loads   chan struct{} // one token per running load
	catalog catalogTurn

	wake   chan struct{} // tells housekeeping that chores has grown
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// Open starts a journal on drv, which holds nothing yet or what an earlier
// journal left. It reads one record, whatever the size of the data; stores are
// loaded when they are first touched. Data of a newer format, of another
// directory, or of a restore that never ended is refused with [popkv.Unavailable].
//
// The driver stays the caller's: close it after the journal.
func Open(ctx context.Context, drv Driver, o Options) (*Journal, error) {
	j := newJournal(drv, o)
	if err := j.enterGate(ctx); err != nil {
		return nil, err
	}
	ctx, j.cancel = context.WithCancel(context.WithoutCancel(ctx))
	j.done.Go(func() { j.keepHouse(ctx) })
	return j, nil
}

func newJournal(drv Driver, o Options) *Journal {
	setDefault(&o.Now, time.Now, o.Now == nil)
	setDefault(&o.Rand, rand.Reader, o.Rand == nil)
	setDefault(&o.Logger, slog.New(slog.DiscardHandler), o.Logger == nil)
	setDefault(&o.MemoryBudgetBytes, defaultMemoryBudget, o.MemoryBudgetBytes == 0)
	setDefault(&o.HistoryVersions, defaultHistoryVersions, o.HistoryVersions == 0)
	setDefault(&o.HistoryAge, defaultHistoryAge, o.HistoryAge == 0)
	setDefault(&o.LoadWait, defaultLoadWait, o.LoadWait == 0)
	setDefault(&o.CommitWait, defaultCommitWait, o.CommitWait == 0)
	j := &Journal{
		drv:     drv,
		o:       o,
		log:     o.Logger,
		chores:  map[popkv.StoreID]int{},
		loads:   make(chan struct{}, concurrentLoads),
		catalog: catalogTurn{turn: newTurn()},
		wake:    make(chan struct{}, 1),
	}
	j.rand.Reader = o.Rand
	j.memory.init(o.MemoryBudgetBytes)
	return j
}

func setDefault[T any](field *T, value T, missing bool) {
	if missing {
		*field = value
	}
}

// Close stops housekeeping and waits for it. Calls that are under way finish
// on their own; commits made afterwards are still safe, only nobody folds.
func (j *Journal) Close() error {
	j.cancel()
	j.done.Wait()
	return nil
}

// State is the driver's: whether writes are taken, and why not.
func (j *Journal) State() State { return j.drv.State() }

// now is the present in the resolution of records.
func (j *Journal) now() time.Time { return j.o.Now().UTC().Truncate(time.Millisecond) }

// random returns 128 random bits. A source of randomness that fails is not
// something to go on from.
func (j *Journal) random() (id id128) {
	j.rand.Lock()
	defer j.rand.Unlock()
	if _, err := io.ReadFull(j.rand.Reader, id[:]); err != nil {
		panic("journal: no randomness: " + err.Error())
	}
	return id
}
