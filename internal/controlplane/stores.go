package controlplane

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/s3import"
)

// A Store is what the control plane shows of a store.
type Store struct {
	ID           popkv.StoreID
	Account      string
	Name         string
	Comment      *string // nil: never set
	Status       popkv.Status
	LastModified time.Time // milliseconds, UTC; not moved by data writes
	Version      uint64
}

// ARN names the store.
func (s Store) ARN() string { return popkv.StoreARN(s.Account, s.ID).String() }

// ETag is the control plane's.
func (s Store) ETag() string { return popkv.ControlETag(s.Version) }

func (c *control) show(id popkv.StoreID) Store {
	return Store{
		ID: id, Account: c.Account, Name: c.Name, Comment: c.Comment, Status: c.Status,
		LastModified: time.UnixMilli(c.ModifiedMS).UTC(), Version: c.Version,
	}
}

// A NewStore is the input of Create.
type NewStore struct {
	Name    string
	Comment *string
	Import  *ImportSource
	Tags    []Tag
}

// An ImportSource says where the first items are.
type ImportSource struct {
	Type string // "S3"
	ARN  string // arn:aws:s3:::BUCKET/KEY
}

// Location checks the source and takes it apart: a type other than S3 and an
// ARN of another form are [popkv.Invalid].
func (i *ImportSource) Location() (s3import.Location, error) {
	if i.Type != "S3" {
		return s3import.Location{}, popkv.Errorf(popkv.Invalid, "the SourceType is not S3")
	}
	return s3import.ParseLocation(i.ARN)
}

// maxComment is the longest comment, in characters (documented).
const maxComment = 128

func checkName(name string) error {
	if !popkv.IsName(name) {
		return popkv.Errorf(popkv.Invalid, "1 validation error detected: Value at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9-_]{1,64}")
	}
	return nil
}

func checkComment(comment *string) error {
	if comment != nil && utf8.RuneCountInString(*comment) > maxComment {
		return popkv.Errorf(popkv.Invalid, "1 validation error detected: Value at 'comment' failed to satisfy constraint: Member must have length less than or equal to %d", maxComment)
	}
	return nil
}

// Create makes a store. The answer always says PROVISIONING and version 1;
// without an import and without a delay the store is READY, at version 2, when
// Create returns. Otherwise that happens later, see [Service.Run].
//
// Failures, in order: [popkv.Invalid], [popkv.Unsupported] (an import where
// none is set up), [popkv.StoreExists], [popkv.StoreCountQuota],
// [popkv.ImportSizeQuota] (only where the size is known at once).
//
// Source: CloudFront CreateKeyValueStore (documented); the order is assumed,
// see docs/operations/create-key-value-store.md.
func (s *Service) Create(ctx context.Context, caller popkv.Caller, in NewStore) (Store, error) {
	tags, err := s.checkNew(in)
	if err != nil {
		return Store{}, err
	}
	var j *job
	var tooLarge error
	if in.Import != nil {
		location, err := s.source(in.Import)
		if err != nil {
			return Store{}, err
		}
		if size, ok := s.o.Source.Size(location); ok && size > s.o.Limits.ImportBytes {
			tooLarge = popkv.Errorf(popkv.ImportSizeQuota, "the import document is larger than %d bytes", s.o.Limits.ImportBytes)
		}
	}
	if in.Import != nil || s.o.DelayTransientStatuses > 0 {
		j = &job{Principal: caller.ARN(), Owner: s.jobs.owner, Attempts: 1}
		if in.Import != nil {
			j.Source = in.Import.ARN
		}
	}
	var created Store
	err = s.j.Catalog(ctx, func(tx *journal.Tx) error {
		c := &control{
			Account: caller.Account, Name: in.Name, Comment: in.Comment, Tags: tags,
			Status: popkv.Provisioning, Version: 1, CreateVersion: 1, ModifiedMS: tx.Now().UnixMilli(),
		}
		if err := s.reserve(tx, c, tooLarge); err != nil {
			return err
		}
		if j == nil {
			c.Status = popkv.Ready
			c.change(tx.Now())
		}
		id := s.j.NewStore(tx, c.Account, c.Status)
		tx.Put(journal.NameKey(c.Account, c.Name), encode(named{Store: id.String()}))
		tx.Put(journal.ControlKey(id), encode(c))
		if j != nil {
			j.ReadyMS = tx.Now().Add(s.o.DelayTransientStatuses).UnixMilli()
			tx.Put(journal.ImportJobKey(id), encode(j))
		}
		created = c.show(id)
		return nil
	})
	// Where the outcome is unknown the store may exist, and somebody has to
	// bring it to READY.
	if j != nil && (err == nil || popkv.KindOf(err) == popkv.Unavailable) {
		s.jobs.add(created.ID, *j)
	}
	if err != nil {
		return Store{}, err
	}
	created.Status, created.Version = popkv.Provisioning, 1
	return created, nil
}

