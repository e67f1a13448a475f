package access

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// The catalog's keys that belong to this package. No access key id has an
// exclamation mark, so the data key stands beside them.
const (
	dataKeyKey     = "a/!data-key"
	policiesPrefix = "p/"
)

// A keyRecord is one access key as the catalog keeps it. Exactly one of Sealed
// and PublicKey is there.
type keyRecord struct {
	ID        string    `json:"id"`
	Account   string    `json:"account"`
	User      string    `json:"user"`
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires,omitzero"`
	Sealed    []byte    `json:"sealed,omitempty"`     // the secret, by the data key
	PublicKey []byte    `json:"public_key,omitempty"` // uncompressed point
	TokenHash []byte    `json:"token_hash,omitempty"` // SHA-256; only temporary keys have one
	Revision  uint64    `json:"revision"`             // of the record, from 1
}

// associated is what a sealed secret is bound to.
func (r *keyRecord) associated() []byte {
	return fmt.Appendf(nil, "%s\n%s\n%s\n%d", journal.AccessKeyKey(r.ID), r.Account, r.ID, r.Revision)
}

func (r *keyRecord) owner() owner { return owner{r.Account, r.User} }

// A policyRecord is one policy of one user as the catalog keeps it.
type policyRecord struct {
	Account  string    `json:"account"`
	User     string    `json:"user"`
	Name     string    `json:"name"`
	Updated  time.Time `json:"updated"`
	Document string    `json:"document"` // as it was put
}

// An owner is what keys and policies belong to.
type owner struct{ account, user string }

func encodeRecord(record any) []byte {
	b, err := json.Marshal(record)
	if err != nil {
		panic("access: " + err.Error())
	}
	return b
}

func decodeRecord[T any](key string, value []byte) (T, error) {
	var record T
	if err := json.Unmarshal(value, &record); err != nil {
		return record, popkv.Wrap(popkv.Internal, fmt.Errorf("record %s: %w", key, err), "an access record cannot be read")
	}
	return record, nil
}

// validOwner refuses an account or user that cannot be part of an ARN and of a
// catalog key.
func validOwner(account, user string) error {
	if !popkv.IsAccount(account) {
		return popkv.Errorf(popkv.Invalid, "an account is 12 digits")
	}
	if !validName(user, 64) {
		return popkv.Errorf(popkv.Invalid, "a user name is 1 to 64 letters, digits and +=,.@_-")
	}
	return nil
}

// validName holds IAM's rule for names of users and policies (documented).
func validName(name string, longest int) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '+', c == '=', c == ',', c == '.', c == '@', c == '_', c == '-':
		default:
			return false
		}
	}
	return 1 <= len(name) && len(name) <= longest
}
