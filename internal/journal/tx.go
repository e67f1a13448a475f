package journal

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/snapshot"
)

// A Tx is a catalog transaction as [Journal.Catalog] runs it. It is used by
// one goroutine and not after fn has returned. What it reads are its own
// changes and beneath them one consistent view. An error of one method is kept
// and returned by Catalog, so those without a result need not be checked.
type Tx struct {
	j      *Journal
	view   View
	stamp  id128
	now    time.Time
	reads  map[string]Rev    // guarded
	writes map[string][]byte // payloads; nil: delete
	guards []Guard           // beside reads
	ops    []Op              // beside writes
	drops  []popkv.StoreID
	err    error
}

// Now is the transaction's time in UTC, in whole milliseconds: the same for
// all that it changes.
func (tx *Tx) Now() time.Time { return tx.now }

// Get returns the value of a catalog key and whether there is one. The commit
// fails its guard if that changes. The caller may keep the value.
func (tx *Tx) Get(key string) (value []byte, ok bool, err error) {
	if !isCatalogKey(key) {
		return nil, false, tx.fail(misuse("%q is no catalog key", key))
	}
	return tx.get(key)
}

// Put sets a catalog record. Like a read it is guarded: it replaces only what
// the transaction's view shows.
func (tx *Tx) Put(key string, value []byte) {
	if !isCatalogKey(key) {
		tx.fail(misuse("%q is no catalog key", key))
		return
	}
	tx.put(key, append([]byte{}, value...))
}

// Delete removes a catalog record, if it is there.
func (tx *Tx) Delete(key string) {
	if !isCatalogKey(key) {
		tx.fail(misuse("%q is no catalog key", key))
		return
	}
	tx.put(key, nil)
}

// Scan calls fn for each catalog record of the view with from <= key < end, at
// most limit (0: all). It sees none of the transaction's changes and guards
// nothing: a decision must rest on what Get and Meta return.
func (tx *Tx) Scan(from, end string, limit int, fn func(key string, value []byte) error) error {
	return tx.fail(scanCatalog(tx.view, from, end, limit, fn))
}

// Meta returns a store's meta and whether the store is there; it is guarded,
// data writes included.
func (tx *Tx) Meta(id popkv.StoreID) (Meta, bool, error) {
	key := metaKey(id)
	payload, ok, err := tx.get(key)
	if err != nil || !ok {
		return Meta{}, false, err
	}
	m, problem := decodeMeta(id, payload)
	if problem != "" {
		return Meta{}, false, tx.fail(damaged(key, problem))
	}
	return m, true, nil
}

// NewStore makes an empty store at version 1 and returns its id. Created and
// LastModified are the transaction's time.
func (j *Journal) NewStore(tx *Tx, account string, status popkv.Status) popkv.StoreID {
	id := popkv.StoreID(j.random())
	id[6] = id[6]&0x0f | 0x40 // a version 4 UUID
	id[8] = id[8]&0x3f | 0x80
	m := Meta{
		Store:        id,
		Account:      account,
		Lineage:      j.random(),
		DigestKey:    j.random(),
		Status:       status,
		Version:      1,
		Created:      tx.now,
		LastModified: tx.now,
		RecordTime:   tx.now,
	}
	m.begin()
	tx.putMeta(m)
	return id
}

// begin makes m a store without content or records.
func (m *Meta) begin() {
	m.Chain = snapshot.Genesis(m.Store, m.Lineage)
	m.Generations = []Generation{{
		Version: m.Version,
		Chain:   m.Chain,
		Time:    m.RecordTime,
		Hash:    snapshot.GenerationHash(nil),
	}}
}

// SetStatus rewrites a store's status. It fails with [popkv.WrongState] when
// the store is not there: it was deleted meanwhile.
func (tx *Tx) SetStatus(id popkv.StoreID, status popkv.Status, reason string) error {
	m, ok, err := tx.Meta(id)
	if err != nil {
		return err
	}
	if !ok {
		return tx.fail(wrongState())
	}
	m.Status, m.FailureReason = status, reason
	return tx.putMeta(m)
}

