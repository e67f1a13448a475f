package controlplane

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"log/slog"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/s3import"
	"github.com/popkv/popkv/internal/snapshot"
)

// A Journal keeps the records. [*journal.Journal] is one.
type Journal interface {
	// Catalog runs fn in one transaction over catalog records, again if what it
	// read has changed; it is durable when Catalog returns nil.
	Catalog(ctx context.Context, fn func(tx *journal.Tx) error) error
	// NewStore makes an empty store in a catalog transaction.
	NewStore(tx *journal.Tx, account string, status popkv.Status) popkv.StoreID
	// Meta returns what is known of a store, whatever its status.
	Meta(ctx context.Context, id popkv.StoreID) (journal.Meta, error)
	// Head returns a store at one version.
	Head(ctx context.Context, id popkv.StoreID) (*journal.Head, error)
	// Import makes snap the content of a store that is PROVISIONING and the
	// store READY, in the transaction of alongside.
	Import(ctx context.Context, id popkv.StoreID, principal string, snap *snapshot.Snapshot, alongside func(tx *journal.Tx) error) error
}

// Options configure a [Service]. The zero value works, but for Limits.
type Options struct {
	Limits popkv.Limits     // zero: popkv.DefaultLimits(); FunctionBytes counts up to 320 KiB
	Logger *slog.Logger     // default: none
	Now    func() time.Time // default: time.Now; records bear the journal's time
	Rand   io.Reader        // default: crypto/rand

	// DelayTransientStatuses keeps a new store PROVISIONING for that long, so
	// that clients can try out their waiters.
	DelayTransientStatuses time.Duration
	// Until returns when Now shows t, or why ctx has ended; default: a timer.
	// Where Now is not the system's clock, this waits for that clock.
	Until func(ctx context.Context, t time.Time) error

	// Source is where import documents are; without one a create with
	// ImportSource is [popkv.Unsupported].
	Source            s3import.Source
	ImportTimeout     time.Duration // of reading one document; default 60 s
	ConcurrentImports int           // default 2; others wait their turn
	// Progress is told how imports get on. It must not block.
	Progress func(ImportProgress)

	// Runner runs functions for TestFunction, which is [popkv.Unsupported]
	// without one.
	Runner Runner
	// Routes returns how many edge routes a function is attached to, from
	// records that it reads through tx; nil: none ever.
	Routes func(tx *journal.Tx, account, function string) (int, error)
}

// A Service carries out control-plane operations. All methods may be called
// concurrently. Stores that are not READY at once need [Service.Run].
type Service struct {
	j    Journal
	o    Options
	jobs *jobs
}

// New returns a service on j. It does nothing by itself before Run.
func New(j Journal, o Options) *Service {
	if o.Limits == (popkv.Limits{}) {
		o.Limits = popkv.DefaultLimits()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Limits.FunctionBytes > maxStoredCode {
		o.Logger.Warn("a function's code cannot be as long as its quota", "function_bytes", o.Limits.FunctionBytes, "max_bytes", maxStoredCode)
		o.Limits.FunctionBytes = maxStoredCode
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Until == nil {
		now := o.Now
		o.Until = func(ctx context.Context, t time.Time) error { return wait(ctx, t.Sub(now())) }
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.ImportTimeout == 0 {
		o.ImportTimeout = time.Minute
	}
	if o.ConcurrentImports == 0 {
		o.ConcurrentImports = 2
	}
	if o.Progress == nil {
		o.Progress = func(ImportProgress) {}
	}
	if o.Routes == nil {
		o.Routes = func(*journal.Tx, string, string) (int, error) { return 0, nil }
	}
	var owner [16]byte
	io.ReadFull(o.Rand, owner[:])
	return &Service{j: j, o: o, jobs: newJobs(hex.EncodeToString(owner[:]), o.ConcurrentImports)}
}

// Limits are those that the service keeps, FunctionBytes no more than storage
// can hold.
func (s *Service) Limits() popkv.Limits { return s.o.Limits }

// A Target is what an operation is about to act on, as it was found by name or
// ARN just before. It tells whom to authorise; the operation looks again, and
// acts only on the very same thing.
type Target struct {
	ARN    popkv.ARN // of something that does not exist: as wide as the request
	Exists bool
	Name   string // as asked for
	Tags   map[string]string
	id     popkv.StoreID
}

// anyName stands in the ARN of a [Target] for a store that has no id, because
// it does not exist or not yet: only a policy that covers every store of the
// account covers it.
const anyName = "*"

// Stores is the target of operations on no store in particular: create and
// list.
func (s *Service) Stores(account string) Target {
	return Target{ARN: popkv.ARN{Account: account, Resource: popkv.ResourceStore, Name: anyName}}
}

// Store finds a store by name. That it does not exist, or cannot under such a
// name, is no error here.
func (s *Service) Store(ctx context.Context, account, name string) (Target, error) {
	t := s.Stores(account)
	t.Name = name
	if !popkv.IsName(name) {
		return t, nil
	}
	err := s.j.Catalog(ctx, func(tx *journal.Tx) error {
		id, c, err := storeByName(tx, account, name)
		if err != nil || c == nil {
			return err
		}
		t.ARN, t.Exists, t.Tags, t.id = popkv.StoreARN(account, id), true, c.Tags, id
		return nil
	})
	return t, err
}
