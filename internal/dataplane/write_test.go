package dataplane

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/popkv/popkv"
)

var ctx = context.Background()

func TestEveryEffectiveWriteIsOneVersion(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	target, etag := r.ready(t)

	step := func(name string, o Outcome, err error, want Outcome) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, o); diff != "" {
			t.Fatalf("%s: %s", name, diff)
		}
		etag = o.ETag
	}
	o, err := r.Put(ctx, target, "a", "1", etag)
	step("put", o, err, Outcome{Counts{1, 2}, popkv.DataETag(2)})
	o, err = r.Put(ctx, target, "é", "", etag)
	step("put an empty value", o, err, Outcome{Counts{2, 4}, popkv.DataETag(3)}) // divergence 12
	o, err = r.Update(ctx, target, puts("b", "22", "a", "11"), []string{"é"}, etag)
	step("a batch is one version", o, err, Outcome{Counts{2, 6}, popkv.DataETag(4)})
	o, err = r.Delete(ctx, target, "a", etag)
	step("delete", o, err, Outcome{Counts{1, 3}, popkv.DataETag(5)})
	if diff := cmp.Diff(map[string]string{"b": "22"}, r.items(t, target)); diff != "" {
		t.Error(diff)
	}
}

func TestWritesWithoutEffectKeepTheETagAndTheTime(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	target, etag := r.ready(t, puts("a", "1")...)
	before := must[Description](t)(r.Describe(ctx, target))
	r.now = r.now.Add(time.Hour)
	for name, write := range map[string]func() (Outcome, error){
		"the value it has (divergence 2)": func() (Outcome, error) { return r.Put(ctx, target, "a", "1", etag) },
		"a missing key (divergence 1)":    func() (Outcome, error) { return r.Delete(ctx, target, "zz", etag) },
		"an empty batch (divergence 4)":   func() (Outcome, error) { return r.Update(ctx, target, nil, nil, etag) },
		"a batch without effect":          func() (Outcome, error) { return r.Update(ctx, target, puts("a", "1"), []string{"zz"}, etag) },
	} {
		o, err := write()
		if err != nil || o.ETag != etag || o.Counts != before.Counts {
			t.Errorf("%s: %+v, %v; want %s and %+v", name, o, err, etag, before.Counts)
		}
	}
	after := must[Description](t)(r.Describe(ctx, target))
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}

	// If-Match is checked all the same.
	_, err := r.Update(ctx, target, nil, nil, popkv.DataETag(99))
	fails(t, err, popkv.StaleETag, "Pre-Condition failed during update of Key-Value-Store")
}

func TestOnlyTheCurrentETagMatches(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	target, current := r.ready(t, puts("a", "1")...)
	for name, c := range map[string]struct {
		etag string
		kind popkv.Kind
	}{
		"an older one":                       {popkv.DataETag(1), popkv.StaleETag},
		"one to come":                        {popkv.DataETag(3), popkv.StaleETag},
		"the control plane's":                {popkv.ControlETag(2), popkv.StaleETag},
		"garbage":                            {"STALEETAG12345", popkv.StaleETag},
		"a star (divergence 6)":              {"*", popkv.StaleETag},
		"a weak one":                         {`W/"` + current + `"`, popkv.StaleETag},
		"lower case":                         {"kv3un6wx5rro2ag", popkv.StaleETag},
		"none (divergence 5)":                {"", popkv.BadETag},
		"the current one with a blank after": {current + " ", popkv.StaleETag},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Put(ctx, target, "b", "2", c.etag)
			fails(t, err, c.kind, "")
			_, err = r.Delete(ctx, target, "a", c.etag)
			fails(t, err, c.kind, "")
			_, err = r.Update(ctx, target, puts("b", "2"), []string{"a"}, c.etag)
			fails(t, err, c.kind, "")
		})
	}
	if diff := cmp.Diff(map[string]string{"a": "1"}, r.items(t, target)); diff != "" {
		t.Error(diff)
	}
}