// DropStore deletes a store: its meta goes, a tombstone tells for 24 hours that
// it was there, and the sweeper takes its log and chunks. The catalog's records
// of the store are the caller's to delete. It fails with [popkv.WrongState]
// when the store is not there.
func (tx *Tx) DropStore(id popkv.StoreID) error {
	_, ok, err := tx.Meta(id)
	if err != nil {
		return err
	}
	if !ok {
		return tx.fail(wrongState())
	}
	tx.put(metaKey(id), nil)
	key := tombKey(id)
	tx.ops = append(tx.ops, Op{Kind: Put, Key: key, Value: seal(key, tx.stamp, encodeTombstone(tx.now))})
	tx.drops = append(tx.drops, id)
	return tx.err
}

func (tx *Tx) putMeta(m Meta) error {
	tx.put(metaKey(m.Store), m.encode())
	return tx.err
}

// fail keeps the first error.
func (tx *Tx) fail(err error) error {
	if tx.err == nil {
		tx.err = err
	}
	return err
}

func (tx *Tx) get(key string) ([]byte, bool, error) {
	if tx.err != nil {
		return nil, false, tx.err
	}
	if payload, ok := tx.writes[key]; ok {
		return slices.Clone(payload), payload != nil, nil
	}
	value, rev, err := tx.view.Get(key)
	if err != nil {
		return nil, false, tx.fail(err)
	}
	tx.reads[key] = rev
	if rev == 0 {
		return nil, false, nil
	}
	_, payload, problem := unseal(key, value)
	if problem != "" {
		return nil, false, tx.fail(damaged(key, problem))
	}
	return slices.Clone(payload), true, nil
}

// put gathers a write; nil deletes. A key that was not read yet is read, so
// that it is guarded: only then does the same commit sent twice apply once.
func (tx *Tx) put(key string, payload []byte) {
	if _, read := tx.reads[key]; !read {
		if _, _, err := tx.get(key); err != nil {
			return
		}
	}
	tx.writes[key] = payload
}

// commit returns what the transaction comes to; nil if it changes nothing.
func (tx *Tx) commit() (*catalogCommit, error) {
	c := &catalogCommit{attempt: attempt{stamp: tx.stamp}, dropped: tx.drops}
	puts := 0
	for _, key := range slices.Sorted(mapKeys(tx.writes)) {
		payload := tx.writes[key]
		switch {
		case payload != nil:
			c.txn.Ops = append(c.txn.Ops, Op{Kind: Put, Key: key, Value: seal(key, tx.stamp, payload)})
			puts++
		case tx.reads[key] != 0:
			c.txn.Ops = append(c.txn.Ops, Op{Kind: Delete, Key: key})
		default:
			continue // it is not there
		}
		if id, ok := storeOfKey(key); ok && key[0] == 'm' {
			c.stores = append(c.stores, id)
		}
	}
	c.txn.Ops = append(c.txn.Ops, tx.ops...)
	if len(c.txn.Ops) == 0 {
		return nil, nil
	}
	if puts == 0 {
		// Something must bear the stamp that tells this commit from others.
		c.txn.Ops = append(c.txn.Ops, Op{Kind: Put, Key: markKey, Value: seal(markKey, tx.stamp, nil)})
	}
	c.txn.Guards = append(c.txn.Guards, tx.j.guardGate())
	for _, key := range slices.Sorted(mapKeys(tx.reads)) {
		c.txn.Guards = append(c.txn.Guards, Guard{Key: key, Rev: tx.reads[key]})
	}
	c.txn.Guards = append(c.txn.Guards, tx.guards...)
	if err := c.txn.Check(); err != nil {
		return nil, misuse("a catalog transaction is too big: %v", err)
	}
	return c, nil
}

func mapKeys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }

func encodeTombstone(deleted time.Time) []byte {
	var w fieldWriter
	w.uint(tombstoneLayout)
	w.time(deleted)
	return w.b
}

const tombstoneLayout = 1

// readTombstone returns when a store was deleted, or the zero time.
func readTombstone(view View, id popkv.StoreID) (time.Time, error) {
	key := tombKey(id)
	value, rev, err := view.Get(key)
	if err != nil || rev == 0 {
		return time.Time{}, err
	}
	return decodeTombstone(key, value)
}

func decodeTombstone(key string, value []byte) (time.Time, error) {
	_, payload, problem := unseal(key, value)
	if problem != "" {
		return time.Time{}, damaged(key, problem)
	}
	r := fieldReader{b: payload}
	layout, deleted := r.uint(), r.time()
	if layout != tombstoneLayout || !r.done() {
		return time.Time{}, damaged(key, "the tombstone cannot be read")
	}
	return deleted, nil
}
