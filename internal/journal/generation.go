package journal

import (
	"context"
	"errors"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/snapshot"
)

const (
	// chunkBytes is the size of a snapshot chunk.
	chunkBytes = 64 << 10
	// stageBytes is about how much is staged in one call.
	stageBytes = 512 << 10
	// stageTries is how often a call whose answer was lost is made.
	stageTries = 3
	// maxGenerations bounds what one store keeps for its history; beyond it
	// history is shorter than asked for.
	maxGenerations = 8
)

// A draftGeneration is written but not yet named by any meta.
type draftGeneration struct {
	Generation
	intent Guard
}

// flip is what the commit that names the generation adds: its intent is still
// there and goes.
func (d *draftGeneration) flip() (Guard, Op) {
	return d.intent, Op{Kind: Delete, Key: d.intent.Key}
}

// draftOf writes items as a new generation of a store. First comes the intent,
// which keeps the sweeper away and guards every chunk; the commit that makes
// meta name the generation takes it away. A process that dies on the way
// leaves garbage that nobody sees.
func (j *Journal) draftOf(ctx context.Context, id popkv.StoreID, items *snapshot.Snapshot) (*draftGeneration, error) {
	d := &draftGeneration{Generation: Generation{ID: j.random()}}
	key := intentKey(id, d.ID)
	stamp := j.random()
	rev, err := j.settle(ctx, attempt{stamp: stamp, txn: Txn{
		Guards: []Guard{j.guardGate(), {Key: key}},
		Ops:    []Op{{Kind: Put, Key: key, Value: seal(key, stamp, nil)}},
	}})
	if err != nil {
		return nil, j.gateMoved(ctx, err)
	}
	d.intent = Guard{Key: key, Rev: rev}
	if err := j.stage(ctx, id, d, items); err != nil {
		j.abandon(ctx, id, d)
		return nil, err
	}
	return d, nil
}

