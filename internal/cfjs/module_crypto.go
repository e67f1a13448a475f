package cfjs

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"hash"

	"github.com/grafana/sobek"
)

// cryptoMethods: `import crypto from 'crypto'`.
func cryptoMethods() map[string]hostMethod {
	return map[string]hostMethod{
		"createHash": (*invocation).createHash,
		"createHmac": (*invocation).createHmac,
	}
}

// hashMethods: what createHash and createHmac return.
func hashMethods() map[string]hostMethod {
	return map[string]hostMethod{
		"update": (*invocation).hashUpdate,
		"digest": (*invocation).hashDigest,
	}
}

var hashAlgorithms = map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New}

func (inv *invocation) algorithm(v sobek.Value) func() hash.Hash {
	if !sobek.IsString(v) {
		panic(inv.typeError("algorithm must be a string"))
	}
	algorithm, ok := hashAlgorithms[v.String()]
	if !ok {
		panic(inv.typeError(`not supported algorithm: "` + v.String() + `"`))
	}
	return algorithm
}

func (inv *invocation) createHash(c sobek.FunctionCall) sobek.Value {
	return inv.newHash(inv.algorithm(c.Argument(0))())
}

func (inv *invocation) createHmac(c sobek.FunctionCall) sobek.Value {
	algorithm := inv.algorithm(c.Argument(0))
	return inv.newHash(hmac.New(algorithm, inv.hashInput(c.Argument(1), sobek.Undefined(), "key")))
}

func (inv *invocation) newHash(h hash.Hash) *sobek.Object {
	o := inv.install(inv.vm.NewObject(), inv.program.tables.hash)
	if inv.hashes == nil {
		inv.hashes = map[*sobek.Object]hash.Hash{}
	}
	inv.hashes[o] = h
	return o
}

// hashInput returns the bytes of a string or of a view of bytes.
func (inv *invocation) hashInput(v, encoding sobek.Value, name string) []byte {
	if sobek.IsString(v) {
		if inv.program.runtime == Runtime10 {
			return byteString(v)
		}
		return inv.encodingOf(encoding).decode(v.String())
	}
	data, ok := rawBytes(v)
	if !ok {
		panic(inv.typeError(name + ` argument "` + typeName(v) + `" is not a string or Buffer-like object`))
	}
	return data
}

// openHash returns the state behind `this`; nil stands for one that was read.
func (inv *invocation) openHash(v sobek.Value) (*sobek.Object, hash.Hash) {
	o, _ := v.(*sobek.Object)
	h, ok := inv.hashes[o]
	if !ok {
		panic(inv.typeError(`"this" is not a hash object`))
	}
	if h == nil {
		panic(inv.newError("Error", "Digest already called"))
	}
	return o, h
}

func (inv *invocation) hashUpdate(c sobek.FunctionCall) sobek.Value {
	_, h := inv.openHash(c.This)
	h.Write(inv.hashInput(c.Argument(0), c.Argument(1), "data"))
	return c.This
}

// hashDigest returns text in an encoding, or a buffer without one; runtime 1.0
// returns a byte string then (documented).
func (inv *invocation) hashDigest(c sobek.FunctionCall) sobek.Value {
	o, h := inv.openHash(c.This)
	encoding := c.Argument(0)
	if sobek.IsUndefined(encoding) {
		inv.hashes[o] = nil
		if inv.program.runtime == Runtime10 {
			return latin1(h.Sum(nil))
		}
		return inv.bufferClass().make(h.Sum(nil))
	}
	if !sobek.IsString(encoding) {
		panic(inv.typeError("encoding must be a string"))
	}
	switch encoding.String() {
	case "hex", "base64", "base64url":
		inv.hashes[o] = nil
		return inv.vm.ToValue(byteEncodings[encoding.String()].encode(h.Sum(nil)))
	}
	panic(inv.typeError(`Unknown digest encoding: "` + encoding.String() + `"`))
}
