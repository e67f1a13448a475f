package memjournal

import (
	"context"
	"iter"
	"slices"

	"github.com/google/btree"

	"github.com/popkv/popkv/internal/journal"
)

// View is [journal.Driver.View]. It costs the same at any size: the tree is
// shared until it is written to.
func (d *Driver) View(ctx context.Context) (journal.View, error) {
	if err := d.read(ctx, "View"); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.down(); err != nil {
		return nil, err
	}
	return &view{rev: d.rev, tree: d.tree.Clone(), fault: d.fault}, nil
}

type view struct {
	rev   journal.Rev
	tree  *btree.BTreeG[journal.KV] // never written to
	fault func(Call) Fault
}

func (v *view) Rev() journal.Rev { return v.rev }
func (v *view) Close()           {}

func (v *view) Get(key string) ([]byte, journal.Rev, error) {
	if v.fault(Call{Method: "View.Get"}) != NoFault {
		return nil, 0, journal.ErrMoved
	}
	kv, _ := v.tree.Get(journal.KV{Key: key})
	return slices.Clone(kv.Value), kv.Rev, nil
}

func (v *view) Scan(from, end string, limit int) iter.Seq2[journal.KV, error] {
	return func(yield func(journal.KV, error) bool) {
		if v.fault(Call{Method: "View.Scan"}) != NoFault {
			yield(journal.KV{}, journal.ErrMoved)
			return
		}
		n := 0
		v.tree.AscendGreaterOrEqual(journal.KV{Key: from}, func(kv journal.KV) bool {
			if end != "" && kv.Key >= end {
				return false
			}
			n++
			return yield(kv, nil) && n != limit
		})
	}
}
