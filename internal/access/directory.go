package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/sigv4"
)

// A Journal is the catalog that keys and policies live in. *journal.Journal is
// one.
type Journal interface {
	// Catalog runs fn, perhaps several times, and commits what it put if
	// nothing that it read has changed.
	Catalog(ctx context.Context, fn func(tx *journal.Tx) error) error
	// Scan calls fn for each key in [from, end) of one consistent view.
	Scan(ctx context.Context, from, end string, limit int, fn func(key string, value []byte) error) error
}

// Options change how a [Directory] behaves; the zero value works.
type Options struct {
	Logger *slog.Logger     // nil: silent
	Now    func() time.Time // nil: time.Now
	Rand   io.Reader        // ids, secrets, keys; nil: crypto/rand

	// KeyFile is the file with the key that wraps the data key. It is made if
	// neither it nor stored secrets exist. "" keeps the key in memory alone,
	// which suits a journal that is no longer there after the process.
	KeyFile string

	// Root, if it has an id, is a root access key of RootAccount that is never
	// stored. It hides a stored key of the same id.
	Root        Credentials
	RootAccount string

	// PreparedKeys bounds how many access keys are held ready for use (0:
	// 4,096, about 3 KiB each). Others are made ready when a request names
	// them.
	PreparedKeys int
}

const defaultPreparedKeys = 4096

// A Directory holds access keys and policies. It is safe for concurrent use.
type Directory struct {
	journal Journal
	o       Options
	log     *slog.Logger
	data    cryptKey
	root    *entry // from Options; nil if there is none

	writing  sync.Mutex // one change at a time
	current  atomic.Pointer[state]
	prepared atomic.Int64 // how many entries of current are ready
}

// A state is everything at one moment. It is never changed, only replaced.
type state struct {
	keys     map[string]*entry
	policies map[owner]map[string]*userPolicy
}

// An entry is one access key. The journal's record does not change, it is
// replaced; ready is made on first use and may be dropped.
type entry struct {
	record keyRecord
	caller popkv.Caller
	ready  atomic.Pointer[sigv4.Key]
}

type userPolicy struct {
	record policyRecord
	policy *Policy
}

// Open reads all keys and policies. On a journal without stored secrets it
// makes the data key, and the key file if there is none. It fails, naming the
// file, if that does not hold the key that the stored secrets need.
func Open(ctx context.Context, j Journal, o Options) (*Directory, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.PreparedKeys == 0 {
		o.PreparedKeys = defaultPreparedKeys
	}
	d := &Directory{journal: j, o: o, log: o.Logger}
	if id := o.Root.AccessKeyID; id != "" {
		if !popkv.IsAccount(o.RootAccount) || !sigv4.ValidAccessKeyID(id) || o.Root.Secret.IsEmpty() {
			return nil, errors.New("root access key: it needs an account of 12 digits, an id of letters, digits, - and _, and a secret")
		}
		d.root = newEntry(keyRecord{ID: id, Account: o.RootAccount, User: popkv.RootUser})
		d.root.ready.Store(sigv4.NewKey(id, o.Root.Secret.Reveal()))
	}
	stored, err := d.load(ctx)
	if err != nil {
		return nil, err
	}
	return d, d.unlock(ctx, stored)
}

func newEntry(r keyRecord) *entry {
	return &entry{record: r, caller: popkv.Caller{Account: r.Account, User: r.User, AccessKeyID: r.ID}}
}

// load reads the catalog and makes it current. It returns the record of the
// data key, nil if there is none.
func (d *Directory) load(ctx context.Context) (*dataKeyRecord, error) {
	var dataKey *dataKeyRecord
	s := &state{keys: map[string]*entry{}, policies: map[owner]map[string]*userPolicy{}}
	readKey := func(key string, value []byte) error {
		if key == dataKeyKey {
			r, err := decodeRecord[dataKeyRecord](key, value)
			dataKey = &r
			return err
		}
		r, err := decodeRecord[keyRecord](key, value)
		if err == nil && journal.AccessKeyKey(r.ID) != key {
			err = popkv.Wrap(popkv.Internal, fmt.Errorf("record %s holds another key", key), "an access record is in the wrong place")
		}
		s.keys[r.ID] = newEntry(r)
		return err
	}
	readPolicy := func(key string, value []byte) error {
		r, err := decodeRecord[policyRecord](key, value)
		if err == nil && journal.PolicyKey(r.Account, r.User, r.Name) != key {
			err = popkv.Wrap(popkv.Internal, fmt.Errorf("record %s holds another policy", key), "an access record is in the wrong place")
		}
		if err != nil {
			return err
		}
		return s.setPolicy(r)
	}
	if err := d.journal.Scan(ctx, journal.AccessKeyPrefix(), journal.PrefixEnd(journal.AccessKeyPrefix()), 0, readKey); err != nil {
		return nil, err
	}
	if err := d.journal.Scan(ctx, policiesPrefix, journal.PrefixEnd(policiesPrefix), 0, readPolicy); err != nil {
		return nil, err
	}
	if d.root != nil {
		s.keys[d.root.record.ID] = d.root
	}
	d.prepared.Store(0)
	d.current.Store(s)
	return dataKey, nil
}

func (s *state) setPolicy(r policyRecord) error {
	policy, err := ParsePolicy([]byte(r.Document))
	if err != nil {
		return fmt.Errorf("policy %s of user %s in account %s: %w", r.Name, r.User, r.Account, err)
	}
	if s.policies[r.owner()] == nil {
		s.policies[r.owner()] = map[string]*userPolicy{}
	}
	s.policies[r.owner()][r.Name] = &userPolicy{r, policy}
	return nil
}

