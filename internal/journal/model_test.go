package journal_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/snapshot"
)

// A modelStore is what a store must look like.
type modelStore struct {
	version uint64
	status  popkv.Status
	items   map[string]string
	dropped bool
}

// A machine runs random operations on a journal and on a model.
type machine struct {
	t      *testing.T
	driver *memjournal.Driver
	j      *journal.Journal
	ids    []popkv.StoreID
	model  map[popkv.StoreID]*modelStore
}

func (m *machine) open() {
	j, err := journal.Open(context.Background(), m.driver, journal.Options{
		MemoryBudgetBytes: 1 << 20, // a few stores
		HistoryVersions:   20,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.j = j
}

// pick returns one of the stores that ever were.
func (m *machine) pick(r *rapid.T) popkv.StoreID {
	if len(m.ids) == 0 {
		r.Skip("no store yet")
	}
	return rapid.SampledFrom(m.ids).Draw(r, "store")
}

// expect returns the kind of error that an operation on the store must have.
func expect(s *modelStore, needsReady bool) (popkv.Kind, bool) {
	if s.dropped || needsReady && s.status != popkv.Ready {
		return popkv.WrongState, true
	}
	return 0, false
}

func checkError(r *rapid.T, err error, s *modelStore, needsReady bool) bool {
	kind, fails := expect(s, needsReady)
	if fails != (err != nil) || fails && popkv.KindOf(err) != kind {
		r.Fatalf("%+v: got %v", s, err)
	}
	return fails
}

// values are short, or long enough to need a fold or a reset soon.
func values() *rapid.Generator[string] {
	return rapid.Custom(func(r *rapid.T) string {
		n := rapid.SampledFrom([]int{0, 1, 40, 9 << 10, 50 << 10, 70 << 10}).Draw(r, "length")
		return strings.Repeat(rapid.StringOfN(rapid.RuneFrom([]rune("abc")), 1, 1, -1).Draw(r, "letter"), n)
	})
}

func (m *machine) create(r *rapid.T) {
	if len(m.ids) >= 6 {
		r.Skip("enough stores")
	}
	status := rapid.SampledFrom([]popkv.Status{popkv.Ready, popkv.Provisioning}).Draw(r, "status")
	id := newStoreIn(m.t, m.j, status)
	m.ids = append(m.ids, id)
	m.model[id] = &modelStore{1, status, map[string]string{}, false}
}

func (m *machine) update(r *rapid.T) {
	id := m.pick(r)
	s := m.model[id]
	keys := rapid.SliceOfNDistinct(rapid.IntRange(0, 11), 1, 3, rapid.ID).Draw(r, "keys")
	var c snapshot.Change
	next := maps.Clone(s.items)
	for _, n := range keys {
		key := fmt.Sprint("key", n)
		if rapid.IntRange(0, 3).Draw(r, "delete") == 0 {
			c.Deletes = append(c.Deletes, key)
			delete(next, key)
		} else {
			v := values().Draw(r, "value")
			c.Puts = append(c.Puts, popkv.Item{Key: key, Value: v})
			next[key] = v
		}
	}
	h, err := m.j.Update(context.Background(), id, principal, func(*journal.Head) (snapshot.Change, error) { return c, nil })
	changes := !maps.Equal(next, s.items)
	if !changes && err == nil && !s.dropped {
		return // without effect a store in any status is left as it is
	}
	if checkError(r, err, s, true) {
		return
	}
	s.version++
	s.items = next
	if h.Version != s.version {
		r.Fatalf("version %d, want %d", h.Version, s.version)
	}
}

func (m *machine) fill(r *rapid.T) {
	id := m.pick(r)
	s := m.model[id]
	meta, err := m.j.Meta(context.Background(), id)
	if err != nil {
		checkError(r, err, s, false)
		return
	}
	next := map[string]string{"key0": values().Draw(r, "value"), "imported": "1"}
	snap := build(m.t, meta, "key0", next["key0"], "imported", "1")
	err = m.j.Import(context.Background(), id, principal, snap, nil)
	if s.status == popkv.Provisioning != (err == nil) {
		r.Fatalf("%+v: %v", s, err)
	}
	if err == nil {
		s.status, s.items = popkv.Ready, next
	}
}

func (m *machine) drop(r *rapid.T) {
	id := m.pick(r)
	s := m.model[id]
	err := m.j.Catalog(context.Background(), func(tx *journal.Tx) error {
		tx.Delete(journal.ControlKey(id))
		return tx.DropStore(id)
	})
	checkError(r, err, s, false)
	s.dropped = true
}

func (m *machine) restart(*rapid.T) {
	m.j.Close()
	m.driver = m.driver.Restart()
	m.open()
}

// crash leaves the old journal running on a driver that answers no more.
func (m *machine) crash(*rapid.T) {
	old := m.j
	m.driver = m.driver.Restart()
	m.open()
	old.Close()
}

func (m *machine) restore(r *rapid.T) {
	var b bytes.Buffer
	if _, err := m.j.Backup(context.Background(), &b, journal.BackupOptions{}); err != nil {
		r.Fatal(err)
	}
	m.j.Close()
	m.driver = restore(m.t, b.Bytes(), journal.RestoreOptions{})
	m.open()
	for _, id := range m.ids {
		if s := m.model[id]; !s.dropped {
			before := s.version
			s.version = head(m.t, m.j, id).Version
			if s.version < before+1<<40 {
				r.Fatalf("version %d after %d", s.version, before)
			}
		}
	}
}

// check compares everything with the model after each operation.
func (m *machine) check(r *rapid.T) {
	for _, id := range m.ids {
		s := m.model[id]
		h, err := m.j.Head(context.Background(), id)
		if checkError(r, err, s, false) {
			continue
		}
		if h.Version != s.version || h.Status != s.status || h.Meta.Items != len(s.items) {
			r.Fatalf("got %+v, want version %d, %s, %d items", h.Meta, s.version, s.status, len(s.items))
		}
		if diff := cmp.Diff(s.items, items(h)); diff != "" {
			r.Fatal(diff)
		}
	}
}

func TestAnySequenceOfOperationsAgreesWithTheModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := &machine{t: t, driver: newDriver(nil), model: map[popkv.StoreID]*modelStore{}}
		m.open()
		defer func() { m.j.Close() }()
		updates := slices.Repeat([]string{"update"}, 6)
		actions := map[string]func(*rapid.T){
			"create": m.create, "import": m.fill, "drop": m.drop, "restart": m.restart,
			"crash": m.crash, "restore": m.restore, "": m.check,
		}
		for i, name := range updates {
			actions[fmt.Sprint(name, i)] = m.update
		}
		r.Repeat(actions)
		report, err := journal.Verify(context.Background(), m.driver, journal.VerifyOptions{})
		if err != nil || !report.OK() {
			r.Fatalf("%v, %+v", err, report.Findings)
		}
	})
}
