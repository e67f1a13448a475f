package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// A Rev is the revision of one key: it grows with each write to the key, and
// 0 means the key is absent.
type Rev uint64

// A Guard holds if its key is at exactly Rev.
type Guard struct {
	Key string
	Rev Rev
}

// An OpKind is what an [Op] does.
type OpKind uint8

// The kinds of [Op].
const (
	Put         OpKind = iota // Key gets Value
	Delete                    // Key goes; deleting an absent key is no error
	DeleteRange               // every key in [Key, End) goes
)

// An Op is one change of a [Txn].
type Op struct {
	Kind  OpKind
	Key   string
	End   string
	Value []byte
}

// A Txn is applied whole or not at all. It has at most [MaxGuards] guards,
// [MaxOps] ops and [MaxTxnBytes] of keys and values, and names no key twice
// among its ops. The driver keeps the values: nobody changes them once they
// are handed over.
type Txn struct {
	Guards []Guard
	Ops    []Op
}

// SizeBytes is the sum of all keys and values, what [MaxTxnBytes] bounds.
func (t Txn) SizeBytes() int {
	n := 0
	for _, g := range t.Guards {
		n += len(g.Key)
	}
	for _, op := range t.Ops {
		n += len(op.Key) + len(op.End) + len(op.Value)
	}
	return n
}

// Check returns nil for a Txn within its bounds, and else an [ErrRefused]
// that says which one was passed.
func (t Txn) Check() error {
	if len(t.Guards) > MaxGuards {
		return fmt.Errorf("%w: %d guards, at most %d", ErrRefused, len(t.Guards), MaxGuards)
	}
	if len(t.Ops) > MaxOps {
		return fmt.Errorf("%w: %d ops, at most %d", ErrRefused, len(t.Ops), MaxOps)
	}
	if n := t.SizeBytes(); n > MaxTxnBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrRefused, n, MaxTxnBytes)
	}
	for i, op := range t.Ops {
		if op.Kind > DeleteRange || op.Key == "" || op.Kind == DeleteRange && op.End <= op.Key {
			return fmt.Errorf("%w: op %d has no such kind, no key or an empty range", ErrRefused, i)
		}
		if op.Key == "r" || strings.HasPrefix(op.Key, "r/") {
			return fmt.Errorf("%w: op %d names a key of the driver's own", ErrRefused, i)
		}
		for _, other := range t.Ops[:i] {
			if op.overlaps(other) {
				return fmt.Errorf("%w: two ops name one key", ErrRefused)
			}
		}
	}
	return nil
}

// CheckStage returns nil for puts that [Driver.Stage] takes, and else an
// [ErrRefused] that says why not.
func CheckStage(puts []Op) error {
	for i, op := range puts {
		if op.Kind != Put || !strings.HasPrefix(op.Key, "c/") && !strings.HasPrefix(op.Key, "l/") {
			return fmt.Errorf("%w: staged op %d is not a put of a chunk or a record", ErrRefused, i)
		}
		if n := len(op.Key) + len(op.Value); n > MaxTxnBytes {
			return fmt.Errorf("%w: staged op %d has %d bytes, at most %d", ErrRefused, i, n, MaxTxnBytes)
		}
	}
	return nil
}

func (o Op) overlaps(p Op) bool {
	switch {
	case o.Kind == DeleteRange && p.Kind == DeleteRange:
		return o.Key < p.End && p.Key < o.End
	case o.Kind == DeleteRange:
		return o.Key <= p.Key && p.Key < o.End
	case p.Kind == DeleteRange:
		return p.Key <= o.Key && o.Key < p.End
	}
	return o.Key == p.Key
}

// Touches reports whether the op changes a key that begins with prefix.
func (o Op) Touches(prefix string) bool {
	if o.Kind != DeleteRange {
		return strings.HasPrefix(o.Key, prefix)
	}
	// A range also touches the prefix when it begins before and ends inside or
	// behind it.
	return strings.HasPrefix(o.Key, prefix) || o.Key < prefix && prefix < o.End
}

// Bounds of a [Txn] and of one [Driver.Revs] call. A driver refuses more with
// an error that says which bound was passed.
const (
	MaxGuards   = 16
	MaxOps      = 64
	MaxTxnBytes = 1 << 20
	MaxRevs     = 128
)

