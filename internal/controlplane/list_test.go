package controlplane

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/popkv/popkv"
)

func names(page StorePage) (all []string) {
	for _, s := range page.Stores {
		all = append(all, s.Name)
	}
	return all
}

func (w *world) list(q StoreQuery) StorePage {
	w.t.Helper()
	page, err := w.List(w.t.Context(), root.Account, q)
	if err != nil {
		w.t.Fatalf("list %+v: %v", q, err)
	}
	return page
}

func TestListPages(t *testing.T) {
	w := newWorld(t, Options{Source: &documents{}})
	if page := w.list(StoreQuery{MaxItems: 1}); len(page.Stores) != 0 || page.Next != "" || page.MaxItems != 1 {
		t.Errorf("an account without stores: %+v", page)
	}
	for _, name := range []string{"b", "B", "a_", "a-", "a", "0"} {
		w.create(NewStore{Name: name})
	}
	if _, err := w.Create(t.Context(), popkv.Caller{Account: "123456789013"}, NewStore{Name: "other"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		query StoreQuery
		want  []string
		next  string
	}{
		{"all, in byte order", StoreQuery{MaxItems: 100}, []string{"0", "B", "a", "a-", "a_", "b"}, ""},
		{"a first page", StoreQuery{MaxItems: 2}, []string{"0", "B"}, "B"},
		{"the page after", StoreQuery{MaxItems: 2, Marker: "B"}, []string{"a", "a-"}, "a-"},
		{"the last page, full", StoreQuery{MaxItems: 2, Marker: "a-"}, []string{"a_", "b"}, ""},
		{"after the last", StoreQuery{MaxItems: 2, Marker: "b"}, nil, ""},
		{"after a store that is gone", StoreQuery{MaxItems: 1, Marker: "C"}, []string{"a"}, "a"},
		{"a marker that is no name", StoreQuery{MaxItems: 9, Marker: "a/\xff"}, []string{"a_", "b"}, ""},
		{"a marker beyond every key", StoreQuery{MaxItems: 9, Marker: "\xff\xff"}, nil, ""},
		{"only READY ones", StoreQuery{MaxItems: 9, Status: "READY"}, []string{"0", "B", "a", "a-", "a_", "b"}, ""},
		{"a status in another case", StoreQuery{MaxItems: 9, Status: "ready"}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			page := w.list(c.query)
			if diff := cmp.Diff(c.want, names(page)); diff != "" || page.Next != c.next {
				t.Errorf("next %q, want %q; names (-want +got):\n%s", page.Next, c.next, diff)
			}
		})
	}
	if _, err := w.List(t.Context(), root.Account, StoreQuery{}); popkv.KindOf(err) != popkv.Invalid {
		t.Errorf("MaxItems 0: %v", err)
	}
	if diff := cmp.Diff(w.describe("a-"), w.list(StoreQuery{MaxItems: 1, Marker: "a"}).Stores[0]); diff != "" {
		t.Errorf("described and listed differ:\n%s", diff)
	}
}

// Divergence 16.
func TestListCapsMaxItems(t *testing.T) {
	w := newWorld(t, Options{})
	for i := range 101 {
		w.create(NewStore{Name: fmt.Sprintf("s%03d", i)})
	}
	page := w.list(StoreQuery{MaxItems: 1000})
	if len(page.Stores) != 100 || page.MaxItems != 100 || page.Next != "s099" {
		t.Errorf("%d stores, MaxItems %d, next %q", len(page.Stores), page.MaxItems, page.Next)
	}
}

// Pages of any size, with any filter, make up the whole.
func TestListPagesMakeUpTheWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, Options{})
		defer w.stop()
		all := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zA-Z0-9_-]{1,3}`), 0, 20, func(s string) string { return s }).Draw(rt, "names")
		for _, name := range all {
			w.create(NewStore{Name: name})
		}
		slices.Sort(all)
		q := StoreQuery{MaxItems: rapid.IntRange(1, 25).Draw(rt, "MaxItems"), Status: rapid.SampledFrom([]string{"", "READY"}).Draw(rt, "status")}
		var got []string
		for {
			page := w.list(q)
			if page.Next == "" {
				got = append(got, names(page)...)
				break
			}
			if len(page.Stores) != q.MaxItems {
				rt.Fatalf("a page of %d that is not the last, MaxItems %d", len(page.Stores), q.MaxItems)
			}
			got = append(got, names(page)...)
			q.Marker = page.Next
		}
		if !slices.Equal(all, got) {
			rt.Fatalf("listed %q, want %q", got, all)
		}
	})
}
