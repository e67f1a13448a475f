package pebblejournal

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/dchest/siphash"

	"github.com/popkv/popkv/internal/journal"
)

// A key's value in the engine is its revision, 8 bytes big-endian, and then
// the value proper.
const revBytes = 8

func splitValue(stored []byte) (journal.Rev, []byte, error) {
	if len(stored) < revBytes {
		return 0, nil, fmt.Errorf("%w: a value of %d bytes has no revision", ErrDamaged, len(stored))
	}
	return journal.Rev(binary.BigEndian.Uint64(stored)), stored[revBytes:], nil
}

// readError names the file when a read has met damage.
func readError(err error) error {
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, info.Path, info.Details)
	}
	return err
}

// kindOf is what a key has before its first slash.
func kindOf(key string) string {
	kind, _, _ := strings.Cut(key, "/")
	return kind
}

// cold kinds are many and hardly ever guarded: their revisions are not cached.
func cold(key string) bool {
	kind := kindOf(key)
	return kind == "l" || kind == "c"
}

// inRoot reports whether the root digest covers key. Records and chunks are
// covered by their store's hashes; intents end with the process.
func inRoot(key string) bool {
	switch kindOf(key) {
	case "l", "c", "i", "r":
		return false
	}
	return true
}

// A digest is a sum modulo 2^128 of one term for each key, in any order. It
// claims to find accidents, not forgery.
type digest struct{ lo, hi uint64 }

const digestBytes = 16

func (d digest) plus(t digest) digest {
	lo, carry := bits.Add64(d.lo, t.lo, 0)
	hi, _ := bits.Add64(d.hi, t.hi, carry)
	return digest{lo, hi}
}

func (d digest) minus(t digest) digest {
	lo, borrow := bits.Sub64(d.lo, t.lo, 0)
	hi, _ := bits.Sub64(d.hi, t.hi, borrow)
	return digest{lo, hi}
}

func (d digest) append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, d.hi), d.lo)
}

func decodeDigest(b []byte) digest {
	return digest{hi: binary.BigEndian.Uint64(b), lo: binary.BigEndian.Uint64(b[8:])}
}

// A termer computes terms: SipHash-2-4-128, keyed with the directory's
// identity, of the key's length, the key and what the engine stores.
type termer struct {
	k0, k1  uint64
	scratch []byte
}

func newTermer(id journal.ID) *termer {
	return &termer{k0: binary.BigEndian.Uint64(id[:8]), k1: binary.BigEndian.Uint64(id[8:])}
}

func (t *termer) term(key, stored []byte) digest {
	b := binary.BigEndian.AppendUint32(t.scratch[:0], uint32(len(key)))
	b = append(append(b, key...), stored...)
	t.scratch = b
	lo, hi := siphash.Hash128(t.k0, t.k1, b)
	return digest{lo, hi}
}

// rootKey is the record that every batch puts: what the engine held after it.
var rootKey = []byte("r")

// A root is
//
//	version 1 | identity 16 | sequence 8 | last revision 8 | digest 16
//
// big-endian, stored without a revision.
type root struct {
	id       journal.ID
	sequence uint64 // of the batch, from 1
	rev      journal.Rev
	digest   digest
}

const (
	rootVersion = 1
	rootBytes   = 1 + 16 + 8 + 8 + digestBytes
)

func (r root) encode() []byte {
	b := append([]byte{rootVersion}, r.id[:]...)
	b = binary.BigEndian.AppendUint64(b, r.sequence)
	b = binary.BigEndian.AppendUint64(b, uint64(r.rev))
	return r.digest.append(b)
}

func (r root) mark() mark { return mark{r.sequence, r.digest} }

// readRoot returns the engine's root record.
func readRoot(r pebble.Reader) (root, error) {
	b, closer, err := r.Get(rootKey)
	if err != nil {
		return root{}, fmt.Errorf("read the root record: %w", readError(err))
	}
	defer closer.Close()
	if len(b) != rootBytes || b[0] != rootVersion {
		return root{}, fmt.Errorf("%w: the root record is not one", ErrDamaged)
	}
	return root{
		id:       journal.ID(b[1:17]),
		sequence: binary.BigEndian.Uint64(b[17:]),
		rev:      journal.Rev(binary.BigEndian.Uint64(b[25:])),
		digest:   decodeDigest(b[33:]),
	}, nil
}

// recount sums the terms of every key that the root digest covers. It seeks
// over records and chunks, so its cost grows with the number of stores and
// catalog records alone.
func recount(r pebble.Reader, id journal.ID) (digest, error) {
	it, err := r.NewIter(nil)
	if err != nil {
		return digest{}, err
	}
	defer it.Close()
	t := newTermer(id)
	var sum digest
	for ok := it.First(); ok; {
		key := string(it.Key())
		if !inRoot(key) {
			if kind := kindOf(key); len(key) > len(kind) {
				ok = it.SeekGE([]byte(kind + "0")) // the first key behind "kind/"
				continue
			}
		} else {
			value, err := it.ValueAndErr()
			if err != nil {
				return digest{}, readError(err)
			}
			sum = sum.plus(t.term(it.Key(), value))
		}
		ok = it.Next()
	}
	return sum, readError(it.Error())
}
