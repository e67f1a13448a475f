package dataplane

import (
	"crypto/sha256"
	"encoding/base64"

	"github.com/popkv/popkv"
)

// A page token is a cursor and grants nothing: who may list a store may start
// anywhere in it. So it carries a checksum, which finds damage and a token of
// another store, and no secret, which would have to be shared by origins and
// kept across restarts.
//
//	base64url( version 1 | first 8 bytes of SHA-256(label | store id | key) | key )
const (
	tokenVersion  = 1
	tokenSumBytes = 8
	tokenLabel    = "popkv list token 1\x00"
)

func makeToken(store popkv.StoreID, lastKey string) string {
	b := make([]byte, 0, len(tokenLabel)+len(store)+len(lastKey))
	b = append(b, tokenLabel...)
	b = append(b, store[:]...)
	b = append(b, lastKey...)
	sum := sha256.Sum256(b)
	b = append(b[:0], tokenVersion)
	b = append(b, sum[:tokenSumBytes]...)
	b = append(b, lastKey...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// readToken returns the key in token if makeToken made it, byte for byte, for
// the same store.
func readToken(store popkv.StoreID, token string) (lastKey string, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) <= 1+tokenSumBytes {
		return "", false
	}
	lastKey = string(b[1+tokenSumBytes:])
	return lastKey, makeToken(store, lastKey) == token
}
