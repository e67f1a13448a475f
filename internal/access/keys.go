package access

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/sigv4"
)

// Credentials are what a client signs with. Of a stored key they exist outside
// this package once, when the key is made.
type Credentials struct {
	AccessKeyID  string
	Secret       popkv.Secret
	SessionToken popkv.Secret // of a temporary key only
	Expires      time.Time    // zero: never
}

// A KeyRequest says what kind of key to make.
type KeyRequest struct {
	Account       string
	User          string        // popkv.RootUser or a name
	PublicKeyOnly bool          // store only the public half; the key then signs SigV4A alone
	Life          time.Duration // 0: long-term; else a temporary key with a session token
}

// KeyInfo is what may be told about a key.
type KeyInfo struct {
	AccessKeyID   string    `json:"access_key_id"`
	Account       string    `json:"account"`
	User          string    `json:"user"`
	Created       time.Time `json:"created,omitzero"`
	Expires       time.Time `json:"expires,omitzero"`
	Temporary     bool      `json:"temporary"`
	PublicKeyOnly bool      `json:"public_key_only"`
	Stored        bool      `json:"stored"` // false for the root key of the environment
}

func (e *entry) info(stored bool) KeyInfo {
	r := &e.record
	return KeyInfo{
		AccessKeyID: r.ID, Account: r.Account, User: r.User, Created: r.Created, Expires: r.Expires,
		Temporary: len(r.TokenHash) > 0, PublicKeyOnly: len(r.PublicKey) > 0, Stored: stored,
	}
}

// CreateKey makes an access key and stores it; when it returns nil the key is
// on disk and works. The secret is in the result and nowhere else.
func (d *Directory) CreateKey(ctx context.Context, q KeyRequest) (Credentials, error) {
	if err := validOwner(q.Account, q.User); err != nil {
		return Credentials{}, err
	}
	if q.Life < 0 {
		return Credentials{}, popkv.Errorf(popkv.Invalid, "a key cannot expire in the past")
	}
	record, credentials := d.newKey(q)
	expired := d.expired(8)
	err := d.change(ctx, func(tx *journal.Tx) error {
		for _, id := range expired {
			tx.Delete(journal.AccessKeyKey(id))
		}
		return putNew(tx, record)
	}, func(next *state) {
		for _, id := range expired {
			delete(next.keys, id)
		}
		next.keys[record.ID] = newEntry(record)
	})
	if err != nil {
		return Credentials{}, err
	}
	return credentials, nil
}

// RotateKey replaces an access key by a new one of the same user and kind.
// Policies are the user's, so they stay. The old key works for another grace,
// 0 for not at all. account "" stands for any.
func (d *Directory) RotateKey(ctx context.Context, account, id string, grace time.Duration) (Credentials, error) {
	old, err := d.storedKey(account, id)
	if err != nil {
		return Credentials{}, err
	}
	if len(old.TokenHash) > 0 {
		return Credentials{}, popkv.Errorf(popkv.Invalid, "a temporary key is not rotated: make another")
	}
	record, credentials := d.newKey(KeyRequest{Account: old.Account, User: old.User, PublicKeyOnly: len(old.PublicKey) > 0})
	last := d.o.Now().UTC().Add(grace)
	if old.Expires.IsZero() || last.Before(old.Expires) {
		old.Expires = last
	}
	err = d.change(ctx, func(tx *journal.Tx) error {
		if err := mustBeThere(tx, old.ID); err != nil {
			return err
		}
		tx.Delete(journal.AccessKeyKey(old.ID))
		if grace > 0 {
			tx.Put(journal.AccessKeyKey(old.ID), encodeRecord(old))
		}
		return putNew(tx, record)
	}, func(next *state) {
		delete(next.keys, old.ID)
		if grace > 0 {
			next.keys[old.ID] = newEntry(old)
		}
		next.keys[record.ID] = newEntry(record)
	})
	if err != nil {
		return Credentials{}, err
	}
	return credentials, nil
}

