package crashtest

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/popkv/popkv"
)

// aHistory is sound: from a store with one item at version 1 to version 5. The
// write to version 4 was not answered.
func aHistory() (from state, h *history, found finding) {
	from = state{1, map[string]string{"a": "1"}}
	h = &history{}
	now := state{1, maps.Clone(from.content)}
	at := func(n int) time.Duration { return time.Duration(n) * time.Second }
	step := func(n int, o outcome, puts map[string]string, deletes ...string) {
		w := &write{client: "w", expect: popkv.DataETag(now.version), puts: puts, deletes: deletes, outcome: o, began: at(10 * n), ended: at(10*n + 5)}
		w.apply(now.content)
		now.version++
		if o == acknowledged {
			w.after = now.counts()
		}
		h.writes = append(h.writes, w)
	}
	step(1, acknowledged, map[string]string{"b": "22"})
	step(2, acknowledged, map[string]string{"c": "333"}, "a")
	h.sights = append(h.sights, sight{now.counts(), at(26), at(29)})
	h.gets = append(h.gets, get{key: "c", value: "333", found: true, after: now.counts(), began: at(22), ended: at(29)})
	h.gets = append(h.gets, get{key: "a", began: at(26), ended: at(29)})
	step(3, unknown, map[string]string{"d": "4"}, "b")
	step(4, acknowledged, nil, "c")
	h.writes = append(h.writes,
		&write{client: "w", expect: popkv.DataETag(2), outcome: stale, puts: map[string]string{"x": "x"}},
		&write{client: "w", expect: now.counts().etag, outcome: unknown, puts: map[string]string{"y": "y"}}, // did not happen
		&write{client: "w", expect: popkv.DataETag(3), outcome: acknowledged, deletes: []string{"a"}, after: h.sights[0].counts})
	return from, h, finding{now.counts(), now.content}
}

// The checker must be able to fail: each case is one thing that went wrong.
func TestTheCheckerNoticesWhatWentWrong(t *testing.T) {
	without := func(ws []*write, n int) []*write { return append(ws[:n:n], ws[n+1:]...) }
	for name, c := range map[string]struct {
		spoil func(*history, *finding)
		want  string
	}{
		"nothing": {func(*history, *finding) {}, ""},
		"the last acknowledged write is lost": {func(_ *history, f *finding) {
			f.content = map[string]string{"c": "333", "d": "4"}
			f.counts = state{4, f.content}.counts()
		}, "lost is write of w on KV1PA6795UKMFR9"},
		"two writes are lost": {func(_ *history, f *finding) {
			f.content = map[string]string{"b": "22", "c": "333"}
			f.counts = state{3, f.content}.counts()
		}, "not on the chain"}, // but the one on version 4 shows that there was a version 4
		"everything is lost": {func(_ *history, f *finding) {
			f.content = map[string]string{"a": "1"}
			f.counts = state{1, f.content}.counts()
		}, "lost is write of w on KVTVPDKIKX0DER"},
		"a write that nobody made": {func(h *history, _ *finding) { h.writes = without(h.writes, 1) }, "no write leads from"},
		"half a write is there": {func(_ *history, f *finding) {
			f.content = map[string]string{"b": "22", "d": "4"}
			f.counts = state{5, f.content}.counts()
		}, "the store says"},
		"another value":              {func(_ *history, f *finding) { f.content["d"] = "5" }, "content differs: d has another value"},
		"a wrong count":              {func(_ *history, f *finding) { f.items++ }, "the store says"},
		"a wrong count in an answer": {func(h *history, _ *finding) { h.writes[0].after.sizeBytes++ }, "answered"},
		"one ETag wins twice": {func(h *history, _ *finding) {
			twin := *h.writes[0]
			h.writes = append(h.writes, &twin)
		}, "won twice"},
		"a write off the chain": {func(h *history, _ *finding) {
			h.writes = append(h.writes, &write{expect: popkv.DataETag(9), outcome: acknowledged, after: counts{etag: popkv.DataETag(10)}})
		}, "not on the chain"},
		"a current ETag is called stale": {func(h *history, f *finding) { h.writes[4].expect = f.etag }, "refused as stale"},
		"an effect is denied":            {func(h *history, _ *finding) { h.writes[6].deletes = []string{"c"} }, "changed nothing"},
		"a read of an older version":     {func(h *history, _ *finding) { h.sights[0].counts = h.writes[0].after }, "too old"},
		"a read of a later version":      {func(h *history, _ *finding) { h.sights[0].counts = h.writes[3].after }, "too old or too new"},
		"a read of no version":           {func(h *history, _ *finding) { h.sights[0].items++ }, "never was"},
		"a value before it was written":  {func(h *history, _ *finding) { h.gets[0].began, h.gets[0].ended = 11*time.Second, 12*time.Second }, "at no version"},
		"a deleted key is found":         {func(h *history, _ *finding) { h.gets[1].found, h.gets[1].value = true, "1" }, "at no version"},
		"a mixed read":                   {func(h *history, _ *finding) { h.gets[0].after = h.writes[0].after }, "at no version"},
		"time runs backwards": {func(h *history, _ *finding) {
			h.writes[1].began, h.writes[1].ended = 100*time.Second, 101*time.Second
			h.sights, h.gets = nil, nil
		}, "after a later version"},
	} {
		from, h, found := aHistory()
		c.spoil(h, &found)
		err := from.advance(h, found)
		if c.want == "" {
			if err != nil || from.version != 5 || !maps.Equal(from.content, found.content) {
				t.Errorf("%s: %v, at %+v", name, err, from)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
