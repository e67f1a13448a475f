package dataplane

import (
	"unicode/utf8"

	"github.com/popkv/popkv"
)

// maxKeyCharacters is the service model's bound on a key. The quota in bytes
// is smaller and answers differently.
const maxKeyCharacters = 1024

// Messages that clients match on (observed, except for the store's size:
// assumed from the others).
const (
	messageStale     = "Pre-Condition failed during update of Key-Value-Store"
	messageKeyQuota  = "Limit exceeded: Maximum size of a key in a key value pair"
	messageValue     = "Limit exceeded: Maximum size of the value in a key value pair"
	messageBatch     = "Limit exceeded: Maximum key values pairs that you can update in a single API request"
	messageStoreSize = "Limit exceeded: Maximum size of an individual key value store"
)

// BatchTooLarge is the failure of a batch that breaks a quota of its own: too
// many keys, or too long a body, which only the wire can count.
func BatchTooLarge() error { return popkv.Errorf(popkv.ItemQuota, messageBatch) }

// ValueTooLarge is the failure of a value that breaks its quota.
func ValueTooLarge() error { return popkv.Errorf(popkv.ItemQuota, messageValue) }

// constraint is a broken rule of the service model, told as servers made from
// a model tell it. member is a path into the request, never a value.
func constraint(member, rule string) error {
	return popkv.Errorf(popkv.Invalid, "1 validation error detected. Value at '%s' failed to satisfy constraint: Member must %s", member, rule)
}

// MissingMember is the failure of a required member that is absent or null.
func MissingMember(member string) error { return constraint(member, "not be null") }

// checkKey holds a key to the service model: 1 to 1024 characters of valid
// UTF-8, any character.
func checkKey(member, key string) error {
	if key == "" || len(key) > maxKeyCharacters && utf8.RuneCountInString(key) > maxKeyCharacters {
		return popkv.Errorf(popkv.Invalid, "1 validation error detected. Value with length %d at '%s' failed to satisfy constraint: Member must have length between 1 and %d, inclusive",
			utf8.RuneCountInString(key), member, maxKeyCharacters)
	}
	if !utf8.ValidString(key) {
		return popkv.Errorf(popkv.Malformed, "%s is not valid UTF-8", member)
	}
	return nil
}

// checkValue holds a value to being text: any valid UTF-8, also none
// (divergence 12).
func checkValue(member, value string) error {
	if !utf8.ValidString(value) {
		return popkv.Errorf(popkv.Malformed, "%s is not valid UTF-8", member)
	}
	return nil
}

func (s *Service) keyQuota(key string) error {
	if len(key) > s.limits.KeyBytes {
		return popkv.Errorf(popkv.ItemQuota, messageKeyQuota)
	}
	return nil
}

func (s *Service) valueQuota(value string) error {
	if len(value) > s.limits.ValueBytes {
		return ValueTooLarge()
	}
	return nil
}

// checkExpected refuses an absent If-Match, which the model requires. Every
// other value is compared in its turn.
func checkExpected(expect string) error {
	if expect == "" {
		return popkv.Errorf(popkv.BadETag, "If-Match is missing: send the ETag of the last DescribeKeyValueStore or write of this store")
	}
	return nil
}
