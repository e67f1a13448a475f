package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/popkv/popkv"
)

// VerifyOptions change what [Verify] does; the zero value works.
type VerifyOptions struct {
	// Progress is called after each store.
	Progress func(done, total int)

	// Check lets the owners of catalog records judge one of them: whether it can
	// be decoded, and whether the keys that it refers to exist. The problem is
	// in words; "" is none. Stores are looked up under [ControlKey].
	Check func(key string, value []byte, exists func(key string) bool) (problem string)
}

// A Report says what [Verify] looked at and everything it found wrong.
type Report struct {
	Stores         int   `json:"stores"`
	Records        int   `json:"records"` // of all logs, history included
	Generations    int   `json:"generations"`
	Items          int64 `json:"items"` // of all stores, counted anew
	SizeBytes      int64 `json:"size_bytes"`
	CatalogRecords int   `json:"catalog_records"`
	// Garbage counts chunks and records that nothing refers to: a crash or a
	// deletion left them, and the sweeper takes them. Not a problem.
	Garbage  int       `json:"garbage"`
	Findings []Finding `json:"findings"`
}

// A Finding is one thing that is not as it was written.
type Finding struct {
	Store   string `json:"store,omitempty"`
	Record  string `json:"record"` // the key, with numbers in decimal
	Problem string `json:"problem"`
}

// OK reports whether nothing was found.
func (r *Report) OK() bool { return len(r.Findings) == 0 }

// Verify reads everything that drv holds and checks it: every checksum, every
// chain of records from where history begins, every generation against its
// hash, the content after every record against that record's counts and
// digest, and that stores and their control records refer to each other. It
// writes nothing. The error says that verification could not go on; damage is
// in the report.
//
// No journal need be open. While one is, each store is checked as of one
// moment.
func Verify(ctx context.Context, drv Driver, o VerifyOptions) (Report, error) {
	j := newJournal(drv, Options{})
	return j.verify(ctx, o)
}

// Verify is [Verify] while serving. Beyond that it counts what is in memory
// anew.
func (j *Journal) Verify(ctx context.Context, o VerifyOptions) (Report, error) {
	r, err := j.verify(ctx, o)
	if err != nil {
		return r, err
	}
	j.stores.Range(func(_, entry any) bool {
		if st := entry.(*store).state.Load(); st != nil {
			if problem := recount(st.head); problem != "" {
				r.add(metaKey(st.head.Store), "in memory: "+problem)
			}
		}
		return ctx.Err() == nil
	})
	return r, context.Cause(ctx)
}

// recount compares a head with its items, counted one by one.
func recount(h *Head) (problem string) {
	n, size, digest := h.Items.Recount()
	if n != h.Meta.Items || size != h.SizeBytes || digest != h.Digest {
		return fmt.Sprintf("it has %d items of %d bytes, or another digest, where %d of %d are expected",
			n, size, h.Meta.Items, h.SizeBytes)
	}
	return ""
}

// add notes a finding about a stored key.
func (r *Report) add(key, problem string) {
	f := Finding{Record: keyText(key), Problem: problem}
	if id, ok := storeOfKey(key); ok {
		f.Store = id.String()
	}
	r.Findings = append(r.Findings, f)
}

// note turns damage into a finding; any other error is returned.
func (r *Report) note(err error) error {
	var d *Damage
	if !errors.As(err, &d) {
		return err
	}
	r.add(d.key, d.Problem)
	return nil
}

func (j *Journal) verify(ctx context.Context, o VerifyOptions) (r Report, err error) {
	var found *inventory
	if err := j.look(ctx, func(view View) (err error) {
		r = Report{Findings: []Finding{}}
		found, err = r.catalog(view, j.drv.Identity(), o.Check)
		return err
	}); err != nil {
		return r, err
	}
	for n, id := range found.stores {
		if ctx.Err() != nil {
			return r, context.Cause(ctx)
		}
		before := r
		if err := j.look(ctx, func(view View) error {
			r = before
			return r.store(view, id)
		}); err != nil {
			return r, err
		}
		if o.Progress != nil {
			o.Progress(n+1, len(found.stores))
		}
	}
	return r, nil
}

