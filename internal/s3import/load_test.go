package s3import

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	json "github.com/go-json-experiment/json"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/snapshot"
)

func TestLoadBuildsTheSnapshotOfTheDocument(t *testing.T) {
	type item struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) item {
			return item{rapid.StringN(1, 100, 500).Draw(t, "key"), rapid.StringN(0, 200, 1000).Draw(t, "value")}
		}), 0, 50, func(i item) string { return i.Key }).Draw(t, "items")
		doc, err := json.Marshal(map[string]any{"data": items})
		if err != nil {
			t.Skip(err) // not UTF-8
		}
		got, err := Load(context.Background(), inMemory(doc), Location{}, snapshot.DigestKey{1}, popkv.DefaultLimits(), func(Stats) {})
		if err != nil {
			t.Fatal(err)
		}
		var want []popkv.Item
		for _, i := range items {
			want = append(want, popkv.Item{Key: i.Key, Value: i.Value})
		}
		built, err := snapshot.Build(snapshot.DigestKey{1}, slices.Clone(want))
		if err != nil || built.Digest() != got.Digest() || built.Len() != got.Len() || built.SizeBytes() != got.SizeBytes() {
			t.Fatalf("built from the items: %d items, digest %x, %v; from the document: %d, %x", built.Len(), built.Digest(), err, got.Len(), got.Digest())
		}
	})
}

func TestLoadRefusesWholeDocuments(t *testing.T) {
	small := popkv.DefaultLimits()
	small.ImportBytes = 20
	for _, c := range []struct {
		name   string
		source Source
		limits popkv.Limits
		want   Reason
	}{
		{"two items of one key", inMemory(`{"data":[{"key":"a","value":"1"},{"key":"b","value":"1"},{"key":"a","value":"1"}]}`), popkv.DefaultLimits(), DuplicateKeys},
		{"one key twice, once with escapes", inMemory(`{"data":[{"key":"a","value":"1"},{"key":"\u0061","value":"2"}]}`), popkv.DefaultLimits(), DuplicateKeys},
		{"a syntax error after good items", inMemory(`{"data":[{"key":"a","value":"1"},{"key":"b","value":"1"}`), popkv.DefaultLimits(), NotJSON},
		{"a size that is told beforehand", told{inMemory(`{"data":[]}`), 6 << 20}, popkv.DefaultLimits(), TooLarge},
		{"a size that shows while reading", inMemory(`{"data":[]}          `), small, TooLarge},
		{"a document that is not there", absent{}, popkv.DefaultLimits(), Unreadable},
	} {
		t.Run(c.name, func(t *testing.T) {
			snap, err := Load(t.Context(), c.source, Location{}, snapshot.DigestKey{}, c.limits, func(Stats) {})
			if snap != nil || err == nil || ReasonOf(err) != c.want {
				t.Fatalf("%v, %v", snap, err)
			}
		})
	}
}

func TestLoadReportsProgress(t *testing.T) {
	doc := testDocument(10_000, 100)
	var reports []Stats
	_, err := Load(t.Context(), inMemory(doc), Location{}, snapshot.DigestKey{}, popkv.DefaultLimits(), func(s Stats) { reports = append(reports, s) })
	if err != nil {
		t.Fatal(err)
	}
	if len(reports) < 3 || len(reports) > 10 {
		t.Errorf("%d reports on %d bytes", len(reports), len(doc))
	}
	if diff := cmp.Diff(Stats{Bytes: int64(len(doc)), Items: 10_000, ItemBytes: 1_000_000}, reports[len(reports)-1]); diff != "" {
		t.Errorf("last report (-want +got):\n%s", diff)
	}
	if !slices.IsSortedFunc(reports, func(a, b Stats) int { return int(a.Bytes - b.Bytes) }) {
		t.Errorf("progress goes backwards: %v", reports)
	}
}

// An error of the document leaves the document closed, too.
func TestLoadClosesTheDocument(t *testing.T) {
	for _, r := range []io.Reader{bytes.NewReader([]byte(oneItem)), bytes.NewReader(nil), iotest.ErrReader(errors.New("broken"))} {
		source := &closing{Reader: r}
		Load(t.Context(), source, Location{}, snapshot.DigestKey{}, popkv.DefaultLimits(), func(Stats) {})
		if source.closed != 1 {
			t.Errorf("closed %d times", source.closed)
		}
	}
}

type told struct {
	inMemory
	size int64
}

func (s told) Open(ctx context.Context, l Location) (io.ReadCloser, int64, error) {
	r, _, err := s.inMemory.Open(ctx, l)
	return r, s.size, err
}

type absent struct{ inMemory }

func (absent) Open(context.Context, Location) (io.ReadCloser, int64, error) {
	return nil, 0, fail(Unreadable, -1, errors.New("no such object"))
}

type closing struct {
	inMemory
	io.Reader
	closed int
}

func (c *closing) Open(context.Context, Location) (io.ReadCloser, int64, error) { return c, -1, nil }
func (c *closing) Close() error                                                 { c.closed++; return nil }
