package etcdjournal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/popkv/popkv/internal/journal"
)

// Revs is [journal.Driver.Revs]: one linearizable read-only transaction.
func (d *Driver) Revs(ctx context.Context, keys []string) ([]journal.Rev, error) {
	if len(keys) > journal.MaxRevs {
		return nil, fmt.Errorf("%w: %d keys, at most %d", journal.ErrRefused, len(keys), journal.MaxRevs)
	}
	if err := d.enter(); err != nil {
		return nil, err
	}
	defer d.leave()
	ops := make([]clientv3.Op, len(keys))
	for i, key := range keys {
		ops[i] = clientv3.OpGet(Prefix+key, clientv3.WithKeysOnly())
	}
	answer, err := d.kv.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", journal.ErrUnknown, err)
	}
	if err := d.pinned(answer.Header); err != nil {
		return nil, err
	}
	revs := make([]journal.Rev, len(keys))
	for i, r := range answer.Responses {
		if kvs := r.GetResponseRange().Kvs; len(kvs) > 0 {
			revs[i] = journal.Rev(kvs[0].ModRevision)
		}
	}
	return revs, nil
}

// View is [journal.Driver.View]: a linearizable read tells the revision that
// all its reads name.
func (d *Driver) View(ctx context.Context) (journal.View, error) {
	if err := d.enter(); err != nil {
		return nil, err
	}
	head, err := d.kv.Get(ctx, headKey, clientv3.WithCountOnly())
	if err == nil {
		err = d.pinned(head.Header)
	} else {
		err = fmt.Errorf("%w: %w", journal.ErrUnknown, err)
	}
	if err != nil {
		d.leave()
		return nil, err
	}
	return &view{d: d, rev: head.Header.Revision, leave: sync.OnceFunc(d.leave)}, nil
}

// A view reads at one revision of etcd until compaction passes it.
type view struct {
	d     *Driver
	rev   int64
	leave func()
}

const (
	readTimeout = 10 * time.Second
	pageKeys    = 64 // of one range read; chunks have 64 KB each
)

func (v *view) Rev() journal.Rev { return journal.Rev(v.rev) }

func (v *view) Close() { v.leave() }

func (v *view) Get(key string) ([]byte, journal.Rev, error) {
	answer, err := v.read(Prefix + key)
	if err != nil || len(answer.Kvs) == 0 {
		return nil, 0, err
	}
	return answer.Kvs[0].Value, journal.Rev(answer.Kvs[0].ModRevision), nil
}

func (v *view) read(key string, options ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	answer, err := v.d.kv.Get(ctx, key, append(options, clientv3.WithRev(v.rev))...)
	if errors.Is(err, rpctypes.ErrCompacted) {
		return nil, fmt.Errorf("%w: compacted", journal.ErrMoved)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", journal.ErrUnknown, err)
	}
	return answer, v.d.pinned(answer.Header)
}

func (v *view) Scan(from, end string, limit int) iter.Seq2[journal.KV, error] {
	stop := Prefix + end
	if end == "" {
		stop = clientv3.GetPrefixRangeEnd(Prefix)
	}
	return func(yield func(journal.KV, error) bool) {
		next := Prefix + from
		for left := limit; next < stop; {
			page, err := v.read(next, clientv3.WithRange(stop), clientv3.WithLimit(pageKeys))
			if err != nil {
				yield(journal.KV{}, err)
				return
			}
			for _, kv := range page.Kvs {
				key := string(kv.Key)
				next = key + "\x00"
				if key == headKey {
					continue
				}
				if !yield(journal.KV{Key: strings.TrimPrefix(key, Prefix), Value: kv.Value, Rev: journal.Rev(kv.ModRevision)}, nil) {
					return
				}
				if left--; left == 0 {
					return
				}
			}
			if !page.More {
				return
			}
		}
	}
}
