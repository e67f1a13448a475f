package dataplane

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/snapshot"
)

func TestDescribeTellsTheStore(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	created := r.now
	target, etag := r.ready(t)
	r.now = r.now.Add(90 * time.Second)
	o := must[Outcome](t)(r.Put(ctx, target, "key", "value", etag))
	got := must[Description](t)(r.Describe(ctx, target))
	want := Description{
		Counts: Counts{1, 8}, ARN: popkv.StoreARN(account, target.Store), ETag: o.ETag, Status: popkv.Ready,
		Created: created, LastModified: created.Add(90 * time.Second),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyDescribeAnswersForAStoreThatIsNotReady(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	const text = "Key-Value-Store was not in expected state"
	deleted := r.store(t, account, popkv.Ready, "")
	r.drop(t, deleted)
	foreign := r.store(t, "999999999999", popkv.Ready, "")
	for _, c := range []struct {
		name     string
		store    popkv.StoreID
		describe popkv.Kind // 0: it answers
		others   popkv.Kind
		text     string
	}{
		{"provisioning (divergence 9)", r.store(t, account, popkv.Provisioning, ""), 0, popkv.WrongState, text},
		{"import failure", r.store(t, account, popkv.ImportFailure, "Datasource is not valid JSON"), 0, popkv.WrongState, text},
		{"deleted (divergence 10)", deleted, popkv.WrongState, popkv.WrongState, text},
		{"never there (divergence 8)", popkv.NewStoreID(), popkv.StoreNotFound, popkv.StoreNotFound, "Key-Value-Store not found"},
		{"of another account under this one's ARN", foreign, popkv.StoreNotFound, popkv.StoreNotFound, "Key-Value-Store not found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := r.open(t, c.store)
			etag := popkv.DataETag(1)
			d, err := r.Describe(ctx, target)
			if c.describe != 0 {
				fails(t, err, c.describe, c.text)
			} else if err != nil || d.ETag != etag || d.Counts != (Counts{}) {
				t.Errorf("%+v, %v", d, err)
			}
			_, err = r.Get(ctx, target, "a")
			fails(t, err, c.others, c.text)
			_, err = r.List(ctx, target, 10, "")
			fails(t, err, c.others, c.text)
			_, err = r.Put(ctx, target, "a", "1", etag)
			fails(t, err, c.others, c.text)
			_, err = r.Delete(ctx, target, "a", etag)
			fails(t, err, c.others, c.text)
			_, err = r.Update(ctx, target, nil, nil, etag)
			fails(t, err, c.others, c.text)
		})
	}
	failed := r.open(t, r.store(t, account, popkv.ImportFailure, "Datasource contains duplicate keys"))
	if d := must[Description](t)(r.Describe(ctx, failed)); d.FailureReason != "Datasource contains duplicate keys" {
		t.Errorf("the reason is %q", d.FailureReason)
	}
}

// What an import has read so far shows while the store is PROVISIONING, and
// only then: a store that failed has nothing (divergence 27).
func TestDescribeTellsHowFarAnImportHasCome(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	for _, c := range []struct {
		name   string
		status popkv.Status
		job    string
		want   Counts
	}{
		{"under way", popkv.Provisioning, `{"owner":"x","items":7,"size_bytes":70}`, Counts{7, 70}},
		{"not begun", popkv.Provisioning, `{"owner":"x"}`, Counts{}},
		{"failed", popkv.ImportFailure, `{"owner":"x","items":7,"size_bytes":70}`, Counts{}},
		{"ready", popkv.Ready, `{"owner":"x","items":7,"size_bytes":70}`, Counts{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := r.store(t, account, c.status, "")
			err := r.journal.Catalog(ctx, func(tx *journal.Tx) error {
				tx.Put(journal.ImportJobKey(id), []byte(c.job))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if d := must[Description](t)(r.Describe(ctx, r.open(t, id))); d.Counts != c.want || d.Status != c.status || d.ETag != popkv.DataETag(1) {
				t.Errorf("%+v, want %+v", d, c.want)
			}
		})
	}
}

// endingJournal is one whose import ends while its progress is looked up.
type endingJournal struct {
	*journal.Journal
	end func()
}

func (j endingJournal) Scan(ctx context.Context, from, end string, limit int, fn func(string, []byte) error) error {
	j.end()
	return j.Journal.Scan(ctx, from, end, limit, fn)
}

// An import that ends between the two looks has ended, and not gone back.
func TestDescribeWhileAnImportEnds(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	id := r.store(t, account, popkv.Provisioning, "")
	s := New(endingJournal{r.journal, func() {
		m := must[journal.Meta](t)(r.journal.Meta(ctx, id))
		items := snapshot.Empty(m.DigestKey).Apply(snapshot.Change{Puts: []popkv.Item{{Key: "a", Value: "1"}}})
		if err := r.journal.Import(ctx, id, "p", items, func(*journal.Tx) error { return nil }); err != nil {
			t.Error(err)
		}
	}}, Options{Limits: popkv.DefaultLimits()})
	if d := must[Description](t)(s.Describe(ctx, r.open(t, id))); d.Status != popkv.Ready || d.Counts != (Counts{1, 2}) {
		t.Errorf("%+v", d)
	}
}

func TestGetFindsWhatIsThere(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	target, _ := r.ready(t, puts("a", "1", "\u00e9", "composed", "A", "upper")...)
	for key, want := range map[string]string{"a": "1", "\u00e9": "composed", "A": "upper"} {
		got := must[Found](t)(r.Get(ctx, target, key))
		if string(got.Value) != want || got.Counts != (Counts{3, 2 + 10 + 6}) {
			t.Errorf("%q: %q and %+v", key, got.Value, got.Counts)
		}
	}
	for _, key := range []string{"b", "e\u0301", "a ", " a"} {
		_, err := r.Get(ctx, target, key)
		fails(t, err, popkv.KeyNotFound, "Key not found")
	}
	_, err := r.Get(ctx, target, "")
	fails(t, err, popkv.Invalid, "")
}

func TestOpenTakesTheAccountsStoresOnly(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	id := popkv.NewStoreID()
	_, err := r.Open(root, popkv.StoreARN("999999999999", id))
	fails(t, err, popkv.Denied, "")
	_, err = r.Open(root, popkv.FunctionARN(account, "f"))
	fails(t, err, popkv.Invalid, "")
	_, err = r.Open(root, popkv.ARN{Account: account, Resource: popkv.ResourceStore, Name: "not-a-uuid"})
	fails(t, err, popkv.Invalid, "")
	target, err := r.Open(root, popkv.ARN{Account: account, Resource: popkv.ResourceStore, Name: strings.ToUpper(id.String())})
	if err != nil || target.ARN() != popkv.StoreARN(account, id) {
		t.Errorf("%v, %v: the ARN has one spelling", target.ARN(), err)
	}
}

func TestListGoesThroughTheStoreInByteOrder(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	var items []popkv.Item
	for i := range 120 {
		items = append(items, popkv.Item{Key: fmt.Sprintf("%c%d", 'a'+i%7, i), Value: fmt.Sprint(i)})
	}
	items = append(items, popkv.Item{Key: "\u00e9"}, popkv.Item{Key: "e\u0301"}, popkv.Item{Key: "\x00"})
	target, _ := r.ready(t, items...)
	slices.SortFunc(items, func(a, b popkv.Item) int { return strings.Compare(a.Key, b.Key) })
	for _, max := range []int{1, 2, 10, 41, 50} {
		var got []popkv.Item
		token := ""
		for {
			page := must[Page](t)(r.List(ctx, target, max, token))
			got = append(got, page.Items...)
			if page.NextToken == "" {
				break
			}
			if len(page.Items) != max {
				t.Fatalf("a page of %d items has %d and a token", max, len(page.Items))
			}
			token = page.NextToken
		}
		if diff := cmp.Diff(items, got); diff != "" {
			t.Fatalf("pages of %d: %s", max, diff)
		}
	}
}

func TestListHasAPageSize(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	target, _ := r.ready(t)
	for _, max := range []int{-1, 0, 51, 1 << 30} {
		_, err := r.List(ctx, target, max, "")
		fails(t, err, popkv.Invalid, "1 validation error detected. Value at '/MaxResults' failed to satisfy constraint: Member must be between 1 and 50, inclusive")
	}
	page := must[Page](t)(r.List(ctx, target, 1, ""))
	if diff := cmp.Diff(Page{}, page); diff != "" {
		t.Errorf("an empty store: %s", diff)
	}
}

// divergence 7
func TestATokenOutlivesWritesAndSeesThem(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	target, etag := r.ready(t, puts("a", "1", "b", "1", "c", "1", "d", "1")...)
	first := must[Page](t)(r.List(ctx, target, 2, ""))
	must[Outcome](t)(r.Update(ctx, target, puts("aa", "2", "bb", "2", "d", "2"), []string{"b", "c"}, etag))
	second := must[Page](t)(r.List(ctx, target, 2, first.NextToken))
	if diff := cmp.Diff(Page{Items: puts("bb", "2", "d", "2")}, second); diff != "" {
		t.Error(diff)
	}
}

func TestATokenIsGoodForItsStoreOnly(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	target, _ := r.ready(t, puts("a", "1", "b", "1")...)
	other, _ := r.ready(t, puts("a", "1", "b", "1")...)
	token := must[Page](t)(r.List(ctx, target, 1, "")).NextToken
	const text = "NextToken is not valid for this key value store"
	_, err := r.List(ctx, other, 1, token)
	fails(t, err, popkv.Invalid, text)
	for i := range token {
		damaged := []byte(token)
		damaged[i] ^= 1
		_, err := r.List(ctx, target, 1, string(damaged))
		fails(t, err, popkv.Invalid, text)
		_, err = r.List(ctx, target, 1, token[:i]+"\n"+token[i:])
		fails(t, err, popkv.Invalid, text)
		if i > 0 {
			_, err = r.List(ctx, target, 1, token[:i])
			fails(t, err, popkv.Invalid, text)
		}
	}
	for _, made := range []string{"AAAA", token + "A", token + "=", "hVTTZndkpBZ0VRZ0R1RF"} {
		_, err := r.List(ctx, target, 1, made)
		fails(t, err, popkv.Invalid, text)
	}
}

func TestTokensRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store := popkv.NewStoreID()
		key := rapid.StringN(1, -1, 512).Draw(t, "key")
		if got, ok := readToken(store, makeToken(store, key)); !ok || got != key {
			t.Fatalf("%q comes back as %q, %v", key, got, ok)
		}
	})
}

