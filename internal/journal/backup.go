package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/popkv/popkv"
)

// BackupOptions change what [Journal.Backup] does; the zero value works.
type BackupOptions struct {
	Progress func(done, total int) // called after each store

	// Drop is asked about a store that cannot be copied, whether to leave it
	// out as if it had been deleted meanwhile. nil: never, the backup fails.
	Drop func(id popkv.StoreID, cause error) bool
}

// backupKinds are the kinds of record that the catalog part of a backup holds.
const backupKinds = catalogKinds + "t"

// Backup writes everything to w while the journal serves: the catalog as of
// one moment, then each store with its history as of its own, later moment.
// Each store is checked on the way; damage ends the backup with
// [popkv.Internal], because a backup must not be a copy of damage, unless
// [BackupOptions.Drop] leaves the store out.
//
// Errors of w are returned as they are.
func (j *Journal) Backup(ctx context.Context, w io.Writer, o BackupOptions) (Manifest, error) {
	manifest := Manifest{Created: j.now(), Stores: []StoreEntry{}}
	var catalog []KV
	var stores []popkv.StoreID
	waiting := map[popkv.StoreID]*storeView{} // stores that were not READY
	err := j.look(ctx, func(view View) error {
		catalog, stores = nil, nil
		clear(waiting)
		return j.inventory(view, &catalog, &stores, waiting)
	})
	if err != nil {
		return manifest, err
	}
	f := newFrameWriter(w)
	for _, kv := range catalog {
		f.record(kv.Key, kv.Value)
	}
	manifest.CatalogRecords = len(catalog)
	for n, id := range stores {
		if err := context.Cause(ctx); err != nil {
			return manifest, err
		}
		entry, err := j.backupStore(ctx, f, id, waiting[id])
		switch {
		case f.err != nil:
			return manifest, f.err
		case err != nil && o.Drop != nil && o.Drop(id, err):
			manifest.Dropped = append(manifest.Dropped, id.String())
		case err != nil:
			return manifest, err
		case entry == nil:
			manifest.Dropped = append(manifest.Dropped, id.String())
		default:
			manifest.Stores = append(manifest.Stores, *entry)
		}
		if o.Progress != nil {
			o.Progress(n+1, len(stores))
		}
	}
	return manifest, f.end(&manifest)
}

// inventory gathers the catalog part and the stores of one view.
//
// A store that is not READY in it is taken from it whole (it has only a meta):
// were it taken later, its content could be there while the catalog still says
// that its import is to come.
func (j *Journal) inventory(view View, catalog *[]KV, stores *[]popkv.StoreID, waiting map[popkv.StoreID]*storeView) error {
	for _, kind := range backupKinds + "m" {
		prefix := string(kind) + "/"
		for kv, err := range view.Scan(prefix, PrefixEnd(prefix), 0) {
			if err != nil {
				return err
			}
			if _, _, problem := unseal(kv.Key, kv.Value); problem != "" {
				return damaged(kv.Key, problem)
			}
			kv.Key, kv.Value = strings.Clone(kv.Key), slices.Clone(kv.Value)
			if kind != 'm' {
				*catalog = append(*catalog, kv)
				continue
			}
			id, ok := storeOfKey(kv.Key)
			if !ok {
				return damaged(kv.Key, "this is no store's key")
			}
			m, _, err := lookupMeta(&storeView{records: []KV{kv}}, id)
			if err != nil {
				return err
			}
			*stores = append(*stores, id)
			if m.Status != popkv.Ready {
				waiting[id] = &storeView{id: id, records: []KV{kv}}
			}
		}
	}
	return nil
}

// backupStore writes one store; its entry is nil if the store is gone.
func (j *Journal) backupStore(ctx context.Context, f *frameWriter, id popkv.StoreID, waiting *storeView) (*StoreEntry, error) {
	if waiting != nil {
		return copyStore(waiting, f, id)
	}
	var entry *StoreEntry
	err := j.look(ctx, func(view View) (err error) {
		entry, err = copyStore(view, f, id)
		return err
	})
	return entry, err
}