func (s *Service) checkNew(in NewStore) (map[string]string, error) {
	if err := checkName(in.Name); err != nil {
		return nil, err
	}
	if err := checkComment(in.Comment); err != nil {
		return nil, err
	}
	tags, err := s.checkTags(in.Tags)
	if err != nil {
		// A create has no error of its own for tags (documented).
		return nil, popkv.Wrap(popkv.Invalid, nil, popkv.Message(err))
	}
	return tags, nil
}

// source checks an import source against the model and against what is set up.
func (s *Service) source(in *ImportSource) (s3import.Location, error) {
	location, err := in.Location()
	if err == nil && s.o.Source == nil {
		err = popkv.Errorf(popkv.Unsupported, "this server has nowhere to import from: set --s3-endpoint or --import-dir")
	}
	return location, err
}

// reserve takes a name and a place among the account's stores.
func (s *Service) reserve(tx *journal.Tx, c *control, tooLarge error) error {
	_, taken, err := tx.Get(journal.NameKey(c.Account, c.Name))
	if err != nil {
		return err
	}
	if taken {
		return popkv.Errorf(popkv.StoreExists, "a key value store of that name exists already")
	}
	key := journal.CounterKey(c.Account)
	q, _, err := get[counters](tx, key)
	if err != nil {
		return err
	}
	if q.Stores >= s.o.Limits.Stores {
		return popkv.Errorf(popkv.StoreCountQuota, "the account has %d key value stores already", q.Stores)
	}
	if tooLarge != nil {
		return tooLarge
	}
	q.Stores++
	tx.Put(key, encode(q))
	return nil
}

// Describe returns the store as it is.
func (s *Service) Describe(ctx context.Context, t Target) (Store, error) {
	var found Store
	err := s.j.Catalog(ctx, func(tx *journal.Tx) error {
		c, err := t.control(tx)
		if err == nil {
			found = c.show(t.id)
		}
		return err
	})
	return found, err
}

// control reads the record of a target, which must still be there under its
// name.
func (t *Target) control(tx *journal.Tx) (*control, error) {
	if err := checkName(t.Name); err != nil {
		return nil, err
	}
	id, c, err := storeByName(tx, t.ARN.Account, t.Name)
	if err != nil {
		return nil, err
	}
	if c == nil || id != t.id {
		return nil, popkv.Errorf(popkv.StoreNotFound, "there is no key value store of that name")
	}
	return c, nil
}

// Update sets the comment. ifMatch must be the current ETag; the one of the
// create is accepted until the first Update. The version moves also when the
// comment is the same.
//
// Failures, in order: [popkv.Invalid], [popkv.StoreNotFound],
// [popkv.BadETag], [popkv.StaleETag].
//
// Source: CloudFront UpdateKeyValueStore (documented); what happens to an equal
// comment is assumed.
func (s *Service) Update(ctx context.Context, t Target, ifMatch, comment string) (Store, error) {
	if err := checkName(t.Name); err != nil {
		return Store{}, err
	}
	if err := checkComment(&comment); err != nil {
		return Store{}, err
	}
	var updated Store
	err := s.j.Catalog(ctx, func(tx *journal.Tx) error {
		c, err := t.control(tx)
		if err != nil {
			return err
		}
		if err := c.matches(ifMatch); err != nil {
			return err
		}
		c.Comment = &comment
		c.CreateVersion = 0
		c.change(tx.Now())
		tx.Put(journal.ControlKey(t.id), encode(c))
		updated = c.show(t.id)
		return nil
	})
	return updated, err
}

// Delete removes the store with everything in it, whatever its status. An
// import that is under way ends without effect.
//
// Failures, in order: [popkv.Invalid], [popkv.StoreNotFound],
// [popkv.BadETag], [popkv.StaleETag], [popkv.StoreInUse] (a function names it,
// in either stage).
//
// Source: CloudFront DeleteKeyValueStore (documented); that it need not be
// empty is observed.
func (s *Service) Delete(ctx context.Context, t Target, ifMatch string) error {
	err := s.j.Catalog(ctx, func(tx *journal.Tx) error {
		c, err := t.control(tx)
		if err != nil {
			return err
		}
		if err := c.matches(ifMatch); err != nil {
			return err
		}
		if len(c.Referrers) > 0 {
			return popkv.Errorf(popkv.StoreInUse, "the key value store is associated with a function")
		}
		if err := forget(tx, t.id, c); err != nil {
			return err
		}
		return tx.DropStore(t.id)
	})
	if err == nil {
		s.jobs.cancel(t.id)
	}
	return err
}
