package controlplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// A store that is not READY at once has a job record until it is READY or
// IMPORT_FAILURE; the record goes in the same transaction. The process whose
// random name is in the record works on it, and every step that counts guards
// the record. So a job left behind by a crash is taken up by the next start,
// and a process that was paused meanwhile cannot finish it a second time, nor
// into a store that was deleted.

// maxAttempts is how many processes take up a job that is due before it is given
// up as failed: an import that kills its process must not do so for ever.
const maxAttempts = 5

// Why a job ends without an outcome.
var (
	errDeleted = errors.New("the store was deleted")
	errTaken   = errors.New("the job is done or another process works on it")
)

// jobs are the jobs of this process.
type jobs struct {
	owner string
	slots chan struct{} // held while importing
	wake  chan struct{} // has one element while added may be non-empty

	mu      sync.Mutex
	added   []started // not yet begun
	cancels map[popkv.StoreID]context.CancelCauseFunc
}

// A started job is one that this process owns.
type started struct {
	id  popkv.StoreID
	job job
}

func newJobs(owner string, concurrent int) *jobs {
	return &jobs{
		owner:   owner,
		slots:   make(chan struct{}, concurrent),
		wake:    make(chan struct{}, 1),
		cancels: map[popkv.StoreID]context.CancelCauseFunc{},
	}
}

// add hands a job to Run, in place of the same store's if that has not begun.
func (js *jobs) add(id popkv.StoreID, j job) {
	js.mu.Lock()
	js.added = slices.DeleteFunc(js.added, func(s started) bool { return s.id == id })
	js.added = append(js.added, started{id, j})
	js.mu.Unlock()
	select {
	case js.wake <- struct{}{}:
	default:
	}
}

func (js *jobs) take() []started {
	js.mu.Lock()
	defer js.mu.Unlock()
	added := js.added
	js.added = nil
	return added
}

// begin returns the context that cancel ends.
func (js *jobs) begin(ctx context.Context, id popkv.StoreID) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	js.mu.Lock()
	js.cancels[id] = cancel
	js.mu.Unlock()
	return ctx, func() {
		js.mu.Lock()
		delete(js.cancels, id)
		js.mu.Unlock()
		cancel(nil)
	}
}

// cancel ends the work on a store that was deleted.
func (js *jobs) cancel(id popkv.StoreID) {
	js.mu.Lock()
	cancel := js.cancels[id]
	js.mu.Unlock()
	if cancel != nil {
		cancel(errDeleted)
	}
}

// Run brings stores from PROVISIONING to READY or IMPORT_FAILURE: those that
// are created from now on, and before them those that another process left
// behind, whose imports begin anew. It returns when ctx has ended and all
// work has stopped; what is unfinished is taken up by the next Run.
func (s *Service) Run(ctx context.Context) error {
	var working sync.WaitGroup
	defer working.Wait()
	err := s.persist(ctx, s.o.Logger, func() error { return s.adopt(ctx) })
	for err == nil {
		for _, j := range s.jobs.take() {
			working.Go(func() { s.provision(ctx, j.id, j.job) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.jobs.wake:
		}
	}
	return nil // ctx has ended
}

// adopt takes up every job of another process. Processes are not told apart
// by whether they live: where one works on a job that is taken from it, its
// work is lost and nothing else.
func (s *Service) adopt(ctx context.Context) error {
	var left []popkv.StoreID
	err := s.j.Catalog(ctx, func(tx *journal.Tx) (err error) {
		left, err = s.leftBehind(tx)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range left {
		var taken job
		err := s.j.Catalog(ctx, func(tx *journal.Tx) error {
			key := journal.ImportJobKey(id)
			j, ok, err := get[job](tx, key)
			if err != nil {
				return err
			}
			if !ok || j.Owner == s.jobs.owner {
				return errTaken
			}
			j.Owner = s.jobs.owner
			if !time.UnixMilli(j.ReadyMS).After(tx.Now()) { // else nobody had begun
				j.Attempts++
			}
			j.Items, j.SizeBytes = 0, 0 // it begins anew
			tx.Put(key, encode(j))
			taken = j
			return nil
		})
		if errors.Is(err, errTaken) {
			continue
		}
		// Where the outcome is unknown the job may be this process's by now, and
		// the next look would pass it over.
		if err == nil || popkv.KindOf(err) == popkv.Unavailable {
			s.jobs.add(id, taken)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// leftBehind returns the stores whose jobs are another process's.
func (s *Service) leftBehind(tx *journal.Tx) (left []popkv.StoreID, err error) {
	prefix := journal.ImportJobPrefix()
	err = tx.Scan(prefix, journal.PrefixEnd(prefix), 0, func(key string, value []byte) error {
		j, _, err := decode[job](key, value)
		if err != nil {
			return err
		}
		id, ok := popkv.ParseStoreID(key[len(prefix):])
		if !ok {
			return fmt.Errorf("catalog record %s: no store id", key)
		}
		if j.Owner != s.jobs.owner {
			left = append(left, id)
		}
		return nil
	})
	return left, err
}

// provision brings one store to its final status.
func (s *Service) provision(ctx context.Context, id popkv.StoreID, j job) {
	ctx, done := s.jobs.begin(ctx, id)
	defer done()
	log := s.o.Logger.With("store", id.String())
	err := s.o.Until(ctx, time.UnixMilli(j.ReadyMS))
	switch {
	case err != nil:
	case j.Source != "":
		err = s.importInto(ctx, log, id, j)
	default:
		err = s.persist(ctx, log, func() error {
			return s.j.Catalog(ctx, func(tx *journal.Tx) error {
				if err := s.settle(tx, id, popkv.Ready); err != nil {
					return err
				}
				return tx.SetStatus(id, popkv.Ready, "")
			})
		})
	}
	if err != nil {
		log.Debug("provisioning ended without outcome", "err", err)
	}
}

// settle gives the store its final status in the control record and removes
// the job. The meta's status changes in the same transaction.
func (s *Service) settle(tx *journal.Tx, id popkv.StoreID, status popkv.Status) error {
	j, ok, err := get[job](tx, journal.ImportJobKey(id))
	if err != nil {
		return err
	}
	c, found, err := get[control](tx, journal.ControlKey(id))
	if err != nil {
		return err
	}
	if !ok || !found || j.Owner != s.jobs.owner {
		return errTaken
	}
	c.Status = status
	c.change(tx.Now())
	tx.Put(journal.ControlKey(id), encode(c))
	tx.Delete(journal.ImportJobKey(id))
	return nil
}

// persist repeats step until it succeeds, another process or a delete has made
// it pointless, or ctx has ended. Storage may be unable to say for a while.
func (s *Service) persist(ctx context.Context, log *slog.Logger, step func() error) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		err := step()
		switch kind := popkv.KindOf(err); {
		case err == nil, errors.Is(err, errTaken), kind == popkv.StoreNotFound, kind == popkv.WrongState:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		log.Warn("provisioning waits for storage", "err", err)
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}

// wait waits for d, or returns why ctx has ended.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
