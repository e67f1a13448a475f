package pebblejournal

import (
	"bytes"
	"errors"
	"testing"

	"github.com/popkv/popkv/internal/journal"
)

func FuzzFormat(f *testing.F) {
	f.Add(encodeFormat(journal.ID{1, 2, 3}))
	f.Add([]byte(sealFormat(formatLine + "2\nidentity 00\nmore 1\n")))
	f.Add([]byte(sealFormat(formatLine + "1\nidentity 00\n")))
	f.Add([]byte("checksum "))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := decodeFormat(b)
		if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
			t.Fatalf("%q: %v", b, err)
		}
		if err == nil && !bytes.Equal(encodeFormat(id), b) {
			t.Fatalf("%q is read as %x, which is written as %q", b, id, encodeFormat(id))
		}
	})
}

func FuzzWitnessSlot(f *testing.F) {
	id := journal.ID{4, 5, 6}
	f.Add(mark{7, digest{8, 9}}.encode(id))
	f.Add(mark{}.encode(journal.ID{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, ok := decodeMark(b, id); ok && !bytes.Equal(m.encode(id), b) {
			t.Fatalf("%x is read as %v, which is written as %x", b, m, m.encode(id))
		}
	})
}