// What a driver says of a transaction. Only ErrGuard and ErrRefused promise
// that it was not and will not be applied; every error not listed here counts
// as ErrUnknown.
var (
	ErrGuard   = errors.New("a guard did not hold")
	ErrRefused = errors.New("refused: storage is full, sealed or overloaded")
	ErrFailed  = errors.New("storage has failed: restart to verify the data")
	ErrUnknown = errors.New("the outcome is unknown")
	ErrMoved   = errors.New("the view has moved on: take a new one")
)

// A Driver keeps keys and values durably. All methods may be called
// concurrently. journaltest holds every driver to this contract.
//
// The key "r" and those below "r/" are the driver's own: it refuses to write
// them and shows them to nobody. Keys below "i/" are intents: they live no
// longer than the process that put them. After Close every call is refused.
type Driver interface {
	// Commit applies all ops at one Rev, greater than every earlier one, iff
	// all guards hold; the change is durable before Commit returns nil. ctx
	// ends the wait, not the transaction: then the answer is ErrUnknown.
	// ErrGuard and ErrRefused: never applied, now or later. ErrFailed: unknown,
	// and all later calls fail. ErrUnknown and every unlisted error: may apply
	// now, later or never. Calls share a sync; none fails another.
	//
	// A View taken after ErrGuard shows the state that failed the guard. A
	// commit withdrawn by ctx before the driver began on it is ErrRefused.
	// Errors may wrap several of these; ErrRefused and ErrGuard win.
	Commit(ctx context.Context, t Txn) (Rev, error)

	// Stage puts bulk values under one guard, durable no later than any Commit
	// begun after Stage returns nil, and seen by a View no later than that
	// Commit. Only Put ops of keys below "c/" and "l/"; the bounds of Txn do not
	// apply to the whole, each value is at most MaxTxnBytes. No put is applied
	// while the guard does not hold, but an error may leave the first of them
	// applied. Watch need not show them.
	Stage(ctx context.Context, g Guard, puts []Op) error

	// Revs returns the revisions of at most MaxRevs keys, linearizable over
	// all processes, in one round trip.
	Revs(ctx context.Context, keys []string) ([]Rev, error)

	// View is one consistent durable state, no older than any Commit answered
	// before the call. Close it.
	View(ctx context.Context) (View, error)

	// Watch yields whole durable transactions that touch prefix after rev,
	// once, in order, until the caller breaks off or an error, which is yielded
	// last: ErrMoved: start again from a View; else the cause of ctx's end, or
	// ErrRefused after Close. A hint, never proof.
	Watch(ctx context.Context, prefix string, after Rev) iter.Seq2[Event, error]

	// Identity is the directory's or the cluster's id; a change is ErrFailed.
	Identity() ID

	// State says whether writes are taken.
	State() State

	// Close waits for what is in flight, open Views included, and releases
	// everything.
	Close() error
}

// A View is one consistent state. Any call may return ErrMoved.
type View interface {
	Rev() Rev
	// Get returns the value and revision of key; an absent key has revision 0
	// and no error.
	Get(key string) ([]byte, Rev, error)
	// Scan yields the keys in [from, end) in order, at most limit of them
	// (0: all); an empty end is no bound. A value is valid until the next step.
	// An error is yielded last, with a zero KV.
	Scan(from, end string, limit int) iter.Seq2[KV, error]
	Close()
}

// A KV is one key as a [View] saw it.
type KV struct {
	Key   string
	Value []byte
	Rev   Rev
}

// An Event is one committed transaction as [Driver.Watch] yields it. Its ops
// have the transaction's effect; a driver may name the keys that a range
// deleted one by one, and leave out what changed nothing.
type Event struct {
	Rev Rev
	Ops []Op
}

// An ID identifies a data directory or a cluster.
type ID [16]byte

// A State says whether a driver takes writes, and why not.
type State struct {
	Mode  Mode
	Cause error // nil while Writable
}

// A Mode is a driver's readiness to write.
type Mode uint8

// The modes of a driver.
const (
	Writable Mode = iota
	Full          // no space: writes are refused until space returns
	Failed        // nothing more is acknowledged until a restart has verified the data
)
