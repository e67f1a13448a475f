package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/popkv/popkv"
)

// The gate is a guard of every commit. Whoever rewrites it (a newer version
// that raises the format, a migration that seals its source, a restore that
// ends) fences every process that read the gate before.
type gate struct {
	Format    uint64 // of everything stored here
	MinReader uint64 // the oldest format number whose readers understand it
	Identity  ID     // of the driver that this was written through
	Phase     gatePhase
}

type gatePhase uint64

const (
	phaseOpen      gatePhase = iota
	phaseSealed              // moved elsewhere: no more writes
	phaseRestoring           // a restore began and has not ended
)

// format is what this version writes and the newest that it reads.
const format = 1

const gateLayout = 1

func (g gate) encode() []byte {
	var w fieldWriter
	w.uint(gateLayout)
	w.uint(g.Format)
	w.uint(g.MinReader)
	w.raw(g.Identity[:])
	w.uint(uint64(g.Phase))
	return w.b
}

// decodeGate reads a stored gate and says whether this version may pass it.
func decodeGate(value []byte, identity ID) (gate, error) {
	_, payload, problem := unseal(gateKey, value)
	if problem != "" {
		return gate{}, damaged(gateKey, problem)
	}
	r := fieldReader{b: payload}
	layout := r.uint()
	g := gate{Format: r.uint(), MinReader: r.uint()}
	if layout != gateLayout || g.MinReader > format {
		return g, popkv.Errorf(popkv.Unavailable,
			"the data was written by a newer popkv (format %d, this version reads up to %d)", g.Format, format)
	}
	r.raw(g.Identity[:])
	g.Phase = gatePhase(r.uint())
	switch {
	case !r.done():
		return g, damaged(gateKey, "the gate cannot be read")
	case g.Identity != identity:
		return g, popkv.Errorf(popkv.Unavailable,
			"the data belongs to another data directory or cluster (it says %x, this is %x)", g.Identity, identity)
	case g.Phase == phaseRestoring:
		return g, popkv.Errorf(popkv.Unavailable,
			"a restore into this storage did not end: empty it and restore again")
	case g.Phase == phaseSealed:
		return g, popkv.Wrap(popkv.Unavailable, ErrRefused, "the data has been moved elsewhere and is sealed")
	}
	return g, nil
}

// enterGate reads the gate at the start, and makes it when nothing is stored.
func (j *Journal) enterGate(ctx context.Context) error {
	for range 2 {
		view, err := j.drv.View(ctx)
		if err != nil {
			return unreadable(err)
		}
		value, rev, err := view.Get(gateKey)
		view.Close()
		if err != nil {
			return unreadable(err)
		}
		if rev != 0 {
			if _, err := decodeGate(value, j.drv.Identity()); err != nil {
				return err
			}
			j.gateRev.Store(uint64(rev))
			return nil
		}
		g := gate{Format: format, MinReader: format, Identity: j.drv.Identity()}
		stamp := j.random()
		rev, err = j.settle(ctx, attempt{stamp: stamp, txn: Txn{
			Guards: []Guard{{Key: gateKey}},
			Ops:    []Op{{Kind: Put, Key: gateKey, Value: seal(gateKey, stamp, g.encode())}},
		}})
		if err == nil {
			j.gateRev.Store(uint64(rev))
			return nil
		}
		if !errors.Is(err, ErrGuard) {
			return unavailable(err)
		}
	}
	return unavailable(fmt.Errorf("%w: the gate keeps changing", ErrGuard))
}

// guardGate is the guard of every commit.
func (j *Journal) guardGate() Guard {
	return Guard{Key: gateKey, Rev: Rev(j.gateRev.Load())}
}

// passGate looks at the gate again after a guard did not hold.
func (j *Journal) passGate(view View) error {
	value, rev, err := view.Get(gateKey)
	if err != nil {
		return unreadable(err)
	}
	if uint64(rev) == j.gateRev.Load() {
		return nil
	}
	if _, err := decodeGate(value, j.drv.Identity()); err != nil {
		return err
	}
	j.gateRev.Store(uint64(rev))
	return nil
}
