package crashtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/popkv/popkv"
)

// A history is what the clients of one store saw between two checks. Times are
// since some moment before all of them.
type history struct {
	mu     sync.Mutex
	writes []*write
	sights []sight
	gets   []get
}

func (h *history) add(w *write) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writes = append(h.writes, w)
}

func (h *history) addSight(s sight) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sights = append(h.sights, s)
}

func (h *history) addGet(g get) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gets = append(h.gets, g)
}

// An outcome is what a client knows of its write.
type outcome int

const (
	unknown      outcome = iota // no answer, or one that promises nothing
	acknowledged                // and so on disk
	stale                       // refused because of its ETag
)

// A write is one try to change a store.
type write struct {
	client       string
	expect       string // ETag
	puts         map[string]string
	deletes      []string
	outcome      outcome
	after        counts // of an acknowledged write
	began, ended time.Duration
}

// counts are what every answer says of the store.
type counts struct {
	etag      string
	items     int
	sizeBytes int64
}

func (w *write) String() string {
	return fmt.Sprintf("write of %s on %s (%d puts, %d deletes, then %s)", w.client, w.expect, len(w.puts), len(w.deletes), w.after.etag)
}

// changes reports whether the write has an effect on content.
func (w *write) changes(content map[string]string) bool {
	for key, value := range w.puts {
		if old, ok := content[key]; !ok || old != value {
			return true
		}
	}
	return slices.ContainsFunc(w.deletes, func(key string) bool { _, ok := content[key]; return ok })
}

func (w *write) apply(content map[string]string) {
	maps.Copy(content, w.puts)
	for _, key := range w.deletes {
		delete(content, key)
	}
}

// A sight is one answer to DescribeKeyValueStore.
type sight struct {
	counts
	began, ended time.Duration
}

// A get is one answer to GetKey, which names no ETag.
type get struct {
	key, value   string
	found        bool
	after        counts // without ETag; zero if the key was not found
	began, ended time.Duration
}

// A state is a store at one version. Versions count effective writes.
type state struct {
	version uint64
	content map[string]string
}

func (s state) counts() counts {
	c := counts{etag: popkv.DataETag(s.version), items: len(s.content)}
	for key, value := range s.content {
		c.sizeBytes += int64(len(key) + len(value))
	}
	return c
}

// A finding is what a client sees of a store when no one writes.
type finding struct {
	counts
	content map[string]string
}

// advance checks that h can have happened between s and what was found
// afterwards, and moves s there. It fails unless
//
//   - writes form one chain, each on the ETag of the one before, that begins at
//     s, ends at what was found and holds every acknowledged write;
//   - a write without an answer is on the chain as a whole or not at all;
//   - every count is that of the content;
//   - the order of the chain is one in which the writes can have happened;
//   - every read saw a version that was there while the read went on;
//   - no write was refused for an ETag that nobody wrote on.
func (s *state) advance(h *history, found finding) error {
	c := &chain{byETag: map[string]*write{}, open: map[string][]*write{}, found: found}
	if err := c.sort(h.writes); err != nil {
		return err
	}
	if !c.extend(state{s.version, maps.Clone(s.content)}, nil) {
		return c.problem
	}
	t := newTimeline(*s, c.path)
	if err := t.check(h, c.idle); err != nil {
		return err
	}
	for _, w := range h.writes {
		if w.outcome == stale && w.expect == found.etag {
			return fmt.Errorf("%v was refused as stale, but nothing was ever written on that ETag", w)
		}
	}
	s.version += uint64(len(c.path))
	s.content = found.content
	return nil
}

// A chain looks for the order of writes.
type chain struct {
	byETag map[string]*write   // acknowledged and with effect, by what they expect
	open   map[string][]*write // outcome not known
	idle   []*write            // acknowledged, without effect
	found  finding

	path    []*write
	problem error
	depth   int // of problem: the search that came furthest tells most
}

func (c *chain) sort(writes []*write) error {
	for _, w := range writes {
		switch {
		case w.outcome == unknown:
			c.open[w.expect] = append(c.open[w.expect], w)
		case w.outcome == stale:
		case w.after.etag == w.expect:
			c.idle = append(c.idle, w)
		case c.byETag[w.expect] != nil:
			return fmt.Errorf("one ETag won twice: %v and %v", c.byETag[w.expect], w)
		default:
			c.byETag[w.expect] = w
		}
	}
	return nil
}

// extend follows the chain from s, which it may change, and tries every write
// without an answer where no acknowledged one goes on.
func (c *chain) extend(s state, path []*write) bool {
	for {
		now := s.counts()
		w := c.byETag[now.etag]
		if w == nil {
			break
		}
		w.apply(s.content)
		s.version++
		path = append(path, w)
		if after := s.counts(); after != w.after {
			return c.fail(path, "%v answered %+v, want %+v", w, w.after, after)
		}
	}
	etag := popkv.DataETag(s.version)
	if c.found.etag == etag {
		return c.ends(s, path)
	}
	for _, w := range c.open[etag] {
		if !w.changes(s.content) {
			continue
		}
		next := state{s.version + 1, maps.Clone(s.content)}
		w.apply(next.content)
		if c.extend(next, append(slices.Clip(path), w)) {
			return true
		}
	}
	for _, w := range path {
		if w.outcome == acknowledged && w.expect == c.found.etag {
			return c.fail(path, "the store is at %s, but a later write was acknowledged: lost is %v", c.found.etag, w)
		}
	}
	return c.fail(path, "no write leads from %s on towards %s, where the store is", etag, c.found.etag)
}

// ends checks the end of the chain against what was found.
func (c *chain) ends(s state, path []*write) bool {
	if want := s.counts(); c.found.counts != want {
		return c.fail(path, "the store says %+v, want %+v", c.found.counts, want)
	}
	if !maps.Equal(s.content, c.found.content) {
		return c.fail(path, "at %s the store's content differs: %s", c.found.etag, difference(s.content, c.found.content))
	}
	on := map[*write]bool{}
	for _, w := range path {
		on[w] = true
	}
	for _, w := range c.byETag {
		if !on[w] {
			return c.fail(path, "an acknowledged write is not on the chain: %v", w)
		}
	}
	c.path = path
	return true
}

func (c *chain) fail(path []*write, format string, args ...any) bool {
	if c.problem == nil || len(path) > c.depth {
		c.problem, c.depth = fmt.Errorf(format, args...), len(path)
	}
	return false
}

func difference(want, got map[string]string) string {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if value, ok := got[key]; !ok {
			keys = append(keys, key+" is missing")
		} else if value != want[key] {
			keys = append(keys, key+" has another value")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			keys = append(keys, key+" should not be there")
		}
	}
	return strings.Join(keys, ", ")
}
