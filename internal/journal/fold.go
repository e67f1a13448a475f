package journal

import (
	"context"
	"errors"
	"slices"

	"github.com/popkv/popkv"
)

// A store is folded when the records that a load must apply are longer than
// foldBytes and a quarter of the content. So a byte is written about five
// times in its life, and a load reads at most a quarter more than it must.
const foldBytes = 256 << 10

func foldDue(m *Meta) bool { return m.LogBytes > max(foldBytes, m.SizeBytes/4) }

// fold writes the current content of a resident store as a new base
// generation. Writers go on while it is written; only the commit that names it
// takes their turn, and that is built from the meta of that moment, never from
// a copy.
func (j *Journal) fold(ctx context.Context, id popkv.StoreID) error {
	s := j.pin(id)
	defer j.unpin(s)
	st := s.state.Load()
	if st == nil || !foldDue(&st.head.Meta) {
		return nil // evicted: its next write asks again
	}
	from := st.head
	d, err := j.draftOf(ctx, id, from.Items)
	if err != nil {
		return err
	}
	d.Version, d.Chain, d.Records, d.Time = from.Version, from.Chain, from.Records, from.RecordTime
	err = j.nameFold(ctx, s, from, d)
	if err != nil && !errors.Is(err, errInDoubt) {
		j.abandon(ctx, id, d)
	}
	switch {
	case err == nil:
		j.count.folds.Add(1)
		j.addChore(id, choreSweep)
	case errors.Is(err, errOvertaken), popkv.KindOf(err) == popkv.WrongState, popkv.KindOf(err) == popkv.StoreNotFound:
		return nil // a reset or a deletion made the fold pointless
	}
	return err
}

// nameFold makes meta start from the new generation.
func (j *Journal) nameFold(ctx context.Context, s *store, from *Head, d *draftGeneration) error {
	if err := s.turn.take(ctx); err != nil {
		return err
	}
	defer s.turn.release()
	if err := j.clearDoubt(ctx, s); err != nil {
		return err
	}
	st, err := j.ensure(ctx, s)
	if err != nil {
		return err
	}
	guard, gone := d.flip()
	_, err = j.advance(ctx, s, st, step{
		stamp:  j.random(),
		guards: []Guard{guard},
		ops:    []Op{gone},
		next: func(h *Head) (*Head, bool) {
			m := h.Meta
			if m.Lineage != from.Lineage || m.base().ID != from.base().ID {
				return nil, false
			}
			m.LogBytes -= from.LogBytes
			m.Generations = j.keep(slices.Clone(m.Generations), d.Generation)
			return &Head{m, h.Items}, true
		},
	})
	return err
}
