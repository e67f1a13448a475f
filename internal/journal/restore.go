package journal

import (
	"context"
	"io"
	"slices"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/snapshot"
)

// RestoreOptions are what the owners of catalog records add to a restore.
type RestoreOptions struct {
	Options // of the journal that writes; Logger and the budgets are not used

	// Raise returns a catalog record with its version counters raised by jump,
	// so that no ETag of the other plane is handed out twice. nil, and a nil
	// value, leave records as they are.
	Raise func(key string, value []byte, jump uint64) ([]byte, error)

	// Forget removes what the catalog says of a store that was deleted while
	// the backup was made: name, counter and associations, in as many
	// transactions as it says there is more for. nil deletes only the control
	// record and the import job.
	Forget func(tx *Tx, id popkv.StoreID) (more bool, err error)

	Progress func(stores int) // called after each store
}

// restorePrincipal is whom the record of a restore names: the account itself.
func restorePrincipal(account string) string {
	return popkv.Caller{Account: account, User: popkv.RootUser}.ARN()
}

// RestoreTo writes a backup into an empty storage. Each store gets a new
// lineage, and its version, like every counter that Raise knows, rises by one
// random jump in [2^40, 2^41): no ETag that was handed out after the backup was
// made can be handed out again for other content. History is kept.
//
// While it runs, and for ever if it fails, the storage refuses to be opened.
// It fails with [popkv.Invalid] for a storage that holds anything and for a
// backup with any flaw.
func RestoreTo(ctx context.Context, r io.Reader, drv Driver, o RestoreOptions) (Manifest, error) {
	j := newJournal(drv, o.Options)
	re := &restore{j: j, o: o, backupCheck: newBackupCheck()}
	if err := re.begin(ctx); err != nil {
		return Manifest{}, err
	}
	m, err := readBackup(ctx, r, re)
	if err == nil {
		err = re.flush(ctx)
	}
	if err == nil {
		err = re.against(&m)
	}
	for _, text := range m.Dropped {
		if err == nil {
			err = re.forget(ctx, text)
		}
	}
	if err == nil {
		err = re.end(ctx)
	}
	return m, err
}

// A restore is told what the backup holds, checks it and writes it.
type restore struct {
	*backupCheck
	j    *Journal
	o    RestoreOptions
	jump uint64
	ops  []Op // catalog records not yet committed
	size int
}

// begin sees that the storage is empty and closes its gate to others.
func (re *restore) begin(ctx context.Context) error {
	j := re.j
	err := j.look(ctx, func(view View) error {
		key, err := firstKey(view, "", "")
		if err == nil && key != "" {
			err = popkv.Errorf(popkv.Invalid, "the storage is not empty: a backup is restored into a new one only")
		}
		return err
	})
	if err != nil {
		return err
	}
	random := j.random()
	for _, b := range random[:5] {
		re.jump = re.jump<<8 | uint64(b)
	}
	re.jump += 1 << 40
	return re.gate(ctx, Guard{Key: gateKey}, phaseRestoring)
}

// end opens the gate.
func (re *restore) end(ctx context.Context) error {
	return re.gate(ctx, re.j.guardGate(), phaseOpen)
}

func (re *restore) gate(ctx context.Context, guard Guard, phase gatePhase) error {
	j := re.j
	g := gate{Format: format, MinReader: format, Identity: j.drv.Identity(), Phase: phase}
	stamp := j.random()
	rev, err := j.settle(ctx, attempt{stamp: stamp, txn: Txn{
		Guards: []Guard{guard},
		Ops:    []Op{{Kind: Put, Key: gateKey, Value: seal(gateKey, stamp, g.encode())}},
	}})
	if err != nil {
		return unavailable(err)
	}
	j.gateRev.Store(uint64(rev))
	return nil
}

// catalogRecord raises a record and gathers it for the next commit.
func (re *restore) catalogRecord(ctx context.Context, kv KV) error {
	if err := re.backupCheck.catalogRecord(ctx, kv); err != nil {
		return err
	}
	_, payload, _ := unseal(kv.Key, kv.Value)
	if re.o.Raise != nil && isCatalogKey(kv.Key) {
		raised, err := re.o.Raise(kv.Key, slices.Clone(payload), re.jump)
		if err != nil {
			return err
		}
		if raised != nil {
			payload = raised
		}
	}
	op := Op{Kind: Put, Key: kv.Key, Value: seal(kv.Key, re.j.random(), payload)}
	if n := len(op.Key) + len(op.Value); len(re.ops) == MaxOps || re.size+n > stageBytes {
		if err := re.flush(ctx); err != nil {
			return err
		}
	}
	re.ops = append(re.ops, op)
	re.size += len(op.Key) + len(op.Value)
	return nil
}

