package controlplane

import (
	"fmt"
	"slices"
	"strings"
	"time"

	json "github.com/go-json-experiment/json"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// The records of this package in the catalog, all JSON:
//
//	n/account/name  {"store": id}                      from a name to a store
//	k/S             control                            everything about the store but its items
//	q/account       counters                           what the account's quotas compare
//	j/S             job                                exists as long as the store is PROVISIONING
//	f/account/name  function                           both stages of it
//
// A member that is not known is an error, so that an older popkv does not drop
// what a newer one wrote.

// A named is n/account/name.
type named struct {
	Store string `json:"store"`
}

// A control is k/S.
type control struct {
	Account string  `json:"account"`
	Name    string  `json:"name"`
	Comment *string `json:"comment,omitempty"` // nil: never set
	// Status repeats the meta's: the two change in the same transaction only,
	// and so the control plane need not read a record that data writes move.
	Status  popkv.Status `json:"status"`
	Version uint64       `json:"version"` // the control plane's ETag in disguise
	// CreateVersion is what the create's answer carried, as long as it is
	// accepted beside Version; then 0.
	CreateVersion uint64            `json:"create_version,omitempty"`
	ModifiedMS    int64             `json:"modified_ms"` // LastModifiedTime, Unix milliseconds
	Tags          map[string]string `json:"tags,omitempty"`
	Referrers     []referrer        `json:"referrers,omitempty"` // functions, by name
}

// A referrer is a function that names the store in one stage or both.
type referrer struct {
	Function    string `json:"function"`
	Development bool   `json:"development,omitempty"`
	Live        bool   `json:"live,omitempty"`
}

// counters is q/account.
type counters struct {
	Stores    int `json:"stores"`
	Functions int `json:"functions"`
}

// A job is j/S.
type job struct {
	Source    string `json:"source,omitempty"` // SourceARN; empty: nothing to import
	Principal string `json:"principal"`        // ARN of who created the store
	ReadyMS   int64  `json:"ready_ms"`         // not to be READY before, Unix milliseconds
	Owner     string `json:"owner"`            // the process that works on it
	Attempts  int    `json:"attempts"`         // processes that have taken it up when it was due
	// How far the import has come, noted now and then. The data plane's
	// DescribeKeyValueStore reads the two by these names.
	Items     int   `json:"items,omitzero"`
	SizeBytes int64 `json:"size_bytes,omitzero"`
}

// get reads and decodes a record; ok is false where there is none.
func get[T any](tx *journal.Tx, key string) (record T, ok bool, err error) {
	value, ok, err := tx.Get(key)
	if err != nil || !ok {
		return record, false, err
	}
	return decode[T](key, value)
}

func decode[T any](key string, value []byte) (record T, ok bool, err error) {
	if err := json.Unmarshal(value, &record, json.RejectUnknownMembers(true)); err != nil {
		return record, false, fmt.Errorf("catalog record %s: %w", key, err)
	}
	return record, true, nil
}

func encode(record any) []byte {
	b, err := json.Marshal(record, json.Deterministic(true))
	if err != nil {
		panic(err) // every record is made of strings that were valid UTF-8 on arrival, numbers and flags
	}
	return b
}

// storeByName returns the store of that name, a nil control if there is none.
func storeByName(tx *journal.Tx, account, name string) (popkv.StoreID, *control, error) {
	n, ok, err := get[named](tx, journal.NameKey(account, name))
	if err != nil || !ok {
		return popkv.StoreID{}, nil, err
	}
	id, ok := popkv.ParseStoreID(n.Store)
	if !ok {
		return id, nil, fmt.Errorf("catalog record %s: no store id", journal.NameKey(account, name))
	}
	c, ok, err := get[control](tx, journal.ControlKey(id))
	if err == nil && !ok {
		err = fmt.Errorf("store %s has a name but no control record", id)
	}
	return id, &c, err
}

// matches compares an If-Match with the version, by the table of
// docs/operations/update-key-value-store.md.
func (c *control) matches(ifMatch string) error {
	if c.CreateVersion != 0 && ifMatch == popkv.ControlETag(c.CreateVersion) {
		return nil
	}
	return matches(ifMatch, c.Version)
}

func matches(ifMatch string, version uint64) error {
	switch {
	case !popkv.WellFormedControlETag(ifMatch):
		return popkv.Errorf(popkv.BadETag, "the If-Match value is missing or is no ETag of the control plane")
	case ifMatch != popkv.ControlETag(version):
		return popkv.Errorf(popkv.StaleETag, "the If-Match value is not the current ETag")
	}
	return nil
}

// change moves the version and LastModifiedTime.
func (c *control) change(now time.Time) {
	c.Version++
	c.ModifiedMS = max(now.UnixMilli(), c.ModifiedMS)
}

// Raise returns a catalog record with its control-plane versions raised by
// jump, for a restore from a backup: no ETag is handed out twice. Records
// without versions are returned as they are.
func Raise(key string, value []byte, jump uint64) ([]byte, error) {
	switch {
	case strings.HasPrefix(key, journal.ControlPrefix()):
		c, _, err := decode[control](key, value)
		if err != nil {
			return nil, err
		}
		c.Version += jump
		c.CreateVersion = 0
		return encode(c), nil
	case strings.HasPrefix(key, functionKeys):
		f, _, err := decode[function](key, value)
		if err != nil {
			return nil, err
		}
		f.Development.Version += jump
		if f.Live != nil {
			f.Live.Version += jump
		}
		return encode(f), nil
	}
	return value, nil
}

// Forget removes what the catalog says of a store that was deleted while a
// backup was made: its name, its place in the quota and its associations. A
// restore calls it, in one transaction after the other for as long as there is
// more: a transaction holds few records, and those of functions may be long. The
// store itself is not there.
func Forget(tx *journal.Tx, id popkv.StoreID) (more bool, err error) {
	c, ok, err := get[control](tx, journal.ControlKey(id))
	if err != nil || !ok {
		return false, err
	}
	if len(c.Referrers) == 0 {
		return false, forget(tx, id, &c)
	}
	name := c.Referrers[0].Function
	f, err := functionByName(tx, c.Account, name)
	if err != nil {
		return false, err
	}
	for _, stage := range []Stage{Development, Live} {
		if at := f.at(stage); at != nil && at.Store == id.String() {
			at.Store = ""
		}
	}
	tx.Put(journal.FunctionKey(c.Account, name), encode(f))
	c.Referrers = slices.DeleteFunc(c.Referrers, func(r referrer) bool { return r.Function == name })
	tx.Put(journal.ControlKey(id), encode(c))
	return true, nil
}

// forget removes a store from the catalog.
func forget(tx *journal.Tx, id popkv.StoreID, c *control) error {
	key := journal.CounterKey(c.Account)
	q, _, err := get[counters](tx, key)
	if err != nil {
		return err
	}
	q.Stores = max(0, q.Stores-1)
	tx.Put(key, encode(q))
	tx.Delete(journal.NameKey(c.Account, c.Name))
	tx.Delete(journal.ControlKey(id))
	tx.Delete(journal.ImportJobKey(id))
	return nil
}

// functionKeys begins the keys of functions of every account.
const functionKeys = "f/"
