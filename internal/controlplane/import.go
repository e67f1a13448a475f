package controlplane

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/s3import"
	"github.com/popkv/popkv/internal/snapshot"
)

// An ImportProgress says how far one import is.
type ImportProgress struct {
	Store  popkv.StoreID
	Bytes  int64 // of the document, read so far
	Items  int   // read so far
	Done   bool
	Reason string        // of a failure, or why there is no outcome (the store was deleted); only when Done
	Took   time.Duration // since the reading began; only when Done
}

var errTimeout = errors.New("the import took too long")

// importInto imports the job's document; whatever happens to the document ends
// in READY or IMPORT_FAILURE. Until that transaction the store is empty and
// PROVISIONING.
func (s *Service) importInto(ctx context.Context, log *slog.Logger, id popkv.StoreID, j job) error {
	select {
	case s.jobs.slots <- struct{}{}:
		defer func() { <-s.jobs.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	begin := s.o.Now()
	last := ImportProgress{Store: id}
	log.Info("import started", "source", j.Source, "attempt", j.Attempts)
	var read atomic.Pointer[s3import.Stats]
	stop := s.note(ctx, log, id, &read)
	snap, failure := s.load(ctx, log, id, j, func(stats s3import.Stats) {
		last.Bytes, last.Items = stats.Bytes, stats.Items
		read.Store(&stats)
		s.o.Progress(last)
	})
	stop()
	err := s.conclude(ctx, log, id, j, snap, failure)
	last.Done, last.Took = true, s.o.Now().Sub(begin)
	log = log.With("bytes", last.Bytes, "items", last.Items, "duration_ms", last.Took.Milliseconds())
	switch {
	case err != nil:
		last.Reason = err.Error()
	case failure != nil:
		last.Reason = string(s3import.ReasonOf(failure))
		log.Warn("import failed", "err", failure)
	default:
		log.Info("import finished")
	}
	s.o.Progress(last)
	return err
}

// conclude makes of the store what the reading came to.
func (s *Service) conclude(ctx context.Context, log *slog.Logger, id popkv.StoreID, j job, snap *snapshot.Snapshot, failure error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx) // deleted or shutting down: no failure of the document
	case failure != nil:
		return s.giveUp(ctx, log, id, failure)
	}
	return s.fill(ctx, log, id, j.Principal, snap)
}

// fill makes the store READY with the items of snap.
func (s *Service) fill(ctx context.Context, log *slog.Logger, id popkv.StoreID, principal string, snap *snapshot.Snapshot) error {
	err := s.persist(ctx, log, func() error {
		return s.j.Import(ctx, id, principal, snap, func(tx *journal.Tx) error {
			return s.settle(tx, id, popkv.Ready)
		})
	})
	return s.unless(ctx, err, id, popkv.Ready)
}

// unless returns err of a step that was to make the store that status, unless
// it is that: an attempt whose outcome was unknown did succeed.
func (s *Service) unless(ctx context.Context, err error, id popkv.StoreID, status popkv.Status) error {
	if errors.Is(err, errTaken) || popkv.KindOf(err) == popkv.WrongState {
		if meta, metaErr := s.j.Meta(ctx, id); metaErr == nil && meta.Status == status {
			return nil
		}
	}
	return err
}

// giveUp makes the store IMPORT_FAILURE and says why.
func (s *Service) giveUp(ctx context.Context, log *slog.Logger, id popkv.StoreID, failure error) error {
	err := s.persist(ctx, log, func() error {
		return s.j.Catalog(ctx, func(tx *journal.Tx) error {
			if err := s.settle(tx, id, popkv.ImportFailure); err != nil {
				return err
			}
			return tx.SetStatus(id, popkv.ImportFailure, string(s3import.ReasonOf(failure)))
		})
	})
	return s.unless(ctx, err, id, popkv.ImportFailure)
}

// load reads the document into a snapshot. Its errors are the document's, but
// for the end of ctx.
func (s *Service) load(ctx context.Context, log *slog.Logger, id popkv.StoreID, j job, progress func(s3import.Stats)) (*snapshot.Snapshot, error) {
	if j.Attempts > maxAttempts {
		return nil, errors.New("the import was begun too often and never ended")
	}
	if s.o.Source == nil {
		return nil, errors.New("nowhere to import from: set --s3-endpoint or --import-dir")
	}
	location, err := s3import.ParseLocation(j.Source)
	if err != nil {
		return nil, err
	}
	var meta journal.Meta
	err = s.persist(ctx, log, func() (err error) {
		meta, err = s.j.Meta(ctx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.ImportTimeout, errTimeout)
	defer cancel()
	return s3import.Load(ctx, s.o.Source, location, meta.DigestKey, s.o.Limits, progress)
}

// noteEvery is how often an import's progress is written down.
const noteEvery = time.Second

// note writes what was read so far into the log and into the job's record, where
// every process finds it, until stop is called. It has a goroutine of its own so that slow
// storage does not hold up the reading; a note that cannot be written is left
// out.
func (s *Service) note(ctx context.Context, log *slog.Logger, id popkv.StoreID, read *atomic.Pointer[s3import.Stats]) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var noting sync.WaitGroup
	noting.Go(func() {
		var noted *s3import.Stats
		for wait(ctx, noteEvery) == nil {
			stats := read.Load()
			if stats == noted {
				continue
			}
			if err := s.noteOnce(ctx, id, stats); err != nil {
				log.Debug("the progress of an import was not noted", "err", err)
				continue
			}
			noted = stats
			log.Info("import goes on", "bytes", stats.Bytes, "items", stats.Items)
		}
	})
	return func() {
		cancel()
		noting.Wait()
	}
}

func (s *Service) noteOnce(ctx context.Context, id popkv.StoreID, stats *s3import.Stats) error {
	return s.j.Catalog(ctx, func(tx *journal.Tx) error {
		key := journal.ImportJobKey(id)
		j, ok, err := get[job](tx, key)
		if err != nil {
			return err
		}
		if !ok || j.Owner != s.jobs.owner {
			return errTaken
		}
		j.Items, j.SizeBytes = stats.Items, stats.ItemBytes
		tx.Put(key, encode(j))
		return nil
	})
}
