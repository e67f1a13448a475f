package journal

import "sync/atomic"

// counters count since the start.
type counters struct {
	commits, conflicts, resolved, resets atomic.Uint64
	loads, evictions, folds, swept       atomic.Uint64
	inDoubt                              atomic.Int64
}

// Stats are figures for metrics: the first group is how things stand, the
// second counts since Open.
type Stats struct {
	ResidentStores int
	ResidentBytes  int64 // loads under way included
	BudgetBytes    int64
	InDoubt        int // stores, and the catalog, that await a commit's outcome

	Commits   uint64 // rewrites of a store's meta: writes, resets and folds
	Conflicts uint64 // times a change started again because another was faster
	Resolved  uint64 // lost answers whose outcome was learned
	Resets    uint64 // changes written as a new generation
	Loads     uint64
	Evictions uint64
	Folds     uint64
	Swept     uint64 // keys deleted by the sweeper
}

// Stats returns the journal's figures.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	s := Stats{
		ResidentStores: len(j.memory.ring),
		ResidentBytes:  j.memory.used,
		BudgetBytes:    j.memory.budget,
	}
	j.mu.Unlock()
	s.InDoubt = int(j.count.inDoubt.Load())
	if j.catalog.open.Load() {
		s.InDoubt++
	}
	s.Commits = j.count.commits.Load()
	s.Conflicts = j.count.conflicts.Load()
	s.Resolved = j.count.resolved.Load()
	s.Resets = j.count.resets.Load()
	s.Loads = j.count.loads.Load()
	s.Evictions = j.count.evictions.Load()
	s.Folds = j.count.folds.Load()
	s.Swept = j.count.swept.Load()
	return s
}
