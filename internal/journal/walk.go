package journal

import (
	"fmt"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/snapshot"
)

// store checks one store as one view shows it. A store whose meta is gone has
// only garbage left.
func (r *Report) store(view View, id popkv.StoreID) error {
	m, rev, err := lookupMeta(view, id)
	if err != nil {
		r.Stores++
		return r.note(err)
	}
	if rev == 0 {
		return r.garbage(view, id, nil)
	}
	r.Stores++
	w := walk{r: r, view: view, m: &m}
	if err := w.run(); err != nil {
		return err
	}
	if w.items != nil {
		n, size, _ := w.items.Recount()
		r.Items += int64(n)
		r.SizeBytes += size
	}
	return r.garbage(view, id, &m)
}

// garbage counts chunks of generations that m does not name, and records
// before its history.
func (r *Report) garbage(view View, id popkv.StoreID, m *Meta) error {
	for kv, err := range view.Scan(chunksPrefix(id), PrefixEnd(chunksPrefix(id)), 0) {
		if err != nil {
			return err
		}
		if g, ok := generationOfKey(kv.Key); !ok {
			r.add(kv.Key, "a key that names no generation")
		} else if m == nil || !m.names(g) {
			r.Garbage++
		}
	}
	end := PrefixEnd(logPrefix(id))
	if m != nil {
		end = logKey(id, m.Generations[0].Version)
	}
	for _, err := range view.Scan(logPrefix(id), end, 0) {
		if err != nil {
			return err
		}
		r.Garbage++
	}
	return nil
}

// A walk goes through a store's history from its oldest generation to its
// head, making the content of every version on the way.
type walk struct {
	r    *Report
	view View
	m    *Meta

	items   *snapshot.Snapshot // nil after damage, until the next generation
	version uint64
	chain   snapshot.Hash
	linked  bool // version and chain are known: no damage since
	lineage id128
	begun   bool  // lineage is known
	first   bool  // the record of the oldest generation was there
	tail    int64 // bytes of the records after the newest generation
}

func (w *walk) run() error {
	if w.m.Status != popkv.Ready && (w.m.Items != 0 || w.m.Records != 0) {
		w.r.add(metaKey(w.m.Store), "the store is not READY but has content")
	}
	first := &w.m.Generations[0]
	if err := w.load(first); err != nil {
		return err
	}
	w.version, w.chain, w.linked = first.Version, first.Chain, true
	for kv, err := range w.view.Scan(logKey(w.m.Store, first.Version), PrefixEnd(logPrefix(w.m.Store)), 0) {
		if err != nil {
			return err
		}
		rec, err := decodeLog(w.m.Store, kv)
		if err != nil {
			w.items, w.linked = nil, false
			if err := w.r.note(err); err != nil {
				return err
			}
			continue
		}
		w.r.Records++
		if err := w.step(rec); err != nil {
			return err
		}
	}
	w.end()
	return nil
}

// step checks that a record follows, and goes to the version that it makes.
func (w *walk) step(rec *logRecord) error {
	first := &w.m.Generations[0]
	if rec.Version == first.Version {
		// The record that made the oldest content.
		if snapshot.Chain(rec.raw) != first.Chain {
			w.r.add(rec.key, "it is not the record that the oldest generation names")
		}
		w.lineage, w.begun, w.first = rec.Lineage, true, true
		w.compare(rec)
		return nil
	}
	if rec.Version > w.m.Version {
		w.r.add(rec.key, fmt.Sprintf("it is newer than meta, which is at version %d", w.m.Version))
		return nil
	}
	if rec.Version > w.m.base().Version {
		w.tail += int64(len(rec.raw))
	}
	if problem := w.misfit(rec); problem != "" {
		w.r.add(rec.key, problem)
		w.items = nil
	}
	switch {
	case rec.Kind == snapshot.Reset:
		if err := w.reset(rec); err != nil {
			return err
		}
	case w.items != nil:
		w.items = w.items.Apply(rec.Change)
	}
	w.version, w.chain, w.linked = rec.Version, snapshot.Chain(rec.raw), true
	w.lineage, w.begun = rec.Lineage, true
	w.compare(rec)
	return w.folded()
}

// misfit says why rec cannot follow the record before it. Only the reset that
// begins a new lineage, when a backup is restored, may jump over versions.
func (w *walk) misfit(rec *logRecord) string {
	begins := rec.Kind == snapshot.Reset && (!w.begun || rec.Lineage != w.lineage)
	switch {
	case w.begun && !begins && rec.Lineage != w.lineage:
		return "it is of another lineage"
	case w.linked && !begins && rec.Version != w.version+1:
		return fmt.Sprintf("it follows version %d: a record is missing", w.version)
	case w.linked && rec.Prev != w.chain:
		return "it does not name the hash of the record before it"
	}
	return ""
}

// reset goes to the generation that a reset record names.
func (w *walk) reset(rec *logRecord) error {
	for i := range w.m.Generations {
		g := &w.m.Generations[i]
		if g.ID == rec.Generation && g.Reset && g.Version == rec.Version {
			return w.load(g)
		}
	}
	w.r.add(rec.key, "meta does not have the generation that it names")
	w.items = nil
	return nil
}

// folded checks a generation that was folded at the version just reached.
func (w *walk) folded() error {
	for i := range w.m.Generations {
		g := &w.m.Generations[i]
		if g.Version != w.version || g.Reset || i == 0 {
			continue
		}
		if g.Chain != w.chain {
			w.r.add(metaKey(w.m.Store), fmt.Sprintf("the generation of version %d names another record", g.Version))
		}
		replayed := w.items
		if err := w.load(g); err != nil {
			return err
		}
		if replayed != nil && w.items != nil && replayed.Digest() != w.items.Digest() {
			w.r.add(generationPrefix(w.m.Store, g.ID), "its content is not what the records make")
		}
	}
	return nil
}

// load takes a generation's content.
func (w *walk) load(g *Generation) (err error) {
	w.r.Generations++
	if w.items, err = readGeneration(w.view, w.m, g); err != nil {
		return w.r.note(err)
	}
	return nil
}

// compare holds the content to what the record says of it.
func (w *walk) compare(rec *logRecord) {
	if w.items == nil {
		return
	}
	if w.items.Len() != rec.Items || w.items.SizeBytes() != rec.SizeBytes || w.items.Digest() != rec.Digest {
		w.r.add(rec.key, "the content after it is not what it says")
		w.items = nil
	}
}

// end compares where the log has led with what meta says.
func (w *walk) end() {
	key, first := metaKey(w.m.Store), &w.m.Generations[0]
	switch {
	case first.Records > 0 && !w.first:
		w.r.add(logKey(w.m.Store, first.Version), "the record of the oldest generation is missing")
	case w.version != w.m.Version:
		w.r.add(logKey(w.m.Store, w.m.Version), fmt.Sprintf("the records end with version %d", w.version))
	case w.linked && w.chain != w.m.Chain:
		w.r.add(key, "the chain of records does not end in the hash that it names")
	case w.begun && w.lineage != w.m.Lineage:
		w.r.add(key, "the newest record is of another lineage")
	case w.tail != w.m.LogBytes:
		w.r.add(key, fmt.Sprintf("it counts %d bytes of records since its newest generation, there are %d", w.m.LogBytes, w.tail))
	case w.items != nil:
		if problem := recount(&Head{*w.m, w.items}); problem != "" {
			w.r.add(key, problem)
		}
	}
}
