package snapshot

import (
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/dchest/siphash"
	"github.com/google/go-cmp/cmp"
	"github.com/popkv/popkv"
	"pgregory.net/rapid"
)

// A model is what a snapshot must equal: a map, and nothing clever.
type model map[string]string

func (m model) keys() []string { return slices.Sorted(maps.Keys(m)) }

func (m model) items() []popkv.Item {
	var items []popkv.Item
	for k, v := range m { // in no order
		items = append(items, popkv.Item{Key: k, Value: v})
	}
	return items
}

func (m model) after(key string) []popkv.Item {
	var items []popkv.Item
	for _, k := range m.keys() {
		if k > key {
			items = append(items, popkv.Item{Key: k, Value: m[k]})
		}
	}
	return items
}

func (m model) apply(c Change) model {
	next := maps.Clone(m)
	for _, item := range c.Puts {
		next[item.Key] = item.Value
	}
	for _, key := range c.Deletes {
		delete(next, key)
	}
	return next
}

func (m model) sizeBytes() (n int64) {
	for k, v := range m {
		n += int64(len(k) + len(v))
	}
	return n
}

// digest computes the definition with big numbers and keyed hashing of bytes
// put together here.
func (m model) digest(key DigestKey) Digest {
	le := func(b []byte) *big.Int {
		b = slices.Clone(b)
		slices.Reverse(b)
		return new(big.Int).SetBytes(b)
	}
	sum := new(big.Int)
	for k, v := range m {
		var input []byte
		for n := len(k); ; n >>= 7 {
			if n < 0x80 {
				input = append(input, byte(n))
				break
			}
			input = append(input, byte(n)|0x80)
		}
		h := siphash.New128(key[:])
		h.Write(append(append(input, k...), v...))
		sum.Add(sum, le(h.Sum(nil)))
	}
	sum.Mod(sum, new(big.Int).Lsh(big.NewInt(1), 128))
	var d Digest
	sum.FillBytes(d[:])
	slices.Reverse(d[:])
	return d
}

func collect(s *Snapshot, after string) []popkv.Item {
	var items []popkv.Item
	for k, v := range s.After(after) {
		items = append(items, popkv.Item{Key: k, Value: v})
	}
	return items
}

// equal compares all that a snapshot says of itself with the model.
func equal(s *Snapshot, m model) error {
	if diff := cmp.Diff(m.after(""), collect(s, "")); diff != "" {
		return fmt.Errorf("items (-want +got):\n%s", diff)
	}
	type counts struct {
		Items     int
		SizeBytes int64
		Digest    Digest
	}
	want := counts{len(m), m.sizeBytes(), m.digest(s.Key())}
	if diff := cmp.Diff(want, counts{s.Len(), s.SizeBytes(), s.Digest()}); diff != "" {
		return fmt.Errorf("counts (-want +got):\n%s", diff)
	}
	var again counts
	again.Items, again.SizeBytes, again.Digest = s.Recount()
	if diff := cmp.Diff(want, again); diff != "" {
		return fmt.Errorf("recount (-want +got):\n%s", diff)
	}
	return sound(s)
}

// sound checks the structure's own rules.
func sound(s *Snapshot) error {
	var heap int64
	for i, n := range s.root.children {
		if len(n.children) == 0 || len(n.children) > maxNodeBlocks {
			return fmt.Errorf("node %d has %d blocks", i, len(n.children))
		}
		var own int64
		for j, b := range n.children {
			if b.len() == 0 || b.len() > maxBlockPairs || len(b) > maxBlockBytes && b.len() > 1 {
				return fmt.Errorf("block %d.%d has %d pairs and %d bytes", i, j, b.len(), len(b))
			}
			own += int64(cap(b)) + blockSlotBytes
		}
		if own != n.heapBytes {
			return fmt.Errorf("node %d counts %d heap bytes, has %d", i, n.heapBytes, own)
		}
		heap += own
		if err := soundRow(&n.row); err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
	}
	if heap != s.heapBytes {
		return fmt.Errorf("the snapshot counts %d heap bytes, has %d", s.heapBytes, heap)
	}
	return soundRow(&s.root)
}

