package etcdjournal

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/popkv/popkv/internal/journal"
)

// Commit is [journal.Driver.Commit]: one etcd transaction.
func (d *Driver) Commit(ctx context.Context, t journal.Txn) (journal.Rev, error) {
	if err := t.Check(); err != nil {
		return 0, err
	}
	if ctx.Err() != nil {
		return 0, fmt.Errorf("%w: %w", journal.ErrRefused, context.Cause(ctx))
	}
	if err := d.enter(); err != nil {
		return 0, err
	}
	defer d.leave()
	ops, err := d.translate(ctx, t.Ops)
	if err != nil {
		return 0, err
	}
	if len(t.Ops) > 0 {
		ops = append(ops, clientv3.OpPut(headKey, encodeOps(t.Ops)))
	}
	return d.transact(ctx, t.Guards, ops)
}

// stageBytes bounds one etcd request of a Stage, far below etcd's default
// limit of 1.5 MiB, so that bulk writes do not hold up commits.
const stageBytes = 256 << 10

// Stage is [journal.Driver.Stage]: as many transactions as the puts need, each
// under the guard.
func (d *Driver) Stage(ctx context.Context, g journal.Guard, puts []journal.Op) error {
	if err := journal.CheckStage(puts); err != nil {
		return err
	}
	if err := d.enter(); err != nil {
		return err
	}
	defer d.leave()
	for first := true; first || len(puts) > 0; first = false {
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", journal.ErrRefused, context.Cause(ctx))
		}
		n, size := 0, 0
		for n < len(puts) && n < journal.MaxOps && (n == 0 || size+len(puts[n].Value) <= stageBytes) {
			size += len(puts[n].Value)
			n++
		}
		ops, err := d.translate(ctx, puts[:n])
		if err != nil {
			return err
		}
		if _, err := d.transact(ctx, []journal.Guard{g}, ops); err != nil {
			return err
		}
		puts = puts[n:]
	}
	return nil
}

func (d *Driver) transact(ctx context.Context, guards []journal.Guard, ops []clientv3.Op) (journal.Rev, error) {
	ifs := make([]clientv3.Cmp, len(guards))
	for i, g := range guards {
		ifs[i] = clientv3.Compare(clientv3.ModRevision(Prefix+g.Key), "=", int64(g.Rev))
	}
	answer, err := d.kv.Txn(ctx).If(ifs...).Then(ops...).Commit()
	if err := d.outcome(err); err != nil {
		return 0, err
	}
	if err := d.pinned(answer.Header); err != nil {
		return 0, err
	}
	if !answer.Succeeded {
		return 0, journal.ErrGuard
	}
	return journal.Rev(answer.Header.Revision), nil
}

// translate turns ops into etcd's, with the lease that a key's kind asks for.
func (d *Driver) translate(ctx context.Context, ops []journal.Op) ([]clientv3.Op, error) {
	out := make([]clientv3.Op, 0, len(ops)+1)
	for _, op := range ops {
		key := Prefix + op.Key
		switch {
		case op.Kind == journal.Delete:
			out = append(out, clientv3.OpDelete(key))
		case op.Kind == journal.DeleteRange:
			out = append(out, clientv3.OpDelete(key, clientv3.WithRange(Prefix+op.End)))
		case strings.HasPrefix(op.Key, "i/"):
			out = append(out, clientv3.OpPut(key, string(op.Value), clientv3.WithLease(d.intents)))
		case strings.HasPrefix(op.Key, "t/"):
			lease, err := d.lease.Grant(ctx, int64(TombstoneTTL/time.Second))
			if err != nil { // nothing was proposed for the commit itself
				return nil, fmt.Errorf("%w: lease of a tombstone: %w", journal.ErrRefused, err)
			}
			out = append(out, clientv3.OpPut(key, string(op.Value), clientv3.WithLease(lease.ID)))
		default:
			out = append(out, clientv3.OpPut(key, string(op.Value)))
		}
	}
	return out, nil
}

// opHead is an op as [headKey] keeps it: the values of puts come with their
// own events.
type opHead struct {
	Kind journal.OpKind `json:"o"`
	Key  []byte         `json:"k"` // bytes, because a key need not be UTF-8
	End  []byte         `json:"e,omitempty"`
}

func encodeOps(ops []journal.Op) string {
	heads := make([]opHead, len(ops))
	for i, op := range ops {
		heads[i] = opHead{Kind: op.Kind, Key: []byte(op.Key), End: []byte(op.End)}
	}
	b, err := json.Marshal(heads)
	if err != nil {
		panic("etcdjournal: " + err.Error()) // no field of opHead can fail
	}
	return string(b)
}
