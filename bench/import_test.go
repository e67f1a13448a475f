package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/controlplane"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/pebblejournal"
	"github.com/popkv/popkv/internal/s3import"
)

// BenchmarkImport is the time of an import into a store of the largest size,
// from the first byte of the document to READY, on disk. The floor reads the
// same document with encoding/json and writes its pairs to the engine in one
// synced batch.
func BenchmarkImport(b *testing.B) {
	for _, shape := range []struct {
		name  string
		pairs int
	}{{"small", smallPairs}, {"large", largePairs}} {
		b.Run(shape.name, func(b *testing.B) {
			d := document(shape.pairs, fullBytes/shape.pairs)
			comparison{unit: "ms", floor: importFloor(b, d), subjects: []subject{
				{"import", "≤1.7", importer(b, d)},
			}}.run(b)
			b.ReportMetric(float64(len(d))/1e6, "document-MB")
		})
	}
}

// importer returns a function that makes one more store of the document.
func importer(b *testing.B, document []byte) func() float64 {
	b.Helper()
	driver, err := pebblejournal.Open(filepath.Join(b.TempDir(), "data"), pebblejournal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	j, err := journal.Open(b.Context(), driver, journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	limits := popkv.DefaultLimits()
	limits.ImportBytes, limits.Stores = 8<<20, 1<<20
	ended := make(chan controlplane.ImportProgress, 1)
	service := controlplane.New(j, controlplane.Options{Limits: limits, Source: inMemory(document), Progress: func(p controlplane.ImportProgress) {
		if p.Done {
			ended <- p
		}
	}})
	ctx, cancel := context.WithCancel(context.Background())
	running := make(chan error)
	go func() { running <- service.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		<-running
		if err := j.Close(); err != nil {
			b.Error(err)
		}
		if err := driver.Close(); err != nil {
			b.Error(err)
		}
	})
	stores := 0
	return func() float64 {
		stores++
		caller := popkv.Caller{Account: account, User: popkv.RootUser}
		source := &controlplane.ImportSource{Type: "S3", ARN: "arn:aws:s3:::bucket/document.json"}
		if _, err := service.Create(ctx, caller, controlplane.NewStore{Name: fmt.Sprint("store-", stores), Import: source}); err != nil {
			b.Fatal(err)
		}
		p := <-ended
		if p.Reason != "" {
			b.Fatal(p.Reason)
		}
		return p.Took.Seconds() * 1e3
	}
}

// An inMemory source has one document, whatever it is asked for.
type inMemory []byte

// Size implements [s3import.Source].
func (m inMemory) Size(s3import.Location) (int64, bool) { return int64(len(m)), true }

// Open implements [s3import.Source].
func (m inMemory) Open(context.Context, s3import.Location) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader(m)), int64(len(m)), nil
}

// importFloor returns a function that does what an import cannot do without,
// in an empty directory each time.
func importFloor(b *testing.B, document []byte) func() float64 {
	return func() float64 {
		b.Helper()
		db, err := pebble.Open(filepath.Join(b.TempDir(), "floor"), &pebble.Options{Logger: silence{}, MemTableSize: 16 << 20})
		if err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		err = writeDocument(db, document)
		took := time.Since(begin)
		if err := errors.Join(err, db.Close()); err != nil {
			b.Fatal(err)
		}
		return took.Seconds() * 1e3
	}
}

func writeDocument(db *pebble.DB, document []byte) error {
	var d struct {
		Data []struct {
			Key   string `json:"key"`
			Value string `json:"value"`
		} `json:"data"`
	}
	if err := json.Unmarshal(document, &d); err != nil {
		return err
	}
	batch := db.NewBatch()
	for _, pair := range d.Data {
		if err := batch.Set([]byte("store/"+pair.Key), []byte(pair.Value), nil); err != nil {
			return err
		}
	}
	return batch.Commit(pebble.Sync)
}

// silence is an engine's log that nobody reads.
type silence struct{}

func (silence) Infof(string, ...any)           {}
func (silence) Errorf(string, ...any)          {}
func (silence) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
