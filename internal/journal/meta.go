package journal

import (
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/snapshot"
)

// A Meta is what is known of a store without its items. It is the record that
// guards every write: version v and its log record are written in one step.
type Meta struct {
	Store     popkv.StoreID
	Account   string
	Lineage   [16]byte           // random; a restored backup is a new lineage
	DigestKey snapshot.DigestKey // secret: never leaves the origin

	Status        popkv.Status
	FailureReason string // of an import
	Version       uint64 // the data plane's ETag in disguise
	Items         int
	SizeBytes     int64 // TotalSizeInBytes
	Digest        snapshot.Digest
	Chain         snapshot.Hash // of the newest record, or the genesis hash
	Created       time.Time     // milliseconds, UTC
	LastModified  time.Time     // of the last effective write; Created before it and after an import

	RecordTime time.Time // of the newest record; the next is no earlier
	Records    uint64    // effective writes in the store's life; unlike Version it never jumps
	LogBytes   int64     // of the records after the newest generation

	// Generations are the snapshots that are kept, oldest first. A load starts
	// from the newest; history from the oldest and its reset records find
	// theirs here. Never empty.
	Generations []Generation
}

// A Generation is a snapshot at rest, in numbered chunks. The empty content
// of a new store has an id of zeros and no chunks.
type Generation struct {
	ID      [16]byte
	Version uint64        // content after this version's record
	Chain   snapshot.Hash // of that record
	Records uint64        // Meta.Records then
	Time    time.Time     // of that record
	Reset   bool          // the record of that version names this generation
	Chunks  int
	Hash    snapshot.Hash // snapshot.GenerationHash of the chunks' hashes
}

// metaLayout is the first field of a stored Meta.
const metaLayout = 1

// base is the generation that a load starts from.
func (m *Meta) base() *Generation { return &m.Generations[len(m.Generations)-1] }

// names reports whether m refers to a generation.
func (m *Meta) names(generation id128) bool {
	for i := range m.Generations {
		if m.Generations[i].ID == generation {
			return true
		}
	}
	return false
}

// after returns the meta that goes with rec, whose stored bytes are raw.
func (m Meta) after(rec *snapshot.Record, raw []byte) Meta {
	m.Version = rec.Version
	m.Items = rec.Items
	m.SizeBytes = rec.SizeBytes
	m.Digest = rec.Digest
	m.Chain = snapshot.Chain(raw)
	m.RecordTime = rec.Time
	m.LastModified = rec.Time
	m.Records++
	m.LogBytes += int64(len(raw))
	return m
}

// encode returns the payload of m/S. The store's id is the key's.
func (m *Meta) encode() []byte {
	w := fieldWriter{b: make([]byte, 0, 256+128*len(m.Generations))}
	w.uint(metaLayout)
	w.text(m.Account)
	w.raw(m.Lineage[:])
	w.raw(m.DigestKey[:])
	w.text(string(m.Status))
	w.text(m.FailureReason)
	w.uint(m.Version)
	w.uint(uint64(m.Items))
	w.uint(uint64(m.SizeBytes))
	w.raw(m.Digest[:])
	w.raw(m.Chain[:])
	w.time(m.Created)
	w.time(m.LastModified)
	w.time(m.RecordTime)
	w.uint(m.Records)
	w.uint(uint64(m.LogBytes))
	w.uint(uint64(len(m.Generations)))
	for i := range m.Generations {
		g := &m.Generations[i]
		w.raw(g.ID[:])
		w.uint(g.Version)
		w.raw(g.Chain[:])
		w.uint(g.Records)
		w.time(g.Time)
		w.uint(flag(g.Reset))
		w.uint(uint64(g.Chunks))
		w.raw(g.Hash[:])
	}
	return w.b
}

func flag(set bool) uint64 {
	if set {
		return 1
	}
	return 0
}

// decodeMeta reads the payload of m/S; the problem is in words.
func decodeMeta(id popkv.StoreID, payload []byte) (m Meta, problem string) {
	r := fieldReader{b: payload}
	if r.uint() != metaLayout {
		return m, "the meta record is of an unknown layout"
	}
	m.Store = id
	m.Account = r.text()
	r.raw(m.Lineage[:])
	r.raw(m.DigestKey[:])
	m.Status = popkv.Status(r.text())
	m.FailureReason = r.text()
	m.Version = r.uint()
	m.Items = r.count()
	m.SizeBytes = int64(r.count())
	r.raw(m.Digest[:])
	r.raw(m.Chain[:])
	m.Created = r.time()
	m.LastModified = r.time()
	m.RecordTime = r.time()
	m.Records = r.uint()
	m.LogBytes = int64(r.count())
	n := r.uint()
	for range min(n, maxGenerations) {
		var g Generation
		r.raw(g.ID[:])
		g.Version = r.uint()
		r.raw(g.Chain[:])
		g.Records = r.uint()
		g.Time = r.time()
		g.Reset = r.uint() == 1
		g.Chunks = r.count()
		r.raw(g.Hash[:])
		m.Generations = append(m.Generations, g)
	}
	if !r.done() || n == 0 || m.base().Version > m.Version {
		return Meta{}, "the meta record cannot be read"
	}
	return m, ""
}