func (r *policyRecord) owner() owner { return owner{r.Account, r.User} }

// clone returns a copy that may be changed until it is published.
func (s *state) clone() *state {
	next := &state{keys: maps.Clone(s.keys), policies: maps.Clone(s.policies)}
	for owner, policies := range next.policies {
		next.policies[owner] = maps.Clone(policies)
	}
	return next
}

// unlock gets the data key out of its record, or makes both.
func (d *Directory) unlock(ctx context.Context, stored *dataKeyRecord) error {
	if stored != nil {
		if d.o.KeyFile == "" {
			return errors.New("stored secrets are encrypted, but no secrets key file is named")
		}
		file, err := readKeyFile(d.o.KeyFile, d.log)
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("secrets key file %s is missing: stored secrets cannot be read without it; put it back, or name it", d.o.KeyFile)
		}
		if err != nil {
			return err
		}
		if d.data, err = stored.unwrap(file); err != nil {
			return fmt.Errorf("secrets key file %s: %w", d.o.KeyFile, err)
		}
		return nil
	}
	file, err := d.firstKeyFile()
	if err != nil {
		return err
	}
	d.data = newCryptKey(d.o.Rand)
	value := encodeRecord(wrapDataKey(d.o.Rand, file, d.data))
	return d.journal.Catalog(ctx, func(tx *journal.Tx) error {
		if _, found, err := tx.Get(dataKeyKey); err != nil || found {
			return errors.Join(err, popkv.Errorf(popkv.Unavailable, "another process has just made the data key"))
		}
		tx.Put(dataKeyKey, value)
		return nil
	})
}

// firstKeyFile returns the key of a file that may not exist yet.
func (d *Directory) firstKeyFile() (cryptKey, error) {
	if d.o.KeyFile == "" {
		return newCryptKey(d.o.Rand), nil
	}
	k, err := readKeyFile(d.o.KeyFile, d.log)
	if !errors.Is(err, os.ErrNotExist) {
		return k, err
	}
	d.log.Info("secrets key file made: stored secrets cannot be read without it", "file", d.o.KeyFile)
	return createKeyFile(d.o.KeyFile, d.o.Rand)
}

// RewrapDataKey makes a new secrets key file and wraps the data key with the
// key in it: one record changes, no secret is touched. From then on the old
// file is of no use.
func (d *Directory) RewrapDataKey(ctx context.Context, newKeyFile string) error {
	file, err := createKeyFile(newKeyFile, d.o.Rand)
	if err != nil {
		return err
	}
	value := encodeRecord(wrapDataKey(d.o.Rand, file, d.data))
	return d.journal.Catalog(ctx, func(tx *journal.Tx) error {
		tx.Put(dataKeyKey, value)
		return nil
	})
}

// change commits one change and then makes it current. If the commit does not
// say that it happened, what the journal holds is read again, so that memory
// and disk agree whatever became of it.
func (d *Directory) change(ctx context.Context, commit func(tx *journal.Tx) error, apply func(next *state)) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	if err := d.journal.Catalog(ctx, commit); err != nil {
		if popkv.KindOf(err) != popkv.ResourceNotFound {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if _, err := d.load(ctx); err != nil {
				d.log.Error("access records could not be read again after a failed change", "error", err)
			}
		}
		return err
	}
	next := d.current.Load().clone()
	apply(next)
	d.current.Store(next)
	return nil
}

// find returns the key of that id, prepared for use, and its owner. A nil key
// without an error means that there is none.
func (d *Directory) find(id string) (*sigv4.Key, popkv.Caller, error) {
	e := d.current.Load().keys[id]
	if e == nil {
		return nil, popkv.Caller{}, nil
	}
	if key := e.ready.Load(); key != nil {
		return key, e.caller, nil
	}
	key, err := d.prepare(&e.record)
	if err != nil {
		d.log.Error("stored access key cannot be used", "access_key_id", id, "error", err)
		return nil, popkv.Caller{}, popkv.Wrap(popkv.Unavailable, err, "the access key cannot be read")
	}
	if d.prepared.Add(1) > int64(d.o.PreparedKeys) {
		d.dropPrepared()
	}
	e.ready.Store(key)
	return key, e.caller, nil
}

func (d *Directory) dropPrepared() {
	d.prepared.Store(1)
	for _, e := range d.current.Load().keys {
		if e != d.root {
			e.ready.Store(nil)
		}
	}
}

// prepare decrypts and derives what verification needs.
func (d *Directory) prepare(r *keyRecord) (key *sigv4.Key, err error) {
	if len(r.PublicKey) > 0 {
		key, err = sigv4.NewPublicKey(r.ID, r.PublicKey)
	} else {
		var secret []byte
		if secret, err = d.data.open(r.Sealed, r.associated()); err == nil {
			key = sigv4.NewKey(r.ID, string(secret))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", journal.AccessKeyKey(r.ID), err)
	}
	if len(r.TokenHash) == 0 {
		return key.Limited(nil, r.Expires), nil
	}
	hash, err := hashOf(r.TokenHash)
	return key.Limited(&hash, r.Expires), err
}

func hashOf(b []byte) (hash [32]byte, err error) {
	if copy(hash[:], b) != len(hash) || len(b) != len(hash) {
		return hash, errors.New("the token's hash is damaged")
	}
	return hash, nil
}
