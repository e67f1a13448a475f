package crashtest

import (
	"fmt"
	"math"
	"time"

	"github.com/popkv/popkv"
)

// A timeline is a chain of writes that was found, with the time in which each
// version can have become the current one.
type timeline struct {
	first  uint64   // version
	counts []counts // of version first+i
	begun  []time.Duration
	ended  []time.Duration // never, if the write was not acknowledged
	places map[string]int  // of ETags
	values map[string][]value
}

// A value is what a key had from a version on.
type value struct {
	from  int // in counts
	text  string
	found bool
}

const never = time.Duration(math.MaxInt64)

func newTimeline(from state, path []*write) *timeline {
	t := &timeline{first: from.version, places: map[string]int{}, values: map[string][]value{}}
	now := state{from.version, map[string]string{}}
	for key, text := range from.content {
		now.content[key] = text
		t.values[key] = []value{{0, text, true}}
	}
	t.reach(now, 0, 0)
	for n, w := range path {
		w.apply(now.content)
		now.version++
		for key, text := range w.puts {
			t.values[key] = append(t.values[key], value{n + 1, text, true})
		}
		for _, key := range w.deletes {
			t.values[key] = append(t.values[key], value{n + 1, "", false})
		}
		ended := never
		if w.outcome == acknowledged {
			ended = w.ended
		}
		t.reach(now, w.began, ended)
	}
	return t
}

func (t *timeline) reach(s state, begun, ended time.Duration) {
	t.places[popkv.DataETag(s.version)] = len(t.counts)
	t.counts = append(t.counts, s.counts())
	t.begun = append(t.begun, begun)
	t.ended = append(t.ended, ended)
}

// at returns what a key had at a place.
func (t *timeline) at(key string, place int) (now value) {
	for _, v := range t.values[key] {
		if v.from <= place {
			now = v
		}
	}
	return now
}

func (t *timeline) check(h *history, idle []*write) error {
	earliestEnd := never
	for n := len(t.counts) - 1; n > 0; n-- {
		if t.begun[n] > earliestEnd {
			return fmt.Errorf("%s began at %v, after a later version was acknowledged at %v", t.counts[n].etag, t.begun[n], earliestEnd)
		}
		earliestEnd = min(earliestEnd, t.ended[n])
	}
	for _, w := range idle {
		place, ok := t.places[w.expect]
		if !ok {
			return fmt.Errorf("%v: the store was never at that ETag", w)
		}
		if t.counts[place] != w.after {
			return fmt.Errorf("%v answered %+v, want %+v", w, w.after, t.counts[place])
		}
		for _, key := range w.deletes {
			if t.at(key, place).found {
				return fmt.Errorf("%v changed nothing, but there was a key %s", w, key)
			}
		}
		for key, text := range w.puts {
			if now := t.at(key, place); !now.found || now.text != text {
				return fmt.Errorf("%v changed nothing, but key %s had another value", w, key)
			}
		}
	}
	for _, s := range h.sights {
		place, ok := t.places[s.etag]
		if !ok || t.counts[place] != s.counts {
			return fmt.Errorf("a client was told %+v, which the store never was (%d versions from %d)", s.counts, len(t.counts), t.first)
		}
		if first, last := t.current(s.began, s.ended); place < first || place > last {
			return fmt.Errorf("a client was told %s between %v and %v: too old or too new", s.etag, s.began, s.ended)
		}
	}
	for _, g := range h.gets {
		if !t.explains(g) {
			return fmt.Errorf("a client read %d bytes of key %s (found: %v) of %+v between %v and %v, which was so at no version of that time",
				len(g.value), g.key, g.found, g.after, g.began, g.ended)
		}
	}
	return nil
}

// current returns the places that a read from began to ended can have seen.
func (t *timeline) current(began, ended time.Duration) (first, last int) {
	for n := range t.counts {
		if t.ended[n] < began {
			first = n
		}
		if t.begun[n] <= ended {
			last = n
		}
	}
	return first, last
}

func (t *timeline) explains(g get) bool {
	first, last := t.current(g.began, g.ended)
	for place := first; place <= last; place++ {
		now := t.at(g.key, place)
		if now.found != g.found || now.found && now.text != g.value {
			continue
		}
		if !g.found || t.counts[place].items == g.after.items && t.counts[place].sizeBytes == g.after.sizeBytes {
			return true
		}
	}
	return false
}
