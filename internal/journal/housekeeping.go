package journal

import (
	"context"
	"time"

	"github.com/popkv/popkv"
)

// What a store may need done in the background.
const (
	choreFold   = 1 << iota // write a new base generation
	choreSweep              // delete what meta names no more
	choreSettle             // learn the outcome of a write
)

// housekeepingPause is how often chores that failed are tried again, tombstones
// looked at, and one resident store counted anew.
const housekeepingPause = 10 * time.Second

// addChore asks housekeeping to look after a store.
func (j *Journal) addChore(id popkv.StoreID, what int) {
	j.mu.Lock()
	j.chores[id] |= what
	j.mu.Unlock()
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// keepHouse is the journal's one goroutine.
func (j *Journal) keepHouse(ctx context.Context) {
	tick := time.NewTicker(housekeepingPause)
	defer tick.Stop()
	swept := false // what an earlier process left behind
	for round := 0; ; {
		if !swept {
			swept = j.report(ctx, "sweep after start", j.sweepAll(ctx))
		}
		j.doChores(ctx)
		select {
		case <-j.wake:
		case <-tick.C:
			j.report(ctx, "sweep tombstones", j.sweepTombstones(ctx))
			j.report(ctx, "settle the catalog", j.settleCatalog(ctx))
			j.scrub(round)
			round++
		case <-ctx.Done():
			return
		}
	}
}

// doChores does what is to be done now. What fails stays for the next round.
func (j *Journal) doChores(ctx context.Context) {
	j.mu.Lock()
	todo := j.chores
	j.chores = map[popkv.StoreID]int{}
	j.mu.Unlock()
	for id, what := range todo {
		if ctx.Err() != nil {
			return
		}
		failed := 0
		if what&choreSettle != 0 && !j.report(ctx, "settle", j.settleStore(ctx, id)) {
			failed |= choreSettle
		}
		if what&choreFold != 0 && !j.report(ctx, "fold", j.fold(ctx, id)) {
			failed |= choreFold
		}
		if what&choreSweep != 0 && !j.report(ctx, "sweep", j.sweep(ctx, id)) {
			failed |= choreSweep
		}
		if failed != 0 {
			j.mu.Lock()
			j.chores[id] |= failed
			j.mu.Unlock()
		}
	}
}

// report logs the failure of a chore and says whether there was none.
func (j *Journal) report(ctx context.Context, chore string, err error) bool {
	if err != nil && ctx.Err() == nil {
		j.log.Warn("housekeeping will be tried again", "chore", chore, "error", err.Error())
	}
	return err == nil
}

// settleStore learns the outcome of a store's write without waiting for the
// next one.
func (j *Journal) settleStore(ctx context.Context, id popkv.StoreID) error {
	s := j.pin(id)
	defer j.unpin(s)
	if err := s.turn.take(ctx); err != nil {
		return err
	}
	defer s.turn.release()
	return j.clearDoubt(ctx, s)
}

// settleCatalog does the same for the catalog.
func (j *Journal) settleCatalog(ctx context.Context) error {
	if !j.catalog.open.Load() {
		return nil
	}
	if err := j.catalog.turn.take(ctx); err != nil {
		return err
	}
	defer j.catalog.turn.release()
	return j.clearCatalogDoubt(ctx)
}

// scrub counts one resident store anew, another in each round. If memory is
// damaged, the store is read from the driver again.
func (j *Journal) scrub(round int) {
	j.mu.Lock()
	var s *store
	if n := len(j.memory.ring); n > 0 {
		s = j.memory.ring[round%n]
	}
	j.mu.Unlock()
	if s == nil {
		return
	}
	st := s.state.Load()
	if st == nil {
		return
	}
	if problem := recount(st.head); problem != "" {
		j.log.Error("memory is damaged; the store is read again", "store", s.id.String(), "error", problem)
		j.withdraw(s, 0)
	}
}
