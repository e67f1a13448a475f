package popkv

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
)

// A StoreID is a store's identity: 128 random bits, written as a UUID on every
// wire. An id is never reused; a store that is deleted and created again under
// the same name gets a new one.
type StoreID [16]byte

// NewStoreID returns a fresh random (version 4) id.
func NewStoreID() StoreID {
	var id StoreID
	rand.Read(id[:])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// String returns the 36-character lower-case UUID form.
func (id StoreID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], id[10:16])
	return string(b[:])
}

// ParseStoreID reads the 36-character UUID form; upper-case digits are
// accepted, any other shape is not.
func ParseStoreID(s string) (StoreID, bool) {
	var id StoreID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return StoreID{}, false
	}
	n := 0
	for _, span := range [5][2]int{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}} {
		w, err := hex.Decode(id[n:], []byte(s[span[0]:span[1]]))
		if err != nil {
			return StoreID{}, false
		}
		n += w
	}
	return id, true
}

// An ARN is a parsed `arn:aws:cloudfront::ACCOUNT:RESOURCE/NAME`. Only the
// `aws` partition exists here, and the region is always empty.
type ARN struct {
	Account  string // 12 digits
	Resource string // ResourceStore or ResourceFunction
	Name     string // the store's UUID or the function's name
}

// Resource types of an [ARN].
const (
	ResourceStore    = "key-value-store"
	ResourceFunction = "function"
)

// MaxARNBytes is the longest ARN the service model accepts on the data plane.
const MaxARNBytes = 2048

// StoreARN names a store.
func StoreARN(account string, id StoreID) ARN {
	return ARN{Account: account, Resource: ResourceStore, Name: id.String()}
}

// FunctionARN names a function.
func FunctionARN(account, name string) ARN {
	return ARN{Account: account, Resource: ResourceFunction, Name: name}
}

// String returns the ARN as AWS writes it.
func (a ARN) String() string {
	return "arn:aws:cloudfront::" + a.Account + ":" + a.Resource + "/" + a.Name
}

// StoreID returns the store that the ARN names, if it names one.
func (a ARN) StoreID() (StoreID, bool) {
	if a.Resource != ResourceStore {
		return StoreID{}, false
	}
	return ParseStoreID(a.Name)
}

// ParseARN reads a CloudFront ARN. The resource type and name are not checked
// beyond being present. A malformed ARN fails with [Invalid].
func ParseARN(s string) (ARN, error) {
	rest, ok := strings.CutPrefix(s, "arn:aws:cloudfront::")
	if ok && len(s) <= MaxARNBytes {
		account, resource, ok1 := strings.Cut(rest, ":")
		kind, name, ok2 := strings.Cut(resource, "/")
		if ok1 && ok2 && IsAccount(account) && kind != "" && name != "" {
			return ARN{Account: account, Resource: kind, Name: name}, nil
		}
	}
	return ARN{}, Errorf(Invalid, "the ARN is not of the form arn:aws:cloudfront::ACCOUNT:key-value-store/ID")
}

// IsAccount reports whether s is an account id: exactly 12 digits.
func IsAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// IsName reports whether s may name a store or a function: 1 to 64 of
// letters, digits, hyphen and underscore (documented).
func IsName(s string) bool {
	if len(s) < 1 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}
