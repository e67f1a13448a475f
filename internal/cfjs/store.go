package cfjs

import "time"

// A Store is one version of a key value store. Every read of a run asks the
// same Store, so the caller that pins a version gives the run one version.
// Calls come from the goroutine that runs the function, while it runs.
type Store interface {
	// Get returns a key's value; ok is false when the store has no such key.
	Get(key string) (value string, ok bool)
	// Count is the number of keys.
	Count() int
	// Meta describes the version.
	Meta() StoreMeta
}

// StoreMeta describes one version of a store.
type StoreMeta struct {
	ID          string // the UUID that cf.kvs accepts; "" accepts any id
	Created     time.Time
	LastUpdated time.Time
}

// MapStore is a [Store] of a plain map, for tests and offline runs.
type MapStore struct {
	Items map[string]string
	About StoreMeta
}

// Get implements [Store].
func (s *MapStore) Get(key string) (string, bool) {
	v, ok := s.Items[key]
	return v, ok
}

// Count implements [Store].
func (s *MapStore) Count() int { return len(s.Items) }

// Meta implements [Store].
func (s *MapStore) Meta() StoreMeta { return s.About }
