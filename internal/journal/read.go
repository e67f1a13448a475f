package journal

import (
	"fmt"
	"iter"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/snapshot"
)

// readMeta returns the meta of a store and its revision, or says why there is
// none.
func (j *Journal) readMeta(view View, id popkv.StoreID) (Meta, Rev, error) {
	m, rev, err := lookupMeta(view, id)
	if err != nil || rev != 0 {
		return m, rev, err
	}
	switch deleted, err := readTombstone(view, id); {
	case err != nil:
		return Meta{}, 0, err
	case deleted.IsZero() || j.now().Sub(deleted) >= tombstoneAge:
		return Meta{}, 0, storeNotFound()
	}
	return Meta{}, 0, wrongState()
}

// lookupMeta returns revision 0 for a store that is not there.
func lookupMeta(view View, id popkv.StoreID) (Meta, Rev, error) {
	key := metaKey(id)
	value, rev, err := view.Get(key)
	if err != nil || rev == 0 {
		return Meta{}, 0, err
	}
	_, payload, problem := unseal(key, value)
	if problem != "" {
		return Meta{}, 0, damaged(key, problem)
	}
	m, problem := decodeMeta(id, payload)
	if problem != "" {
		return Meta{}, 0, damaged(key, problem)
	}
	return m, rev, nil
}

// readState reads a store whole: meta, base generation and log tail, or only
// the tail that follows known. Everything is checked against meta.
func (j *Journal) readState(view View, id popkv.StoreID, known *Head) (*state, error) {
	m, rev, err := j.readMeta(view, id)
	if err != nil {
		return nil, err
	}
	if m.Status != popkv.Ready {
		return &state{&Head{m, snapshot.Empty(m.DigestKey)}, rev}, nil
	}
	items, err := readItems(view, &m, known)
	if err != nil {
		return nil, err
	}
	return &state{&Head{m, items}, rev}, nil
}

// readItems returns the content that m describes.
func readItems(view View, m *Meta, known *Head) (*snapshot.Snapshot, error) {
	base := m.base()
	var items *snapshot.Snapshot
	from, chain := base.Version, base.Chain
	if known != nil && known.follows(m) {
		items, from, chain = known.Items, known.Version, known.Chain
	} else {
		var err error
		if items, err = readGeneration(view, m, base); err != nil {
			return nil, err
		}
	}
	tail := change{}
	for rec, err := range readLog(view, m.Store, from+1, m.Version) {
		if err != nil {
			return nil, err
		}
		if problem := rec.follows(m.Lineage, from, chain); problem != "" {
			return nil, damaged(rec.key, problem)
		}
		tail.add(rec.Change)
		from, chain = rec.Version, snapshot.Chain(rec.raw)
	}
	if from != m.Version {
		return nil, damaged(logKey(m.Store, from+1), "the record is missing")
	}
	if chain != m.Chain {
		return nil, damaged(metaKey(m.Store), "the chain of records does not end in the hash that it names")
	}
	items = items.Apply(tail.merged())
	if problem := describes(m, items); problem != "" {
		return nil, damaged(metaKey(m.Store), problem)
	}
	return items, nil
}

// follows reports whether a load of m may start from h.
func (h *Head) follows(m *Meta) bool {
	base := m.base()
	return h.Lineage == m.Lineage && h.Version <= m.Version &&
		(h.Version > base.Version || h.Version == base.Version && h.Chain == base.Chain)
}

// describes says how items differ from what m claims of them.
func describes(m *Meta, items *snapshot.Snapshot) (problem string) {
	if items.Len() != m.Items || items.SizeBytes() != m.SizeBytes {
		return fmt.Sprintf("it counts %d items of %d bytes, the content has %d of %d",
			m.Items, m.SizeBytes, items.Len(), items.SizeBytes())
	}
	if items.Digest() != m.Digest {
		return "the content's digest is not the one that it names"
	}
	return ""
}

// A logRecord is a record as it lies in the log.
type logRecord struct {
	*snapshot.Record
	key string
	raw []byte
}

// follows says why rec cannot be the plain record after version and chain.
func (rec *logRecord) follows(lineage id128, version uint64, chain snapshot.Hash) (problem string) {
	switch {
	case rec.Version != version+1:
		return fmt.Sprintf("it follows version %d: a record is missing", version)
	case rec.Lineage != lineage:
		return "it is of another lineage"
	case rec.Prev != chain:
		return "it does not name the hash of the record before it"
	case rec.Kind != snapshot.Plain:
		return "it names a generation that meta does not start from"
	}
	return ""
}