// An inventory is the keys of one view, chunks and records aside.
type inventory struct {
	keys   map[string]bool
	stores []popkv.StoreID // in order: all that have a meta, a log or chunks
}

func (f *inventory) exists(key string) bool { return f.keys[key] }

// catalog checks every record that is not a store's log or chunk.
func (r *Report) catalog(view View, identity ID, check func(string, []byte, func(string) bool) string) (*inventory, error) {
	found := &inventory{keys: map[string]bool{}}
	catalog := map[string][]byte{}
	ids := map[popkv.StoreID]bool{}
	for _, span := range [][2]string{{"", "c/"}, {"c0", "l/"}, {"l0", ""}} {
		for kv, err := range view.Scan(span[0], span[1], 0) {
			if err != nil {
				return nil, err
			}
			key := strings.Clone(kv.Key)
			found.keys[key] = true
			payload, problem := checkRecord(kv, identity)
			if problem != "" {
				r.add(key, problem)
			}
			if id, ok := storeOfKey(key); ok && key[0] == 'm' {
				ids[id] = true // a damaged one is reported with its log
			} else if isCatalogKey(key) {
				r.CatalogRecords++
				if problem == "" {
					catalog[key] = slices.Clone(payload)
				}
			}
		}
	}
	r.references(found, ids)
	if check != nil {
		for _, key := range slices.Sorted(mapKeys(catalog)) {
			if problem := check(key, catalog[key], found.exists); problem != "" {
				r.add(key, problem)
			}
		}
	}
	for _, kind := range []string{"c/", "l/"} {
		if err := r.distinctStores(view, kind, ids); err != nil {
			return nil, err
		}
	}
	for id := range ids {
		found.stores = append(found.stores, id)
	}
	slices.SortFunc(found.stores, func(a, b popkv.StoreID) int { return strings.Compare(string(a[:]), string(b[:])) })
	return found, nil
}

// checkRecord checks one record by itself.
func checkRecord(kv KV, identity ID) (payload []byte, problem string) {
	if kv.Key == gateKey {
		if _, err := decodeGate(kv.Value, identity); err != nil {
			var d *Damage
			if errors.As(err, &d) {
				return nil, d.Problem
			}
			return nil, popkv.Message(err)
		}
		return nil, ""
	}
	_, payload, problem = unseal(kv.Key, kv.Value)
	_, ofStore := storeOfKey(kv.Key)
	switch {
	case problem != "":
	case kv.Key[0] == 'm' && ofStore:
		// The store's own check decodes it.
	case kv.Key[0] == 't' && ofStore:
		if _, err := decodeTombstone(kv.Key, kv.Value); err != nil {
			problem = "the tombstone cannot be read"
		}
	case kv.Key != markKey && !isCatalogKey(kv.Key) && !(kv.Key[0] == 'i' && ofStore):
		problem = "a record of an unknown kind"
	}
	return payload, problem
}

// references checks what the journal knows of who refers to whom.
func (r *Report) references(found *inventory, stores map[popkv.StoreID]bool) {
	for _, key := range slices.Sorted(mapKeys(found.keys)) {
		id, ok := storeOfKey(key)
		switch {
		case !ok:
		case (key[0] == 'k' || key[0] == 'j') && !stores[id]:
			r.add(key, "it is of a store that is not there")
		case key[0] == 'm' && !found.keys[ControlKey(id)]:
			r.add(key, "the store has no control record")
		case key[0] == 't' && stores[id]:
			r.add(key, "the store that it says is deleted is there")
		}
	}
}

// distinctStores adds the stores that keys of a kind name, skipping from one
// to the next.
func (r *Report) distinctStores(view View, kind string, ids map[popkv.StoreID]bool) error {
	for from := kind; ; {
		key, err := firstKey(view, from, PrefixEnd(kind))
		if err != nil || key == "" {
			return err
		}
		id, ok := storeOfKey(key)
		if !ok {
			r.add(key, "a key that names no store")
			from = key + "\x00"
			continue
		}
		ids[id] = true
		from = PrefixEnd(kind + id.String() + "/")
	}
}