// copyStore checks a store and writes what its meta refers to.
func copyStore(view View, f *frameWriter, id popkv.StoreID) (*StoreEntry, error) {
	m, rev, err := lookupMeta(view, id)
	if err != nil || rev == 0 {
		return nil, err
	}
	if err := checkStore(view, id); err != nil {
		return nil, err
	}
	f.frame(frameStore, id[:])
	spans := [][2]string{{chunksPrefix(id), PrefixEnd(chunksPrefix(id))},
		{logKey(id, m.Generations[0].Version), PrefixEnd(logPrefix(id))},
		{metaKey(id), metaKey(id) + "\x00"}}
	for _, span := range spans {
		for kv, err := range view.Scan(span[0], span[1], 0) {
			if err != nil {
				return nil, err
			}
			if g, ok := generationOfKey(kv.Key); kv.Key[0] == 'c' && (!ok || !m.names(g)) {
				continue // being written, or garbage
			}
			f.record(kv.Key, kv.Value)
			if f.err != nil {
				return nil, f.err
			}
		}
	}
	f.frame(frameStoreEnd)
	entry := entryOf(&m)
	return &entry, nil
}

// checkStore walks a store's history and returns the first thing that is wrong.
func checkStore(view View, id popkv.StoreID) error {
	var r Report
	if err := r.store(view, id); err != nil {
		return err
	}
	if !r.OK() {
		first := r.Findings[0]
		return popkv.Wrap(popkv.Internal, &Damage{Record: first.Record, Problem: first.Problem},
			fmt.Sprintf("store %s is damaged: run popkv verify", id))
	}
	return nil
}

// VerifyBackup reads a backup to its end and checks it as [Verify] checks a
// data directory, and against its manifest and its hash. It restores nothing
// and keeps one store in memory at a time. Any difference fails with
// [popkv.Invalid].
func VerifyBackup(ctx context.Context, r io.Reader) (Manifest, error) {
	c := newBackupCheck()
	m, err := readBackup(ctx, r, c)
	if err == nil {
		err = c.against(&m)
	}
	return m, err
}

// A backupCheck checks what a backup holds by itself and then against its
// manifest.
type backupCheck struct {
	catalog int
	named   map[string]bool // by control records
	entries map[string]StoreEntry
}

func newBackupCheck() *backupCheck {
	return &backupCheck{named: map[string]bool{}, entries: map[string]StoreEntry{}}
}

func (c *backupCheck) catalogRecord(_ context.Context, kv KV) error {
	if len(kv.Key) < 3 || kv.Key[1] != '/' || !strings.Contains(backupKinds, kv.Key[:1]) {
		return badBackup("a catalog record of an unknown kind")
	}
	if _, _, problem := unseal(kv.Key, kv.Value); problem != "" {
		return badBackup("record %s: %s", keyText(kv.Key), problem)
	}
	if id, ok := storeOfKey(kv.Key); ok && kv.Key[0] == 'k' {
		c.named[id.String()] = true
	}
	c.catalog++
	return nil
}

func (c *backupCheck) store(_ context.Context, view *storeView) error {
	m, rev, err := lookupMeta(view, view.id)
	if err == nil {
		err = checkStore(view, view.id)
	}
	var d *Damage
	switch {
	case errors.As(err, &d):
		return badBackup("record %s: %s", d.Record, d.Problem)
	case err != nil:
		return err
	case rev == 0 || c.entries[view.id.String()].ID != "":
		return badBackup("store %s has no meta or comes twice", view.id)
	}
	c.entries[view.id.String()] = entryOf(&m)
	return nil
}

// against compares what was read with what the manifest lists.
func (c *backupCheck) against(m *Manifest) error {
	if c.catalog != m.CatalogRecords || len(c.entries) != len(m.Stores) {
		return badBackup("it holds %d catalog records and %d stores, the manifest lists %d and %d",
			c.catalog, len(c.entries), m.CatalogRecords, len(m.Stores))
	}
	for _, entry := range m.Stores {
		if c.entries[entry.ID] != entry {
			return badBackup("store %s is not as the manifest lists it", entry.ID)
		}
		delete(c.named, entry.ID)
	}
	for _, id := range m.Dropped {
		delete(c.named, id)
	}
	for id := range c.named {
		return badBackup("store %s has a control record but no content", id)
	}
	return nil
}