func TestKeysAndValuesHaveBounds(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	target, etag := r.ready(t)
	const keyText = "Limit exceeded: Maximum size of a key in a key value pair"
	const valueText = "Limit exceeded: Maximum size of the value in a key value pair"
	wide := func(n int) string { // n characters of 3 bytes
		s := ""
		for range n {
			s += "€"
		}
		return s
	}
	for _, c := range []struct {
		name, key, value string
		kind             popkv.Kind
		text             string
	}{
		{"an empty key", "", "v", popkv.Invalid, "1 validation error detected. Value with length 0 at '/Key' failed to satisfy constraint: Member must have length between 1 and 1024, inclusive"},
		{"a key of 512 bytes", repeat(512), "v", 0, ""},
		{"a key of 513 bytes", repeat(513), "v", popkv.ItemQuota, keyText},
		{"a key of 171 characters in 513 bytes (divergence 11)", wide(171), "v", popkv.ItemQuota, keyText},
		{"a key of 1024 characters", repeat(1024), "v", popkv.ItemQuota, keyText},
		{"a key of 1024 characters in 3072 bytes", wide(1024), "v", popkv.ItemQuota, keyText},
		{"a key of 1025 characters", repeat(1025), "v", popkv.Invalid, ""},
		{"a key that is not text", "\xff", "v", popkv.Malformed, ""},
		{"a value of 1024 bytes", "k", repeat(1024), 0, ""},
		{"a value of 1025 bytes", "k", repeat(1025), popkv.ItemQuota, valueText},
		{"a value of 342 characters in 1026 bytes (divergence 11)", "k", wide(342), popkv.ItemQuota, valueText},
		{"a value that is not text", "k", "\xed\xa0\x80", popkv.Malformed, ""},
		{"control characters (divergence 12)", "\x00\x01", "\x00\u2028", 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := r.Put(ctx, target, c.key, c.value, etag)
			_, batchErr := r.Update(ctx, target, puts(c.key, c.value), nil, etag)
			if c.kind != 0 {
				fails(t, err, c.kind, c.text)
				fails(t, batchErr, c.kind, "")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			etag = o.ETag
			found := must[Found](t)(r.Get(ctx, target, c.key))
			if string(found.Value) != c.value {
				t.Errorf("read %q, wrote %q", found.Value, c.value)
			}
		})
	}

	_, err := r.Delete(ctx, target, repeat(513), etag)
	fails(t, err, popkv.ItemQuota, keyText)
	_, err = r.Update(ctx, target, nil, []string{repeat(513)}, etag)
	fails(t, err, popkv.ItemQuota, keyText)
	_, err = r.Get(ctx, target, repeat(513))
	fails(t, err, popkv.KeyNotFound, "Key not found")
	_, err = r.Get(ctx, target, repeat(1025))
	fails(t, err, popkv.Invalid, "")
}

func TestABatchHasBounds(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	target, etag := r.ready(t)
	var items []popkv.Item
	for i := range 40 {
		items = append(items, popkv.Item{Key: fmt.Sprint("k", i), Value: "v"})
	}
	deletes := make([]string, 11)
	for i := range deletes {
		deletes[i] = fmt.Sprint("gone", i)
	}
	_, err := r.Update(ctx, target, items, deletes, etag)
	fails(t, err, popkv.ItemQuota, "Limit exceeded: Maximum key values pairs that you can update in a single API request")
	if _, err := r.Update(ctx, target, items, deletes[:10], etag); err != nil {
		t.Error(err)
	}
}

// divergence 3
func TestAKeyNamedTwiceIsRefusedWhole(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	target, etag := r.ready(t, puts("a", "1")...)
	for name, c := range map[string]struct {
		puts    []popkv.Item
		deletes []string
		text    string
	}{
		"in the puts":           {puts("b", "1", "b", "2"), nil, "1 validation error detected. Value at '/Puts/1/Key' failed to satisfy constraint: Member must be unique among Puts and Deletes"},
		"in the puts, equal":    {puts("b", "1", "b", "1"), nil, ""},
		"in the deletes":        {nil, []string{"a", "a"}, ""},
		"in both":               {puts("b", "1", "a", "2"), []string{"a"}, ""},
		"beside an effect":      {puts("b", "1"), []string{"a", "c", "c"}, ""},
		"beside an empty key":   {puts("b", "1"), []string{""}, ""},
		"beside a key too long": {puts("b", "1", repeat(1025), "1"), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Update(ctx, target, c.puts, c.deletes, etag)
			fails(t, err, popkv.Invalid, c.text)
		})
	}
	if diff := cmp.Diff(map[string]string{"a": "1"}, r.items(t, target)); diff != "" {
		t.Error(diff)
	}
	// Composed and decomposed é are two keys.
	if _, err := r.Update(ctx, target, puts("\u00e9", "1", "e\u0301", "2"), nil, etag); err != nil {
		t.Error(err)
	}
}

func TestTheStoreHasASizeLimit(t *testing.T) {
	const text = "Limit exceeded: Maximum size of an individual key value store"
	limits := popkv.DefaultLimits()
	limits.StoreBytes = 10
	r := newRig(t, limits)
	target, etag := r.ready(t, puts("a", "1234", "b", "567")...) // 9 bytes
	_, err := r.Put(ctx, target, "c", "1", etag)
	fails(t, err, popkv.ItemQuota, text)
	_, err = r.Update(ctx, target, puts("b", "56789"), nil, etag)
	fails(t, err, popkv.ItemQuota, text)
	o, err := r.Put(ctx, target, "c", "", etag)
	if err != nil || o.SizeBytes != 10 {
		t.Fatalf("%+v, %v; want the limit reached", o, err)
	}
	o, err = r.Update(ctx, target, puts("c", "12345"), []string{"a"}, o.ETag)
	if err != nil || o.SizeBytes != 10 {
		t.Fatalf("%+v, %v; want room made by the same batch", o, err)
	}

	// After the limit was lowered a store may shrink, not grow.
	limits.StoreBytes = 4
	r.Service = New(r.journal, Options{Limits: limits})
	_, err = r.Put(ctx, target, "d", "", o.ETag)
	fails(t, err, popkv.ItemQuota, text)
	if o, err = r.Put(ctx, target, "c", "1234", o.ETag); err != nil {
		t.Error(err)
	}
	if _, err = r.Delete(ctx, target, "c", o.ETag); err != nil {
		t.Error(err)
	}
}

