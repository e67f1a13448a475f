package s3import

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/snapshot"
)

// testDocument makes a document of n items; key and value of an item take
// itemBytes bytes together, the key 21 of them.
func testDocument(n, itemBytes int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"data":[`)
	value := bytes.Repeat([]byte("abcdefgh/jklmnop"), itemBytes/16+1)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"key":"path/%02d/prefix-%06d","value":"%s"}`, i%97, i, value[i%16:][:itemBytes-21])
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func roomy() popkv.Limits {
	l := popkv.DefaultLimits()
	l.ImportBytes = 64 << 20
	l.StoreBytes = 64 << 20
	return l
}

var shapes = []struct {
	name      string
	items     int
	itemBytes int
}{
	{"small=58909", 58_909, 89},
	{"large=5693", 5_693, 921},
}

// BenchmarkUnmarshal is the floor that an import is compared with, but for the
// one synced batch.
func BenchmarkUnmarshal(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			doc := testDocument(s.items, s.itemBytes)
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				var v struct {
					Data []struct{ Key, Value string }
				}
				if err := json.Unmarshal(doc, &v); err != nil || len(v.Data) != s.items {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			doc := testDocument(s.items, s.itemBytes)
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				stats, err := Read(bytes.NewReader(doc), roomy(), func(key, value []byte) error { return nil })
				if err != nil || stats.Items != s.items {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLoad reads a document into a snapshot: all of an import but for the
// commit.
func BenchmarkLoad(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			doc := testDocument(s.items, s.itemBytes)
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				snap, err := Load(b.Context(), inMemory(doc), Location{}, snapshot.DigestKey{}, roomy(), func(Stats) {})
				if err != nil || snap.Len() != s.items {
					b.Fatal(err)
				}
			}
		})
	}
}

// An inMemory source has one document, wherever it is asked for.
type inMemory []byte

func (m inMemory) Size(Location) (int64, bool) { return int64(len(m)), true }

func (m inMemory) Open(context.Context, Location) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader(m)), -1, nil
}