// stage writes the chunks and fills in their number and hash.
func (j *Journal) stage(ctx context.Context, id popkv.StoreID, d *draftGeneration, items *snapshot.Snapshot) error {
	var hashes []snapshot.Hash
	var batch []Op
	bytes := 0
	flush := func() error {
		err := j.stageBatch(ctx, d.intent, batch)
		batch, bytes = nil, 0
		return err
	}
	for chunk := range snapshot.Chunks(items, chunkBytes) {
		key := chunkKey(id, d.ID, uint32(len(hashes)))
		hashes = append(hashes, snapshot.ChunkHash(chunk))
		batch = append(batch, Op{Kind: Put, Key: key, Value: seal(key, d.ID, chunk)})
		if bytes += len(chunk); bytes >= stageBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	d.Chunks = len(hashes)
	d.Hash = snapshot.GenerationHash(hashes)
	return nil
}

// stageBatch stages puts again after a lost answer: they are the same bytes
// under the same guard.
func (j *Journal) stageBatch(ctx context.Context, g Guard, puts []Op) (err error) {
	for range stageTries {
		err = j.drv.Stage(ctx, g, puts)
		if err == nil || errors.Is(err, ErrGuard) || errors.Is(err, ErrRefused) || errors.Is(err, ErrFailed) {
			break
		}
		sleep(ctx, resendPause)
	}
	return err
}

// abandon gives a draft up: without its intent it is the sweeper's.
func (j *Journal) abandon(ctx context.Context, id popkv.StoreID, d *draftGeneration) {
	_, err := j.send(ctx, Txn{Guards: []Guard{d.intent}, Ops: []Op{{Kind: Delete, Key: d.intent.Key}}})
	if err != nil && !errors.Is(err, ErrGuard) {
		// It goes with this process: intents do not outlive it.
		j.log.Warn("an abandoned generation stays until the next start", "store", id.String(), "error", err.Error())
	}
	j.addChore(id, choreSweep)
}

// gateMoved turns a false guard of a commit that guards nothing contended into
// the reason.
func (j *Journal) gateMoved(ctx context.Context, err error) error {
	if !errors.Is(err, ErrGuard) || errors.Is(err, errInDoubt) {
		return err
	}
	if gateErr := j.look(ctx, j.passGate); gateErr != nil {
		return gateErr
	}
	return err
}

// reset commits rec as a record that replaces the content by a new generation.
func (j *Journal) reset(ctx context.Context, s *store, st *state, rec *snapshot.Record, items *snapshot.Snapshot) (*state, error) {
	d, err := j.draftOf(ctx, s.id, items)
	if err != nil {
		return nil, err
	}
	rec.Generation = d.ID
	raw := rec.Encode()
	guard, gone := d.flip()
	next, err := j.advance(ctx, s, st, step{
		stamp:  rec.CommitID,
		guards: []Guard{guard},
		ops:    []Op{putRecord(rec, raw), gone},
		next: func(h *Head) (*Head, bool) {
			return &Head{j.resetMeta(h.Meta, rec, raw, d.Generation), items}, fits(rec, h)
		},
	})
	if err != nil {
		if !errors.Is(err, errInDoubt) {
			j.abandon(ctx, s.id, d)
		}
		return nil, err
	}
	j.count.resets.Add(1)
	j.addChore(s.id, choreSweep)
	return next, nil
}

// resetMeta returns the meta that goes with a reset record.
func (j *Journal) resetMeta(m Meta, rec *snapshot.Record, raw []byte, g Generation) Meta {
	m = m.after(rec, raw)
	m.LogBytes = 0
	g.Reset, g.Version, g.Chain, g.Records, g.Time = true, m.Version, m.Chain, m.Records, rec.Time
	m.Generations = j.keep(m.Generations, g)
	return m
}

// keep returns the generations that a store keeps once g is its newest: the
// oldest, which history begins with; every reset since, because its record
// names it; one fold between, which history will begin with later; and g.
//
// History begins with the oldest generation that still has a successor inside
// the window, so it reaches back at least as far as it should.
func (j *Journal) keep(old []Generation, g Generation) []Generation {
	all := make([]Generation, 0, len(old)+1)
	folds := 0
	for i, o := range old {
		if i > 0 && !o.Reset {
			if folds++; folds > 1 {
				continue
			}
		}
		all = append(all, o)
	}
	all = append(all, g)
	for len(all) > 1 && (len(all) > maxGenerations || j.expired(&all[1], &g)) {
		all = all[1:]
	}
	return all
}

// expired reports whether history need not reach back before a generation.
func (j *Journal) expired(o, newest *Generation) bool {
	return newest.Records-o.Records >= uint64(j.o.HistoryVersions) ||
		o.Time.Before(j.now().Add(-j.o.HistoryAge))
}

// Import gives a PROVISIONING store its content and makes it READY. items must
// be built with the store's [Meta.DigestKey]. alongside, which may be nil, adds
// catalog changes to the same commit (the control record, the job) and may run
// several times.
//
// Nobody sees anything of items before all of it is durable, and a crash
// leaves the store PROVISIONING. The version stays what it was, and so do
// Created and LastModified, which are equal (docs/divergence.md).
//
// Import fails like [Journal.Head], with [popkv.WrongState] when the store is
// not PROVISIONING, with alongside's error as it is, and like
// [Journal.Update] with [popkv.Unavailable].
func (j *Journal) Import(ctx context.Context, id popkv.StoreID, principal string, items *snapshot.Snapshot, alongside func(*Tx) error) error {
	m, err := j.Meta(ctx, id)
	if err != nil {
		return err
	}
	if m.Status != popkv.Provisioning {
		return wrongState()
	}
	if items.Key() != m.DigestKey {
		return popkv.Errorf(popkv.Internal, "the items were built with another store's digest key")
	}
	d, err := j.draftOf(ctx, id, items)
	if err != nil {
		return unavailable(err)
	}
	err = j.Catalog(ctx, func(tx *Tx) error {
		m, there, err := tx.Meta(id)
		if err != nil {
			return err
		}
		if !there || m.Status != popkv.Provisioning {
			return wrongState()
		}
		if alongside != nil {
			if err := alongside(tx); err != nil {
				return err
			}
		}
		return tx.fill(m, principal, items, d)
	})
	if err != nil && !errors.Is(err, errInDoubt) {
		j.abandon(ctx, id, d)
	}
	return err
}

// fill adds to the transaction what makes m, a store without content, READY.
// Its first record has the version that the empty store has shown so far.
func (tx *Tx) fill(m Meta, principal string, items *snapshot.Snapshot, d *draftGeneration) error {
	rec := tx.j.record(&m, principal, items)
	rec.Kind, rec.Generation = snapshot.Reset, d.ID
	rec.Version, rec.CommitID = m.Version, tx.stamp
	rec.Time = later(tx.now, m.RecordTime)
	raw := rec.Encode()
	created := m.LastModified
	m.Generations = nil
	m = tx.j.resetMeta(m, rec, raw, d.Generation)
	m.Status, m.LastModified = popkv.Ready, created
	guard, gone := d.flip()
	tx.guards = append(tx.guards, guard)
	tx.ops = append(tx.ops, putRecord(rec, raw), gone)
	return tx.putMeta(m)
}

// tombstoneAge is how long a deleted store is told from one that never was.
const tombstoneAge = 24 * time.Hour