// RemoveKey deletes an access key; it stops working before RemoveKey returns
// nil. account "" stands for any.
func (d *Directory) RemoveKey(ctx context.Context, account, id string) error {
	if _, err := d.storedKey(account, id); err != nil {
		return err
	}
	return d.change(ctx, func(tx *journal.Tx) error {
		if err := mustBeThere(tx, id); err != nil {
			return err
		}
		tx.Delete(journal.AccessKeyKey(id))
		return nil
	}, func(next *state) { delete(next.keys, id) })
}

// Keys returns what is known of the keys of an account and user, sorted by
// account, user and id; "" stands for any.
func (d *Directory) Keys(account, user string) []KeyInfo {
	var all []KeyInfo
	for e := range maps.Values(d.current.Load().keys) {
		if (account == "" || e.record.Account == account) && (user == "" || e.record.User == user) {
			all = append(all, e.info(e != d.root))
		}
	}
	slices.SortFunc(all, func(a, b KeyInfo) int {
		return cmp.Or(strings.Compare(a.Account, b.Account), strings.Compare(a.User, b.User), strings.Compare(a.AccessKeyID, b.AccessKeyID))
	})
	return all
}

// HasRootKey reports whether a long-term root key of the account exists,
// stored or given by the environment.
func (d *Directory) HasRootKey(account string) bool {
	return slices.ContainsFunc(d.Keys(account, popkv.RootUser), func(k KeyInfo) bool { return k.Expires.IsZero() })
}

// newKey makes a key's record and credentials. An id has 80 random bits, a
// secret 240, a token 384.
func (d *Directory) newKey(q KeyRequest) (keyRecord, Credentials) {
	r := keyRecord{Account: q.Account, User: q.User, Created: d.o.Now().UTC().Truncate(time.Millisecond), Revision: 1}
	prefix := "AKIA"
	var c Credentials
	if q.Life > 0 {
		prefix = "ASIA"
		token := base64.StdEncoding.EncodeToString(d.random(48))
		hash := sha256.Sum256([]byte(token))
		r.TokenHash, r.Expires = hash[:], r.Created.Add(q.Life)
		c.SessionToken, c.Expires = popkv.NewSecret(token), r.Expires
	}
	r.ID = prefix + base32.StdEncoding.EncodeToString(d.random(10))
	secret := base64.StdEncoding.EncodeToString(d.random(30))
	c.AccessKeyID, c.Secret = r.ID, popkv.NewSecret(secret)
	if q.PublicKeyOnly {
		r.PublicKey = sigv4.NewKey(r.ID, secret).PublicKey()
	} else {
		r.Sealed = d.data.seal(d.o.Rand, []byte(secret), r.associated())
	}
	return r, c
}

func (d *Directory) random(n int) []byte {
	b := make([]byte, n)
	readRandom(d.o.Rand, b)
	return b
}

// storedKey returns the record of a key that may be changed.
func (d *Directory) storedKey(account, id string) (keyRecord, error) {
	e := d.current.Load().keys[id]
	if e == nil || account != "" && e.record.Account != account {
		return keyRecord{}, noSuchKey()
	}
	if e == d.root {
		return keyRecord{}, popkv.Errorf(popkv.Invalid, "this root key was given at the start of the server and is not stored: change it there")
	}
	return e.record, nil
}

func noSuchKey() error { return popkv.Errorf(popkv.ResourceNotFound, "no such access key") }

func mustBeThere(tx *journal.Tx, id string) error {
	_, found, err := tx.Get(journal.AccessKeyKey(id))
	if err == nil && !found {
		err = noSuchKey()
	}
	return err
}

func putNew(tx *journal.Tx, r keyRecord) error {
	_, found, err := tx.Get(journal.AccessKeyKey(r.ID))
	if err != nil {
		return err
	}
	if found {
		return popkv.Errorf(popkv.Unavailable, "the new access key id is taken: try again")
	}
	tx.Put(journal.AccessKeyKey(r.ID), encodeRecord(r))
	return nil
}

// expired returns at most limit stored keys whose time is over.
func (d *Directory) expired(limit int) (ids []string) {
	now := d.o.Now()
	for id, e := range d.current.Load().keys {
		if !e.record.Expires.IsZero() && !now.Before(e.record.Expires) && len(ids) < limit {
			ids = append(ids, id)
		}
	}
	return ids
}
