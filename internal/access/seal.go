package access

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// A cryptKey encrypts: the data key does so to secrets, the key in the file to
// the data key.
type cryptKey [32]byte

// String keeps the key out of every message.
func (k cryptKey) String() string { return "***" }

// Format writes [cryptKey.String] for every verb.
func (k cryptKey) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }

func newCryptKey(random io.Reader) (k cryptKey) {
	readRandom(random, k[:])
	return k
}

// readRandom fills b. A source of randomness that fails is not something to go
// on from.
func readRandom(random io.Reader, b []byte) {
	if _, err := io.ReadFull(random, b); err != nil {
		panic("access: no randomness: " + err.Error())
	}
}

func (k cryptKey) aead() cipher.AEAD {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic("access: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("access: " + err.Error())
	}
	return aead
}

// seal returns nonce | AES-256-GCM ciphertext of plain, bound to what
// associated says, so that a sealed text cannot be moved to another record.
func (k cryptKey) seal(random io.Reader, plain, associated []byte) []byte {
	aead := k.aead()
	nonce := make([]byte, aead.NonceSize())
	readRandom(random, nonce)
	return aead.Seal(nonce, nonce, plain, associated)
}

func (k cryptKey) open(sealed, associated []byte) ([]byte, error) {
	aead := k.aead()
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("sealed text is too short")
	}
	return aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], associated)
}

// check is stored beside what the key wraps, so that a wrong key can be told
// from damage. It says nothing about the key.
func (k cryptKey) check() string {
	mac := hmac.New(sha256.New, k[:])
	mac.Write([]byte("popkv secrets key check"))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// A dataKeyRecord is the data key as the catalog keeps it.
type dataKeyRecord struct {
	Wrapped []byte `json:"wrapped"`
	Check   string `json:"check"` // of the key in the file
}

func wrapDataKey(random io.Reader, file, data cryptKey) dataKeyRecord {
	return dataKeyRecord{Wrapped: file.seal(random, data[:], []byte(dataKeyKey)), Check: file.check()}
}

var (
	errWrongKey   = errors.New("this is not the key that the stored secrets were encrypted with")
	errDamagedKey = errors.New("the stored data key is damaged")
)

func (r dataKeyRecord) unwrap(file cryptKey) (data cryptKey, err error) {
	if !hmac.Equal([]byte(r.Check), []byte(file.check())) {
		return data, errWrongKey
	}
	plain, err := file.open(r.Wrapped, []byte(dataKeyKey))
	if err != nil || len(plain) != len(data) {
		return data, errDamagedKey
	}
	return cryptKey(plain), nil
}
