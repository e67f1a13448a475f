package journal

import (
	"context"
	"time"

	"github.com/popkv/popkv"
)

// What a store may need done in the background.
const (
	choreFold  = 1 << iota // write a new base generation
	choreSweep             // delete what meta names no more
)

// housekeepingPause is how often chores that failed are tried again and
// tombstones looked at.
const housekeepingPause = time.Minute

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
	for {
		if !swept {
			swept = j.report(ctx, "sweep after start", j.sweepAll(ctx))
		}
		j.doChores(ctx)
		select {
		case <-j.wake:
		case <-tick.C:
			j.report(ctx, "sweep tombstones", j.sweepTombstones(ctx))
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