// flush commits the gathered records. The gate is the only guard, so to send
// it twice puts the same twice.
func (re *restore) flush(ctx context.Context) error {
	if len(re.ops) == 0 {
		return nil
	}
	err := re.commit(ctx, re.j.random(), Txn{Ops: re.ops})
	re.ops, re.size = nil, 0
	return err
}

func (re *restore) commit(ctx context.Context, stamp id128, t Txn) error {
	t.Guards = append([]Guard{re.j.guardGate()}, t.Guards...)
	if _, err := re.j.settle(ctx, attempt{stamp: stamp, txn: t}); err != nil {
		return unavailable(err)
	}
	return nil
}

// store checks a store and writes it with its history, and on top a record
// that begins the new lineage.
func (re *restore) store(ctx context.Context, view *storeView) error {
	if err := re.backupCheck.store(ctx, view); err != nil {
		return err
	}
	m, _, err := lookupMeta(view, view.id)
	if err != nil {
		return err
	}
	if m.Status == popkv.Ready {
		err = re.content(ctx, view, m)
	} else {
		m.Lineage = re.j.random()
		m.Version += re.jump
		m.begin()
		stamp := re.j.random()
		err = re.commit(ctx, stamp, Txn{
			Guards: []Guard{{Key: metaKey(m.Store)}},
			Ops:    []Op{putMeta(metaKey(m.Store), &m, stamp)},
		})
	}
	if err == nil && re.o.Progress != nil {
		re.o.Progress(len(re.entries))
	}
	return err
}

// content restores a store with items.
func (re *restore) content(ctx context.Context, view *storeView, m Meta) error {
	j := re.j
	items, err := readItems(view, &m, nil)
	if err != nil {
		return err
	}
	d, err := j.draftOf(ctx, m.Store, items)
	if err != nil {
		return unavailable(err)
	}
	rec := j.record(&m, restorePrincipal(m.Account), items)
	rec.Kind, rec.Generation = snapshot.Reset, d.ID
	rec.Lineage, rec.Version = j.random(), m.Version+re.jump
	modified := m.LastModified
	m.Lineage = rec.Lineage
	raw := rec.Encode()
	m = j.resetMeta(m, rec, raw, d.Generation)
	m.LastModified = modified // the content is as old as it was
	if err := re.history(ctx, view, &m); err != nil {
		return err
	}
	guard, gone := d.flip()
	return re.commit(ctx, rec.CommitID, Txn{
		Guards: []Guard{{Key: metaKey(m.Store)}, guard},
		Ops:    []Op{putMeta(metaKey(m.Store), &m, rec.CommitID), putRecord(rec, raw), gone},
	})
}

// history copies the generations that m still names, and the records since
// the oldest of them, as they were.
func (re *restore) history(ctx context.Context, view *storeView, m *Meta) error {
	var puts []Op
	size := 0
	for _, kv := range view.records {
		switch kv.Key[0] {
		case 'c':
			if g, _ := generationOfKey(kv.Key); !m.names(g) {
				continue
			}
		case 'l':
			if kv.Key < logKey(m.Store, m.Generations[0].Version) {
				continue
			}
		default:
			continue
		}
		puts = append(puts, Op{Kind: Put, Key: kv.Key, Value: kv.Value})
		if size += len(kv.Value); size >= stageBytes {
			if err := re.j.stageBatch(ctx, re.j.guardGate(), puts); err != nil {
				return unavailable(err)
			}
			puts, size = nil, 0
		}
	}
	if err := re.j.stageBatch(ctx, re.j.guardGate(), puts); err != nil {
		return unavailable(err)
	}
	return nil
}

// forget makes the catalog agree that a store is gone.
func (re *restore) forget(ctx context.Context, text string) error {
	id, ok := popkv.ParseStoreID(text)
	if !ok {
		return badBackup("the manifest drops %q, which is no store", text)
	}
	for more := re.o.Forget != nil; more; {
		err := re.j.Catalog(ctx, func(tx *Tx) (err error) {
			more, err = re.o.Forget(tx, id)
			return err
		})
		if err != nil {
			return err
		}
	}
	return re.j.Catalog(ctx, func(tx *Tx) error {
		tx.Delete(ControlKey(id))
		tx.Delete(ImportJobKey(id))
		return nil
	})
}
