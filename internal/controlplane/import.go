package controlplane

import (
	"context"
	"errors"
	"log/slog"
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
	Reason string        // of a failure; only when Done
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
	snap, failure := s.load(ctx, log, id, j, &last)
	if ctx.Err() != nil {
		return context.Cause(ctx) // deleted or shutting down: no failure of the document
	}
	var err error
	if failure == nil {
		err = s.fill(ctx, log, id, j.Principal, snap)
	} else {
		err = s.giveUp(ctx, log, id, failure)
	}
	if err != nil {
		return err
	}
	last.Done, last.Took = true, s.o.Now().Sub(begin)
	log = log.With("bytes", last.Bytes, "items", last.Items, "duration_ms", last.Took.Milliseconds())
	if failure == nil {
		log.Info("import finished")
	} else {
		last.Reason = string(s3import.ReasonOf(failure))
		log.Warn("import failed", "err", failure)
	}
	s.o.Progress(last)
	return nil
}

// fill makes the store READY with the items of snap.
func (s *Service) fill(ctx context.Context, log *slog.Logger, id popkv.StoreID, principal string, snap *snapshot.Snapshot) error {
	err := s.persist(ctx, log, func() error {
		return s.j.Import(ctx, id, principal, snap, func(tx *journal.Tx) error {
			return s.settle(tx, id, popkv.Ready)
		})
	})
	if popkv.KindOf(err) == popkv.WrongState {
		// Nothing is left to do, because it was deleted, or because an attempt
		// whose outcome was unknown did succeed.
		if meta, metaErr := s.j.Meta(ctx, id); metaErr == nil && meta.Status == popkv.Ready {
			return nil
		}
	}
	return err
}

// giveUp makes the store IMPORT_FAILURE and says why.
func (s *Service) giveUp(ctx context.Context, log *slog.Logger, id popkv.StoreID, failure error) error {
	return s.persist(ctx, log, func() error {
		return s.j.Catalog(ctx, func(tx *journal.Tx) error {
			if err := s.settle(tx, id, popkv.ImportFailure); err != nil {
				return err
			}
			return tx.SetStatus(id, popkv.ImportFailure, string(s3import.ReasonOf(failure)))
		})
	})
}

// load reads the document into a snapshot. Its errors are the document's, but
// for the end of ctx.
func (s *Service) load(ctx context.Context, log *slog.Logger, id popkv.StoreID, j job, last *ImportProgress) (*snapshot.Snapshot, error) {
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
	return s3import.Load(ctx, s.o.Source, location, meta.DigestKey, s.o.Limits, func(stats s3import.Stats) {
		last.Bytes, last.Items = stats.Bytes, stats.Items
		s.o.Progress(*last)
	})
}
