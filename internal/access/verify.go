package access

import (
	"strings"

	"github.com/popkv/popkv/internal/journal"
)

// Check judges one catalog record for a verify: whether it can be decoded and
// lies under the key that its content says. The problem is in words; "" is
// none, also for records of other packages.
func Check(key string, value []byte, _ func(key string) bool) (problem string) {
	switch {
	case key == dataKeyKey:
		if _, err := decodeRecord[dataKeyRecord](key, value); err != nil {
			return "it cannot be decoded"
		}
	case strings.HasPrefix(key, journal.AccessKeyPrefix()):
		r, err := decodeRecord[keyRecord](key, value)
		if err != nil {
			return "it cannot be decoded"
		}
		if journal.AccessKeyKey(r.ID) != key || validOwner(r.Account, r.User) != nil {
			return "it is not the record of the key that it lies under"
		}
	case strings.HasPrefix(key, policiesPrefix):
		r, err := decodeRecord[policyRecord](key, value)
		if err != nil {
			return "it cannot be decoded"
		}
		if journal.PolicyKey(r.Account, r.User, r.Name) != key {
			return "it is not the record of the policy that it lies under"
		}
		if _, err := ParsePolicy([]byte(r.Document)); err != nil {
			return "its document is no policy"
		}
	}
	return ""
}