// readLog yields the records of versions first to last that are there.
func readLog(view View, id popkv.StoreID, first, last uint64) iter.Seq2[*logRecord, error] {
	return func(yield func(*logRecord, error) bool) {
		if first > last {
			return
		}
		for kv, err := range view.Scan(logKey(id, first), logKey(id, last)+"\x00", 0) {
			if err != nil {
				yield(nil, err)
				return
			}
			rec, err := decodeLog(id, kv)
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// decodeLog opens one value of the log. The record keeps its own copy.
func decodeLog(id popkv.StoreID, kv KV) (*logRecord, error) {
	stamp, payload, problem := unseal(kv.Key, kv.Value)
	if problem != "" {
		return nil, damaged(kv.Key, problem)
	}
	raw := append([]byte(nil), payload...)
	rec, err := snapshot.DecodeRecord(raw)
	if err != nil {
		return nil, damaged(kv.Key, err.Error())
	}
	switch {
	case rec.Store != id || logKey(id, rec.Version) != kv.Key:
		problem = "it is the record of another store or version"
	case rec.CommitID != stamp:
		problem = "it does not carry its commit's id"
	}
	if problem != "" {
		return nil, damaged(kv.Key, problem)
	}
	return &logRecord{rec, kv.Key, raw}, nil
}

// readGeneration reads a snapshot at rest and checks it against its hash.
func readGeneration(view View, m *Meta, g *Generation) (*snapshot.Snapshot, error) {
	prefix := generationPrefix(m.Store, g.ID)
	if g.Chunks == 0 {
		if g.Hash != snapshot.GenerationHash(nil) {
			return nil, damaged(metaKey(m.Store), "it names chunks that it does not count")
		}
		return snapshot.Empty(m.DigestKey), nil
	}
	var failure error
	var hashes []snapshot.Hash
	chunks := func(yield func([]byte) bool) {
		for kv, err := range view.Scan(prefix, PrefixEnd(prefix), 0) {
			if err != nil {
				failure = err
				return
			}
			var payload []byte
			payload, failure = openChunk(kv, m.Store, g.ID, len(hashes))
			if failure != nil {
				return
			}
			hashes = append(hashes, snapshot.ChunkHash(payload))
			if !yield(payload) {
				return
			}
		}
	}
	items, err := snapshot.FromChunks(m.DigestKey, chunks)
	switch {
	case failure != nil:
		return nil, failure
	case err != nil:
		return nil, damaged(prefix, err.Error())
	case len(hashes) != g.Chunks:
		return nil, damaged(prefix, fmt.Sprintf("it has %d chunks, meta counts %d", len(hashes), g.Chunks))
	case snapshot.GenerationHash(hashes) != g.Hash:
		return nil, damaged(prefix, "the hash of its chunks is not the one that meta names")
	}
	return items, nil
}

// openChunk returns the n-th chunk of a generation, if kv is that.
func openChunk(kv KV, id popkv.StoreID, generation id128, n int) ([]byte, error) {
	if kv.Key != chunkKey(id, generation, uint32(n)) {
		return nil, damaged(chunkKey(id, generation, uint32(n)), "the chunk is missing")
	}
	stamp, payload, problem := unseal(kv.Key, kv.Value)
	if problem == "" && stamp != generation {
		problem = "it is the chunk of another generation"
	}
	if problem != "" {
		return nil, damaged(kv.Key, problem)
	}
	return payload, nil
}

// A change gathers the changes of several records into one.
type change struct{ last map[string]*string }

func (c *change) add(next snapshot.Change) {
	if c.last == nil {
		c.last = map[string]*string{}
	}
	for i := range next.Puts {
		c.last[next.Puts[i].Key] = &next.Puts[i].Value
	}
	for _, key := range next.Deletes {
		c.last[key] = nil
	}
}

func (c *change) merged() (all snapshot.Change) {
	for key, value := range c.last {
		if value == nil {
			all.Deletes = append(all.Deletes, key)
		} else {
			all.Puts = append(all.Puts, popkv.Item{Key: key, Value: *value})
		}
	}
	return all
}