// divergence 13: each request breaks every rule from one on, and the first of
// them answers.
func TestTheFirstBrokenRuleAnswers(t *testing.T) {
	limits := popkv.DefaultLimits()
	limits.StoreBytes = 1
	r := newRig(t, limits)
	ready := r.open(t, r.store(t, account, popkv.Ready, ""))
	provisioning := r.open(t, r.store(t, account, popkv.Provisioning, ""))
	unknown := r.open(t, popkv.NewStoreID())
	const stale = "KVNOT"
	current := popkv.DataETag(1)
	for _, c := range []struct {
		name       string
		target     Target
		key, value string
		etag       string
		kind       popkv.Kind
	}{
		{"the model", unknown, "", repeat(1025), stale, popkv.Invalid},
		{"a missing If-Match is part of the model", unknown, repeat(513), repeat(1025), "", popkv.BadETag},
		{"the store", unknown, repeat(513), repeat(1025), stale, popkv.StoreNotFound},
		{"its state", provisioning, repeat(513), repeat(1025), stale, popkv.WrongState},
		{"the quotas of an item", ready, repeat(513), repeat(1025), stale, popkv.ItemQuota},
		{"If-Match", ready, "k", "v", stale, popkv.StaleETag},
		{"the store's size", ready, "k", "v", current, popkv.ItemQuota},
		{"nothing", ready, "k", "", current, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := r.Put(ctx, c.target, c.key, c.value, c.etag)
			if c.kind == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			fails(t, err, c.kind, "")
		})
	}
}

func TestAChangeRunAgainAfterALostRaceIsCheckedAgain(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	target, etag := r.ready(t)
	lost, err := r.journal.Head(ctx, target.Store)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Put(ctx, target, "a", "winner", etag); err != nil {
		t.Fatal(err)
	}
	racing := New(racingJournal{r.journal, lost}, Options{Limits: popkv.DefaultLimits()})
	_, err = racing.Put(ctx, target, "a", "loser", etag)
	fails(t, err, popkv.StaleETag, "")
	if diff := cmp.Diff(map[string]string{"a": "winner"}, r.items(t, target)); diff != "" {
		t.Error(diff)
	}
}

func TestOneWinnerPerETag(t *testing.T) {
	r := newRig(t, popkv.DefaultLimits())
	target, etag := r.ready(t)
	const writers, rounds = 32, 20
	for round := range rounds {
		var wins atomic.Int32
		var next atomic.Value
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				o, err := r.Put(ctx, target, "k", fmt.Sprint(round, " ", w), etag)
				switch {
				case err == nil:
					wins.Add(1)
					next.Store(o.ETag)
				case popkv.KindOf(err) != popkv.StaleETag:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("round %d: %d writers won with %s", round, wins.Load(), etag)
		}
		etag = next.Load().(string)
	}
	if want := popkv.DataETag(rounds + 1); etag != want {
		t.Errorf("after %d wins the ETag is %s, want %s", rounds, etag, want)
	}
}

// TestAStoreIsAMap runs random operations against a map and a counter.
func TestAStoreIsAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, popkv.DefaultLimits())
		target, etag := r.ready(t)
		model := map[string]string{}
		version := uint64(1)
		key := rapid.SampledFrom([]string{"a", "b", "c", "\u00e9", "e\u0301", "/", "..", "\x00"})
		value := rapid.SampledFrom([]string{"", "1", "22", "é"})
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			before := fmt.Sprint(model)
			var o Outcome
			var err error
			switch rapid.IntRange(0, 2).Draw(rt, "operation") {
			case 0:
				k, v := key.Draw(rt, "key"), value.Draw(rt, "value")
				o, err = r.Put(ctx, target, k, v, etag)
				model[k] = v
			case 1:
				k := key.Draw(rt, "key")
				o, err = r.Delete(ctx, target, k, etag)
				delete(model, k)
			case 2:
				keys := rapid.SliceOfNDistinct(key, 0, 5, rapid.ID).Draw(rt, "keys")
				n := rapid.IntRange(0, len(keys)).Draw(rt, "puts")
				var batch []popkv.Item
				for _, k := range keys[:n] {
					v := value.Draw(rt, "value")
					batch = append(batch, popkv.Item{Key: k, Value: v})
					model[k] = v
				}
				for _, k := range keys[n:] {
					delete(model, k)
				}
				o, err = r.Update(ctx, target, batch, keys[n:], etag)
			}
			if err != nil {
				rt.Fatal(err)
			}
			if fmt.Sprint(model) != before {
				version++
			}
			var want Counts
			for k, v := range model {
				want.ItemCount++
				want.SizeBytes += int64(len(k) + len(v))
			}
			if diff := cmp.Diff(Outcome{want, popkv.DataETag(version)}, o); diff != "" {
				rt.Fatal(diff)
			}
			etag = o.ETag
		}
		if diff := cmp.Diff(model, r.items(t, target)); diff != "" {
			rt.Fatal(diff)
		}
	})
}
