package journal

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/popkv/popkv"
)

// Keys are the same in every driver. The kind comes first, so that all records
// of one kind lie together. S is a store's id, G a generation's, both as a
// 36-character UUID; versions are 8 bytes and chunk numbers 4, big-endian, so
// that they sort as numbers.
//
//	!gate         what may write here: format, identity, seal
//	!mark         stamp of the last catalog transaction
//	m/S           meta: status, version, counts, digest, chain head, generations
//	l/S/version   one record of the store's log
//	c/S/G/n       one chunk of a snapshot generation
//	i/S/G         intent: G is being written
//	t/S           tombstone of a deleted store
//
// The rest is the catalog, whose values are its owners' business:
//
//	k/S  n/account/name  q/account  f/account/name  j/S  a/AKID  p/account/user/name
const (
	gateKey = "!gate"
	markKey = "!mark"
)

// An id128 names a generation, a lineage or a commit: 128 random bits.
type id128 = [16]byte

func metaKey(id popkv.StoreID) string { return "m/" + id.String() }
func tombKey(id popkv.StoreID) string { return "t/" + id.String() }

func logPrefix(id popkv.StoreID) string { return "l/" + id.String() + "/" }

func logKey(id popkv.StoreID, version uint64) string {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], version)
	return "l/" + id.String() + "/" + string(n[:])
}

func chunksPrefix(id popkv.StoreID) string { return "c/" + id.String() + "/" }

func generationPrefix(id popkv.StoreID, generation id128) string {
	return "c/" + id.String() + "/" + popkv.StoreID(generation).String() + "/"
}

func chunkKey(id popkv.StoreID, generation id128, n uint32) string {
	return string(binary.BigEndian.AppendUint32([]byte(generationPrefix(id, generation)), n))
}

func intentsPrefix(id popkv.StoreID) string { return "i/" + id.String() + "/" }

func intentKey(id popkv.StoreID, generation id128) string {
	return intentsPrefix(id) + popkv.StoreID(generation).String()
}

// ControlKey is the key of a store's control record: name, comment, tags,
// control-plane version, referrers.
func ControlKey(id popkv.StoreID) string { return "k/" + id.String() }

// ControlPrefix begins every [ControlKey].
func ControlPrefix() string { return "k/" }

// NameKey is the key that maps a store's name to its id. Names hold no slash
// ([popkv.IsName]), so no two pairs of account and name share a key.
func NameKey(account, name string) string { return NamePrefix(account) + name }

// NamePrefix begins every [NameKey] of an account.
func NamePrefix(account string) string { return "n/" + account + "/" }

// CounterKey is the key of an account's counters.
func CounterKey(account string) string { return "q/" + account }

// CounterPrefix begins every [CounterKey].
func CounterPrefix() string { return "q/" }

// FunctionKey is the key of one function: both stages, code and association.
func FunctionKey(account, name string) string { return FunctionPrefix(account) + name }

// FunctionPrefix begins every [FunctionKey] of an account.
func FunctionPrefix(account string) string { return "f/" + account + "/" }

// ImportJobKey is the key of the import that a provisioning store waits for.
func ImportJobKey(id popkv.StoreID) string { return ImportJobPrefix() + id.String() }

// ImportJobPrefix begins every [ImportJobKey].
func ImportJobPrefix() string { return "j/" }

// AccessKeyKey is the key of one access key.
func AccessKeyKey(accessKeyID string) string { return AccessKeyPrefix() + accessKeyID }

// AccessKeyPrefix begins every [AccessKeyKey].
func AccessKeyPrefix() string { return "a/" }

// PolicyKey is the key of one policy document of a user. User and policy
// names hold no slash.
func PolicyKey(account, user, name string) string { return PolicyPrefix(account, user) + name }

// PolicyPrefix begins every [PolicyKey] of a user.
func PolicyPrefix(account, user string) string { return "p/" + account + "/" + user + "/" }

// PrefixEnd is the end of the range of keys that begin with prefix, for
// [Journal.Scan]. The prefix must not be empty or all 0xff.
func PrefixEnd(prefix string) string {
	end := []byte(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return string(end[:i+1])
		}
	}
	return ""
}

// catalogKinds are the first letters of keys that catalog transactions may
// name.
const catalogKinds = "knqfjap"

// isCatalogKey reports whether key belongs to the catalog: one of its kinds,
// a slash and something after it.
func isCatalogKey(key string) bool {
	return len(key) > 2 && key[1] == '/' && strings.IndexByte(catalogKinds, key[0]) >= 0
}

// storeOfKey returns the store that a key names: all of kinds m, t, k and j,
// the beginning of kinds l, c and i.
func storeOfKey(key string) (popkv.StoreID, bool) {
	const end = 2 + 36
	if len(key) < end || key[1] != '/' {
		return popkv.StoreID{}, false
	}
	switch key[0] {
	case 'm', 't', 'k', 'j':
		if len(key) != end {
			return popkv.StoreID{}, false
		}
	case 'l', 'c', 'i':
		if len(key) == end || key[end] != '/' {
			return popkv.StoreID{}, false
		}
	default:
		return popkv.StoreID{}, false
	}
	id, ok := popkv.ParseStoreID(key[2:end])
	return id, ok && id.String() == key[2:end]
}

// generationOfKey returns the generation that a key of kind c or i names.
func generationOfKey(key string) (id128, bool) {
	const begin, end = 2 + 36 + 1, 2 + 36 + 1 + 36
	if len(key) < end {
		return id128{}, false
	}
	g, ok := popkv.ParseStoreID(key[begin:end])
	return id128(g), ok && g.String() == key[begin:end]
}

// keyText writes a key for people: binary numbers become decimal.
func keyText(key string) string {
	switch {
	case strings.HasPrefix(key, "l/") && len(key) == 39+8:
		return fmt.Sprintf("%s%d", key[:39], binary.BigEndian.Uint64([]byte(key[39:])))
	case strings.HasPrefix(key, "c/") && len(key) == 76+4:
		return fmt.Sprintf("%s%d", key[:76], binary.BigEndian.Uint32([]byte(key[76:])))
	}
	return strings.Trim(fmt.Sprintf("%q", key), `"`)
}
