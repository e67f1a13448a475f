package snapshot

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/popkv/popkv"
)

func TestAnEmptySnapshotHasNothing(t *testing.T) {
	built, err := Build(DigestKey{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	emptied := Empty(DigestKey{1}).Apply(Change{Puts: []popkv.Item{{Key: "a", Value: "b"}}}).Apply(Change{Deletes: []string{"a"}})
	for name, s := range map[string]*Snapshot{"empty": Empty(DigestKey{1}), "built": built, "emptied": emptied} {
		if err := equal(s, model{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, ok := s.Get("a"); ok || s.Has("") || s.Digest() != (Digest{}) {
			t.Errorf("%s: holds something", name)
		}
		if s := s.Apply(Change{Deletes: []string{"a"}}); s.Len() != 0 {
			t.Errorf("%s: a delete adds", name)
		}
		if s.MemoryBytes() > 1024 {
			t.Errorf("%s: %d bytes", name, s.MemoryBytes())
		}
	}
}

func TestItemsAsLargeAsRaisedLimitsAllow(t *testing.T) {
	m := model{}
	for i := range 20 {
		m[fmt.Sprintf("%s%02d", strings.Repeat("k", 64<<10-2), i)] = strings.Repeat("v", 1<<20)
		m[fmt.Sprintf("small-%02d", i)] = "v"
	}
	s, err := Build(DigestKey{3}, m.items())
	if err != nil {
		t.Fatal(err)
	}
	back, err := FromChunks(DigestKey{3}, Chunks(s, 64<<10))
	if err != nil {
		t.Fatal(err)
	}
	for k := range m {
		c := Change{Puts: []popkv.Item{{Key: k, Value: strings.Repeat("w", 1<<20)}}}
		s, m = s.Apply(c), m.apply(c)
		if err := equal(s, m); err != nil {
			t.Fatal(err)
		}
	}
	for k := range m {
		s = s.Apply(Change{Deletes: []string{k}})
		back = back.Apply(Change{Deletes: []string{k}})
	}
	if s.Len() != 0 || back.Len() != 0 || s.Digest() != (Digest{}) || back.Digest() != (Digest{}) {
		t.Error("something is left")
	}
}

func TestBuildRefusesWhatNoStoreHolds(t *testing.T) {
	for name, test := range map[string]struct {
		keys  string
		cause error
	}{
		"a key twice in a row":  {"aab", ErrDuplicateKey},
		"a key twice, unsorted": {"baca", ErrDuplicateKey},
		"an empty key":          {"a b", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var items []popkv.Item
			for _, r := range test.keys {
				items = append(items, popkv.Item{Key: strings.TrimSpace(string(r)), Value: "v"})
			}
			_, err := Build(DigestKey{}, items)
			if err == nil || popkv.KindOf(err) != popkv.Invalid || test.cause != nil && !errors.Is(err, test.cause) {
				t.Errorf("got %v", err)
			}
			b := NewBuilder(DigestKey{})
			err = nil
			for _, item := range items {
				err = errors.Join(err, b.Add([]byte(item.Key), []byte(item.Value)))
			}
			if _, finish := b.Finish(); popkv.KindOf(errors.Join(err, finish)) != popkv.Invalid {
				t.Errorf("builder: %v, %v", err, finish)
			}
		})
	}
}

// A key that comes again when its block is already closed must be found too.
func TestADuplicateFarBackIsFound(t *testing.T) {
	b := NewBuilder(DigestKey{})
	for i := range 1000 {
		if err := b.Add(fmt.Appendf(nil, "%04d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Add([]byte("0001"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Finish(); !errors.Is(err, ErrDuplicateKey) {
		t.Errorf("got %v", err)
	}
}

func TestBuildingIsTheSameInAnyOrder(t *testing.T) {
	m := model{}
	for i := range 5000 {
		m[fmt.Sprintf("%d", i*i)] = fmt.Sprint(i)
	}
	sorted := m.after("")
	backwards := slices.Clone(sorted)
	slices.Reverse(backwards)
	lastFirst := slices.Concat(sorted[len(sorted)-1:], sorted[:len(sorted)-1])
	lateStray := slices.Concat(sorted[1:], sorted[:1])
	for name, items := range map[string][]popkv.Item{"sorted": sorted, "backwards": backwards, "last first": lastFirst, "late stray": lateStray, "random": m.items()} {
		s, err := Build(DigestKey{9}, items)
		if err != nil {
			t.Fatal(err)
		}
		if err := equal(s, m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestApplyPanicsOnAChangeThatNamesAKeyTwice(t *testing.T) {
	for name, c := range map[string]Change{
		"two puts":         {Puts: []popkv.Item{{Key: "a"}, {Key: "a"}}},
		"two deletes":      {Deletes: []string{"a", "a"}},
		"put and delete":   {Puts: []popkv.Item{{Key: "a"}}, Deletes: []string{"a"}},
		"put of no key":    {Puts: []popkv.Item{{}}},
		"delete of no key": {Deletes: []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("applied")
				}
			}()
			Empty(DigestKey{}).Apply(c)
		})
	}
}

func TestLookupsDoNotAllocate(t *testing.T) {
	s := mustBuild(t, benchItems(10_000))
	for _, key := range []string{"redirect/a/000000008", "redirect/a/000000007", "", "zzz", strings.Repeat("long", 100)} {
		if n := testing.AllocsPerRun(100, func() { s.View(key); s.Has(key) }); n != 0 {
			t.Errorf("%q: %v allocations", key, n)
		}
	}
}

func TestAfterGivesCopiesAndStopsWhenAsked(t *testing.T) {
	s := mustBuild(t, []popkv.Item{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}, {Key: "c", Value: "3"}})
	var got []string
	for k, v := range s.After("a") {
		got = append(got, k+v)
		break
	}
	if diff := cmp.Diff([]string{"b2"}, got); diff != "" {
		t.Error(diff)
	}
	value, _ := s.View("a")
	if cap(value) != 1 {
		t.Errorf("a view of 1 byte has room for %d", cap(value))
	}
}

// An update must share all but its own path with the version before.
func TestApplyCopiesOneBlockOfOneNode(t *testing.T) {
	items := benchItems(20_000)
	old := mustBuild(t, items)
	next := old.Apply(Change{Puts: []popkv.Item{{Key: items[0].Key, Value: "new"}}})
	copied := 0
	for i, n := range next.root.children {
		if n == old.root.children[i] {
			continue
		}
		for j, b := range n.children {
			if &b[0] != &old.root.children[i].children[j][0] {
				copied++
			}
		}
	}
	if copied != 1 {
		t.Errorf("%d blocks copied", copied)
	}
}

func TestMemoryStaysWithinTwentyFourBytesAPair(t *testing.T) {
	s := mustBuild(t, benchItems(100_000))
	if per := float64(s.MemoryBytes()-s.SizeBytes()) / float64(s.Len()); per > 24 {
		t.Errorf("%.1f B per pair over the payload", per)
	}
}

// The first published vectors of SipHash-2-4-128: key 00 01 .. 0f, input
// nothing, 00, 00 01.
func TestDigestTermsAreSipHash128(t *testing.T) {
	var key DigestKey
	for i := range key {
		key[i] = byte(i)
	}
	for n, want := range []string{"a3817f04ba25a8e66df67214c7550293", "da87c1d86b99af44347659119b22fc45", "8177228da4a45dc7fca38bdef60affe4"} {
		if got := key.term(pair{0, 1, 2}[:n]).digest(); hex.EncodeToString(got[:]) != want || got.String() != want {
			t.Errorf("%d bytes: %s, want %s", n, got, want)
		}
	}
}

// Damage in memory must show in a recount: the control of the scrub.
func TestRecountSeesAFlippedBit(t *testing.T) {
	s := mustBuild(t, benchItems(1000))
	value, _ := s.View("redirect/a/000000008")
	value[0] ^= 1
	if _, _, d := s.Recount(); d == s.Digest() {
		t.Error("the digest is the same")
	}
}