func FuzzReadToken(f *testing.F) {
	store := popkv.StoreID{1, 2, 3}
	f.Add(makeToken(store, "key"))
	f.Add(makeToken(popkv.StoreID{}, "key"))
	f.Add("")
	f.Add("AQAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, token string) {
		key, ok := readToken(store, token)
		if ok && makeToken(store, key) != token {
			t.Fatalf("%q is read as %q, whose token is another", token, key)
		}
	})
}

// divergence 18
func TestTheRequestRateIsOffUnlessSet(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	for range 1000 {
		if err := r.Throttle(account); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheRequestRateIsPerAccountAndSecond(t *testing.T) {
	limits := popkv.DefaultLimits()
	limits.RequestsPerSecond = 3
	r := newRig(t, limits)
	spend := func(account string) (n int) {
		for r.Throttle(account) == nil {
			n++
		}
		return n
	}
	if a, b := spend(account), spend("999999999999"); a != 3 || b != 3 {
		t.Errorf("at once: %d and %d requests, want 3 each", a, b)
	}
	fails(t, r.Throttle(account), popkv.Throttled, "Rate exceeded")
	r.now = r.now.Add(time.Second)
	if n := spend(account); n != 3 {
		t.Errorf("after a second: %d requests, want 3", n)
	}
}
