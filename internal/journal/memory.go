package journal

import (
	"context"

	"github.com/popkv/popkv"
)

// memory keeps resident stores within a budget. It knows them in a ring; a
// hand goes round and takes out those that were not used since it last came by
// (an approximation of least-recently-used that costs a reader one load). All
// of it is guarded by Journal.mu.
//
// A snapshot that a reader still holds after its store was evicted is not
// counted: requests are short.
type memory struct {
	budget, used int64
	ring         []*store
	hand         int
	waiting      int           // calls that wait for freed
	freed        chan struct{} // closed when something may have become free
}

func (m *memory) init(budget int64) {
	m.budget = budget
	m.freed = make(chan struct{})
}

// account sets what s takes; 0 takes it out of the ring.
func (m *memory) account(s *store, bytes int64) {
	switch {
	case s.bytes == 0 && bytes > 0:
		s.slot = len(m.ring)
		m.ring = append(m.ring, s)
	case s.bytes > 0 && bytes == 0:
		last := m.ring[len(m.ring)-1]
		m.ring[s.slot], last.slot = last, s.slot
		m.ring[len(m.ring)-1] = nil
		m.ring = m.ring[:len(m.ring)-1]
	}
	m.used += bytes - s.bytes
	if bytes < s.bytes {
		m.signal()
	}
	s.bytes = bytes
}

// signal lets waiting calls look again.
func (m *memory) signal() {
	if m.waiting > 0 {
		close(m.freed)
		m.freed = make(chan struct{})
		m.waiting = 0
	}
}

// evict takes unpinned stores out of memory until need more bytes fit, and
// reports whether they do.
func (j *Journal) evict(need int64) bool {
	m := &j.memory
	// Twice round: the first time may only find stores that were just used.
	for left := 2 * len(m.ring); m.used+need > m.budget && left > 0 && len(m.ring) > 0; left-- {
		if m.hand >= len(m.ring) {
			m.hand = 0
		}
		s := m.ring[m.hand]
		if s.pins > 0 || s.used.Swap(false) {
			m.hand++
			continue
		}
		s.state.Store(nil)
		m.account(s, 0)
		j.stores.Delete(s.id)
		j.count.evictions.Add(1)
	}
	return m.used+need <= m.budget
}

// reserve waits until bytes fit into the budget and takes them; release gives
// them back.
func (j *Journal) reserve(ctx context.Context, bytes int64) error {
	for {
		j.mu.Lock()
		if j.evict(bytes) {
			j.memory.used += bytes
			j.mu.Unlock()
			return nil
		}
		j.memory.waiting++
		freed := j.memory.freed
		j.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return popkv.Wrap(popkv.Unavailable, context.Cause(ctx),
				"the store could not be loaded: the memory budget is in use")
		}
	}
}

func (j *Journal) release(bytes int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.memory.used -= bytes
	j.memory.signal()
}
