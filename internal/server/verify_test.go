package server

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// contentOf is everything that clients of s can read or that decides what they
// may: the catalog, and each store's items, counted anew.
func contentOf(t *testing.T, s *Server) map[string]string {
	t.Helper()
	content := map[string]string{}
	view, err := s.driver.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	for kv, err := range view.Scan("", "", 0) {
		if err != nil {
			t.Fatal(err)
		}
		if kind := kv.Key[0]; kind != 'l' && kind != 'c' {
			content[kv.Key] = string(kv.Value)
		}
	}
	for key := range maps.Clone(content) {
		text, ok := strings.CutPrefix(key, journal.ControlPrefix())
		if !ok {
			continue
		}
		id, _ := popkv.ParseStoreID(text)
		head, err := s.journal.Head(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		_, _, digest := head.Items.Recount()
		content["items/"+text] = digest.String()
	}
	return content
}

// flipOnDisk changes one bit of a file that a server has open, unless the
// engine has just deleted it.
func flipOnDisk(t *testing.T, name string, bit int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], bit/8); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1 << (bit % 8)
	if _, err := f.WriteAt(b[:], bit/8); err != nil {
		t.Fatal(err)
	}
}

// filesOf lists the files below dir that have contents, by kind, with sizes.
func filesOf(t *testing.T, dir string) map[string]map[string]int64 {
	t.Helper()
	kinds := map[string]map[string]int64{}
	for _, pattern := range []string{"*", "engine/*"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			info, err := os.Stat(name)
			if err != nil || info.IsDir() || info.Size() == 0 {
				continue // deleted meanwhile, or nothing to flip
			}
			kind, _, _ := strings.Cut(filepath.Base(name), "-")
			if ext := filepath.Ext(name); ext != "" {
				kind = ext
			}
			if kinds[kind] == nil {
				kinds[kind] = map[string]int64{}
			}
			kinds[kind][name] = info.Size()
		}
	}
	return kinds
}

// Bits flip in the files of a running server, whose caches are warm. A live
// verification reports the flip, or a restart finds every digest as it was.
func TestVerifyWhileServingMissesNoBitFlippedOnDisk(t *testing.T) {
	seed := rand.Uint64()
	if text := os.Getenv("POPKV_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("POPKV_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := filepath.Join(t.TempDir(), "data")
	s, stop := startWith(t, onDisk(dir), Options{})
	restart := func() error {
		if err := stop(); err != nil {
			return err
		}
		s, stop = startWith(t, onDisk(dir), Options{})
		return nil
	}
	for _, name := range []string{"a", "b", "c"} {
		newStore(t, s, name, bigDocument())
	}
	accessKeyOf(t, s, `{"User":"ann"}`)
	if report := verifyLive(t, s); !report.OK() { // and the data is in tables now
		t.Fatalf("sound data: %+v", report)
	}
	for _, kind := range []string{"FORMAT", "witness", "MANIFEST", "OPTIONS", ".log", ".sst"} {
		t.Run(kind, func(t *testing.T) {
			reported := 0
			const flips = 6
			for n := range flips {
				newStore(t, s, fmt.Sprintf("%s%d", strings.Trim(kind, "."), n), `{"data":[{"key":"k","value":"v"}]}`) // so that the log has something
				before := contentOf(t, s)
				files := filesOf(t, dir)[kind]
				for settled := kind != ".sst"; !settled; { // not a table that is being written, and used after the verification
					files = filesOf(t, dir)[kind]
					if report := verifyLive(t, s); !report.OK() {
						t.Fatalf("%+v", report)
					}
					settled = maps.Equal(files, filesOf(t, dir)[kind])
				}
				if len(files) == 0 {
					t.Fatalf("no file of kind %s in %v", kind, filesOf(t, dir))
				}
				names := slices.Sorted(maps.Keys(files))
				name := names[rng.IntN(len(names))]
				bit := rng.Int64N(files[name] * 8)
				flipOnDisk(t, name, bit)
				if report := verifyLive(t, s); !report.OK() {
					reported++
					flipOnDisk(t, name, bit)
				} else if err := restart(); err != nil {
					t.Fatalf("bit %d of %s: stop: %v", bit, name, err)
				}
				if report := verifyLive(t, s); !report.OK() {
					t.Fatalf("bit %d of %s passed the verification: %+v", bit, name, report.Findings)
				}
				if diff := cmp.Diff(before, contentOf(t, s)); diff != "" {
					t.Fatalf("bit %d of %s passed the verification: %s", bit, name, diff)
				}
			}
			t.Logf("%d of %d reported", reported, flips)
		})
	}
}
