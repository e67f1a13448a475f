package controlplane

import (
	"slices"
	"strings"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// A Stage is one of the two versions of a function.
type Stage string

// The stages, spelled as AWS spells them.
const (
	Development Stage = "DEVELOPMENT"
	Live        Stage = "LIVE"
)

// A function is f/account/name: both stages with code and association, so that
// a publish is one change of one record.
type function struct {
	Development code              `json:"development"`
	Live        *code             `json:"live,omitempty"` // nil: never published
	Tags        map[string]string `json:"tags,omitempty"`
}

// A code is one stage of a function.
type code struct {
	Comment    string `json:"comment"`
	Runtime    string `json:"runtime"`
	Store      string `json:"store,omitempty"` // id of the associated store
	Code       []byte `json:"code"`
	Version    uint64 `json:"version"` // the ETag in disguise
	CreatedMS  int64  `json:"created_ms"`
	ModifiedMS int64  `json:"modified_ms"`
}

// at returns a stage, nil if the function has none such.
func (f *function) at(stage Stage) *code {
	if stage == Development {
		return &f.Development
	}
	return f.Live
}

// matches compares an If-Match with the stage's version.
func (c *code) matches(ifMatch string) error { return matches(ifMatch, c.Version) }

func functionByName(tx *journal.Tx, account, name string) (*function, error) {
	f, ok, err := get[function](tx, journal.FunctionKey(account, name))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, noSuchFunction()
	}
	return &f, nil
}

func noSuchFunction() error {
	return popkv.Errorf(popkv.FunctionNotFound, "there is no function of that name, or it has no such stage")
}

// A reference is the association of a function's stage with a store, as the
// store's control record keeps it. Associating a store and deleting it both
// change that record, so one of the two loses.
type reference struct {
	tx       *journal.Tx
	account  string
	function string
}

// move makes the stage refer to the store to instead of from; either may be
// empty.
func (r reference) move(from, to string, stage Stage) error {
	if from == to {
		return nil
	}
	if err := r.set(from, stage, false); err != nil {
		return err
	}
	return r.set(to, stage, true)
}

func (r reference) set(store string, stage Stage, refers bool) error {
	id, ok := popkv.ParseStoreID(store)
	if !ok {
		return nil // no store
	}
	key := journal.ControlKey(id)
	c, ok, err := get[control](r.tx, key)
	if err != nil || !ok {
		return err // a store that is referred to cannot be deleted
	}
	c.refer(r.function, stage, refers)
	r.tx.Put(key, encode(c))
	return nil
}

// refer keeps the referrers sorted by name, and only those that refer.
func (c *control) refer(function string, stage Stage, refers bool) {
	i, found := slices.BinarySearchFunc(c.Referrers, function, func(r referrer, name string) int {
		return strings.Compare(r.Function, name)
	})
	if !found {
		c.Referrers = slices.Insert(c.Referrers, i, referrer{Function: function})
	}
	if r := &c.Referrers[i]; stage == Development {
		r.Development = refers
	} else {
		r.Live = refers
	}
	if r := c.Referrers[i]; !r.Development && !r.Live {
		c.Referrers = slices.Delete(c.Referrers, i, i+1)
	}
}
