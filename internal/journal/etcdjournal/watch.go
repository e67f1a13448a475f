package etcdjournal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/popkv/popkv/internal/journal"
)

// Watch is [journal.Driver.Watch]. It watches all keys, because a transaction
// is yielded whole; etcd never splits one revision over two responses.
func (d *Driver) Watch(ctx context.Context, prefix string, after journal.Rev) iter.Seq2[journal.Event, error] {
	return func(yield func(journal.Event, error) bool) {
		if err := d.enter(); err != nil {
			yield(journal.Event{}, err)
			return
		}
		defer d.leave()
		// etcd would wait for a revision that does not exist yet; nobody can
		// have seen it, so it comes from another history.
		head, err := d.kv.Get(ctx, headKey, clientv3.WithCountOnly())
		if err == nil && after > journal.Rev(head.Header.Revision) {
			err = rpctypes.ErrFutureRev
		}
		if err != nil {
			yield(journal.Event{}, d.watchError(ctx, err))
			return
		}
		wctx, stop := context.WithCancel(ctx)
		defer stop()
		defer context.AfterFunc(d.ctx, stop)()
		responses := d.watcher.Watch(clientv3.WithRequireLeader(wctx), Prefix, clientv3.WithPrefix(), clientv3.WithRev(int64(after)+1))
		for response := range responses {
			if err := response.Err(); err != nil {
				yield(journal.Event{}, d.watchError(ctx, err))
				return
			}
			if err := d.pinned(&response.Header); err != nil {
				yield(journal.Event{}, err)
				return
			}
			for _, event := range group(response.Events) {
				if !touches(event, prefix) {
					continue
				}
				if !yield(event, nil) {
					return
				}
			}
		}
		yield(journal.Event{}, d.watchError(ctx, nil))
	}
}

// watchError says why a watch ended.
func (d *Driver) watchError(ctx context.Context, err error) error {
	switch {
	case d.ctx.Err() != nil:
		return errClosed
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, rpctypes.ErrCompacted), errors.Is(err, rpctypes.ErrFutureRev):
		return fmt.Errorf("%w: %w", journal.ErrMoved, err)
	case err == nil:
		return fmt.Errorf("%w: the watch ended", journal.ErrMoved)
	}
	return fmt.Errorf("%w: %w", journal.ErrUnknown, err)
}

// group puts the events of one response back together into transactions. Revisions
// without a head are staged puts and expired leases, which are not shown.
func group(events []*clientv3.Event) []journal.Event {
	var out []journal.Event
	for len(events) > 0 {
		rev := events[0].Kv.ModRevision
		values := map[string][]byte{}
		var head []byte
		n := 0
		for n < len(events) && events[n].Kv.ModRevision == rev {
			e := events[n]
			if string(e.Kv.Key) == headKey {
				head = e.Kv.Value
			} else if e.Type == mvccpb.PUT {
				values[string(e.Kv.Key)] = e.Kv.Value
			}
			n++
		}
		events = events[n:]
		if ops := decodeOps(head, values); ops != nil {
			out = append(out, journal.Event{Rev: journal.Rev(rev), Ops: ops})
		}
	}
	return out
}

func decodeOps(head []byte, values map[string][]byte) []journal.Op {
	var heads []opHead
	if json.Unmarshal(head, &heads) != nil {
		return nil
	}
	ops := make([]journal.Op, len(heads))
	for i, h := range heads {
		ops[i] = journal.Op{Kind: h.Kind, Key: string(h.Key), End: string(h.End), Value: values[Prefix+string(h.Key)]}
	}
	return ops
}

func touches(e journal.Event, prefix string) bool {
	for _, op := range e.Ops {
		if op.Touches(prefix) {
			return true
		}
	}
	return false
}