func soundRow[T child[T]](r *row[T]) error {
	fresh := newRow(r.children)
	if diff := cmp.Diff([]any{fresh.common, fresh.heads}, []any{r.common, r.heads}); diff != "" {
		return fmt.Errorf("search data (-want +got):\n%s", diff)
	}
	return nil
}

// keys draws keys that crowd every way of comparing: few short ones, zero
// bytes (which look like padding), long common prefixes, lone outliers.
func keys() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringOfN(rapid.RuneFrom([]rune("ab\x00")), 1, 4, -1),
		rapid.StringOfN(rapid.RuneFrom([]rune{0, 'z', 'é', '\U0010ffff'}), 1, 12, -1),
		rapid.Custom(func(t *rapid.T) string { // the largest bytes there are, though no UTF-8
			return strings.Repeat("\xff", rapid.IntRange(7, 40).Draw(t, "n")) + rapid.StringN(0, 1, -1).Draw(t, "tail")
		}),
		rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("key-%06d", rapid.IntRange(0, 9999).Draw(t, "n")) }),
		rapid.Custom(func(t *rapid.T) string {
			return strings.Repeat("/long", rapid.IntRange(1, 60).Draw(t, "n")) + rapid.StringN(0, 2, -1).Draw(t, "tail")
		}),
	)
}

func values() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringN(0, 20, -1),
		rapid.Custom(func(t *rapid.T) string {
			n := rapid.SampledFrom([]int{500, 1024, 4000, 8190, 8192, 9000, 70000}).Draw(t, "length")
			return strings.Repeat(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "letter"), n)
		}),
	)
}

// changes draws valid changes, most of them about keys that exist.
func changes(m model) *rapid.Generator[Change] {
	existing := m.keys()
	return rapid.Custom(func(t *rapid.T) Change {
		key := keys()
		if len(existing) > 0 {
			key = rapid.OneOf(key, rapid.SampledFrom(existing))
		}
		var c Change
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0: // a whole stretch goes
			if len(existing) > 0 {
				i := rapid.IntRange(0, len(existing)-1).Draw(t, "from")
				c.Deletes = slices.Clone(existing[i:min(len(existing), i+rapid.IntRange(1, 3000).Draw(t, "n"))])
				return c
			}
		case 1: // a stretch comes, at one place
			base := key.Draw(t, "base")
			for i := range rapid.IntRange(1, 3000).Draw(t, "n") {
				c.Puts = append(c.Puts, popkv.Item{Key: fmt.Sprintf("%s/%05d", base, i), Value: "v"})
			}
			return c
		case 2: // all but every n-th go, from a random order
			n := rapid.IntRange(2, 40).Draw(t, "n")
			for i, k := range existing {
				if i%n != 0 {
					c.Deletes = append(c.Deletes, k)
				}
			}
			return c
		}
		for _, k := range rapid.SliceOfNDistinct(key, 1, 20, rapid.ID).Draw(t, "keys") {
			if rapid.Bool().Draw(t, "put") {
				c.Puts = append(c.Puts, popkv.Item{Key: k, Value: values().Draw(t, "value")})
			} else {
				c.Deletes = append(c.Deletes, k)
			}
		}
		return c
	})
}

func TestSnapshotsEqualTheModelAndNeverChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := DigestKey(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "digest key"))
		m := model{}
		for i := range rapid.SampledFrom([]int{0, 0, 1, 64, 65, 2561, 6000}).Draw(t, "base") {
			m[fmt.Sprintf("key-%06d", i)] = fmt.Sprint("value ", i)
		}
		s, err := Build(key, m.items())
		if err != nil {
			t.Fatal(err)
		}
		type version struct {
			s *Snapshot
			m model
		}
		history := []version{{s, m}}
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			// Mostly from the newest version, sometimes from an older one.
			from := history[len(history)-1]
			if rapid.IntRange(0, 4).Draw(t, "older") == 0 {
				from = rapid.SampledFrom(history).Draw(t, "from")
			}
			c := changes(from.m).Draw(t, "change")
			history = append(history, version{from.s.Apply(c), from.m.apply(c)})
		}
		for i, v := range history {
			if err := equal(v.s, v.m); err != nil {
				t.Fatalf("version %d: %v", i, err)
			}
		}
		last := history[len(history)-1]
		for _, k := range append(rapid.SliceOfN(keys(), 10, 10).Draw(t, "probes"), last.m.keys()...) {
			value, ok := last.s.Get(k)
			want, wantOK := last.m[k]
			if value != want || ok != wantOK || last.s.Has(k) != wantOK {
				t.Fatalf("get %q: %q %v, want %q %v", k, value, ok, want, wantOK)
			}
		}
		after := keys().Draw(t, "after")
		if diff := cmp.Diff(last.m.after(after), collect(last.s, after)); diff != "" {
			t.Fatalf("after %q (-want +got):\n%s", after, diff)
		}
	})
}

func TestEffectiveDropsWhatChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.MapOfN(keys(), values(), 0, 30).Draw(t, "items")
		s, err := Build(DigestKey{1}, model(m).items())
		if err != nil {
			t.Fatal(err)
		}
		c := changes(m).Draw(t, "change")
		if len(c.Puts) > 0 && len(m) > 0 { // putting again what is there
			k := rapid.SampledFrom(model(m).keys()).Draw(t, "same")
			c.Puts = slices.DeleteFunc(c.Puts, func(i popkv.Item) bool { return i.Key == k })
			c.Deletes = slices.DeleteFunc(c.Deletes, func(d string) bool { return d == k })
			c.Puts = append(c.Puts, popkv.Item{Key: k, Value: m[k]})
		}
		e := s.Effective(c)
		want := model(m).apply(c)
		if got := s.Apply(e); got.Digest() != want.digest(s.Key()) || got.Len() != len(want) {
			t.Fatalf("the effective change leads elsewhere")
		}
		if e.Empty() != maps.Equal(m, want) {
			t.Fatalf("effective %v of %v on %v", e, c, m)
		}
		for _, item := range e.Puts {
			if old, ok := m[item.Key]; ok && old == item.Value {
				t.Fatalf("put of %q kept", item.Key)
			}
		}
		for _, k := range e.Deletes {
			if _, ok := m[k]; !ok {
				t.Fatalf("delete of %q kept", k)
			}
		}
	})
}

// Long random walks of single-key changes: what one snapshot after another
// adds up to, and that nothing of the structure wears out.
func TestManySmallChangesKeepTheStructureSound(t *testing.T) {
	for name, next := range map[string]func(r *rand.Rand, i int) string{
		"ascending":  func(_ *rand.Rand, i int) string { return fmt.Sprintf("%08d", i) },
		"descending": func(_ *rand.Rand, i int) string { return fmt.Sprintf("%08d", 1<<20-i) },
		"random":     func(r *rand.Rand, _ int) string { return fmt.Sprintf("%08x", r.Uint32()) },
	} {
		t.Run(name, func(t *testing.T) {
			n := 8000
			if os.Getenv("POPKV_TEST_LONG") != "" {
				n = 200_000
			}
			r := rand.New(rand.NewPCG(1, 2))
			s, m := Empty(DigestKey{7}), model{}
			for i := range n {
				k := next(r, i)
				s = s.Apply(Change{Puts: []popkv.Item{{Key: k, Value: "v"}}})
				m[k] = "v"
			}
			if err := equal(s, m); err != nil {
				t.Fatal(err)
			}
			if per := float64(s.MemoryBytes()-s.SizeBytes()) / float64(s.Len()); per > 24 {
				t.Errorf("%.1f B per pair over the payload", per)
			}
			order := m.keys()
			if name != "ascending" {
				slices.Reverse(order)
			}
			for i, k := range order {
				if i%(n/100) != 0 {
					s = s.Apply(Change{Deletes: []string{k}})
					delete(m, k)
				}
			}
			if err := equal(s, m); err != nil {
				t.Fatal(err)
			}
			if blocks := len(s.root.children[0].children); len(s.root.children) > 1 || blocks > 12 {
				t.Errorf("100 pairs lie in %d nodes, the first of %d blocks", len(s.root.children), blocks)
			}
			for _, k := range m.keys() {
				s = s.Apply(Change{Deletes: []string{k}})
			}
			if err := equal(s, model{}); err != nil {
				t.Fatal(err)
			}
		})
	}
}
