package controlplane

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/pebblejournal"
	"github.com/popkv/popkv/internal/s3import"
)

// A document of n items, key and value of an item itemBytes together.
func benchDocument(n, itemBytes int) []byte {
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

var benchShapes = []struct {
	name             string
	items, itemBytes int
}{
	{"small=58909", 58_909, 89},
	{"large=5693", 5_693, 921},
}

// BenchmarkImport is a create with ImportSource from the document's first byte
// to READY, on disk. Its floor is BenchmarkImportFloor.
func BenchmarkImport(b *testing.B) {
	for _, shape := range benchShapes {
		b.Run(shape.name, func(b *testing.B) {
			doc := benchDocument(shape.items, shape.itemBytes)
			drv, err := pebblejournal.Open(filepath.Join(b.TempDir(), "data"), pebblejournal.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer drv.Close()
			j, err := journal.Open(b.Context(), drv, journal.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			ended := make(chan string, 1)
			limits := popkv.DefaultLimits()
			limits.ImportBytes, limits.StoreBytes, limits.Stores = 64<<20, 64<<20, 1<<20
			s := New(j, Options{Limits: limits, Source: inMemory(doc), Progress: func(p ImportProgress) {
				if p.Done {
					ended <- p.Reason
				}
			}})
			ctx, cancel := context.WithCancel(b.Context())
			running := make(chan error)
			go func() { running <- s.Run(ctx) }()
			b.SetBytes(int64(len(doc)))
			for n := 0; b.Loop(); n++ {
				if _, err := s.Create(ctx, root, NewStore{Name: fmt.Sprint("s", n), Import: importOf("x")}); err != nil {
					b.Fatal(err)
				}
				if reason := <-ended; reason != "" {
					b.Fatal(reason)
				}
			}
			cancel()
			<-running
		})
	}
}

// BenchmarkImportFloor is encoding/json's Unmarshal and one synced batch with
// every pair.
func BenchmarkImportFloor(b *testing.B) {
	for _, shape := range benchShapes {
		b.Run(shape.name, func(b *testing.B) {
			doc := benchDocument(shape.items, shape.itemBytes)
			db, err := pebble.Open(filepath.Join(b.TempDir(), "data"), &pebble.Options{Logger: quiet{}})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			b.SetBytes(int64(len(doc)))
			for n := 0; b.Loop(); n++ {
				var v struct {
					Data []struct{ Key, Value string }
				}
				if err := json.Unmarshal(doc, &v); err != nil {
					b.Fatal(err)
				}
				batch := db.NewBatch()
				prefix := fmt.Sprintf("s%06d/", n)
				for _, item := range v.Data {
					if err := batch.Set([]byte(prefix+item.Key), []byte(item.Value), nil); err != nil {
						b.Fatal(err)
					}
				}
				if err := batch.Commit(pebble.Sync); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)      {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// An inMemory source has one document, wherever it is asked for.
type inMemory []byte

func (m inMemory) Size(s3import.Location) (int64, bool) { return int64(len(m)), true }

func (m inMemory) Open(context.Context, s3import.Location) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader(m)), -1, nil
}
