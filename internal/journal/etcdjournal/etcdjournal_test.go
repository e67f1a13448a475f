package etcdjournal

import (
	"context"
	"errors"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/etcdjournal/etcdtest"
	"github.com/popkv/popkv/internal/journal/journaltest"
)

func TestConformance(t *testing.T) {
	client := etcdtest.Start(t)
	journaltest.Run(t, func(t *testing.T) journaltest.Harness {
		if _, err := client.Delete(t.Context(), Prefix, clientv3.WithPrefix()); err != nil {
			t.Fatal(err)
		}
		faults := &faultyKV{KV: client.KV}
		current := open(t, client, faults)
		return journaltest.Harness{
			Driver: current,
			Crash: func(t *testing.T) journal.Driver {
				// What etcd does a lease's time after the process is gone.
				if _, err := client.Revoke(t.Context(), current.intents); err != nil {
					t.Fatal(err)
				}
				current = open(t, client, faults)
				return current
			},
			Lose: func(_ *testing.T, applied bool) { faults.loseNext(applied) },
			Hold: func(*testing.T) (<-chan struct{}, func()) { return faults.hold() },
		}
	})
}

func open(t *testing.T, client *clientv3.Client, kv clientv3.KV) *Driver {
	t.Helper()
	d, err := Open(t.Context(), client, Options{})
	if err != nil {
		t.Fatal(err)
	}
	d.kv = kv
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// faultyKV stands between a driver and etcd.
type faultyKV struct {
	clientv3.KV

	mu      sync.Mutex
	lose    *bool // the next write's answer is lost; it is applied or not
	held    chan struct{}
	reached chan struct{}
}

func (f *faultyKV) loseNext(applied bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lose = &applied
}

func (f *faultyKV) hold() (<-chan struct{}, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	held, reached := make(chan struct{}), make(chan struct{})
	f.held, f.reached = held, reached
	return reached, func() {
		f.mu.Lock()
		f.held = nil
		f.mu.Unlock()
		close(held)
	}
}

func (f *faultyKV) Txn(ctx context.Context) clientv3.Txn {
	return &faultyTxn{Txn: f.KV.Txn(ctx), f: f, ctx: ctx}
}

type faultyTxn struct {
	clientv3.Txn
	f      *faultyKV
	ctx    context.Context
	writes bool
}

func (t *faultyTxn) If(c ...clientv3.Cmp) clientv3.Txn { t.Txn = t.Txn.If(c...); return t }

func (t *faultyTxn) Then(ops ...clientv3.Op) clientv3.Txn {
	for _, op := range ops {
		t.writes = t.writes || !op.IsGet()
	}
	t.Txn = t.Txn.Then(ops...)
	return t
}

var errLost = errors.New("the connection broke")

func (t *faultyTxn) Commit() (*clientv3.TxnResponse, error) {
	if !t.writes {
		return t.Txn.Commit()
	}
	t.f.mu.Lock()
	lose, held := t.f.lose, t.f.held
	t.f.lose = nil
	if held != nil && t.f.reached != nil {
		close(t.f.reached)
		t.f.reached = nil
	}
	t.f.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-t.ctx.Done():
			return nil, t.ctx.Err()
		}
	}
	if lose != nil {
		if *lose {
			if _, err := t.Txn.Commit(); err != nil {
				return nil, err
			}
		}
		return nil, errLost
	}
	return t.Txn.Commit()
}

// A client that is suddenly talking to another cluster must not be believed.
func TestAnotherClusterFailsTheDriver(t *testing.T) {
	first, second := etcdtest.Start(t), etcdtest.Start(t)
	d := open(t, first, first.KV)
	if _, err := d.Commit(t.Context(), journal.Txn{Ops: []journal.Op{{Kind: journal.Put, Key: "m/a"}}}); err != nil {
		t.Fatal(err)
	}
	d.kv = second.KV
	_, err := d.Commit(t.Context(), journal.Txn{Ops: []journal.Op{{Kind: journal.Put, Key: "m/a"}}})
	if !errors.Is(err, journal.ErrFailed) {
		t.Fatalf("got %v, want ErrFailed", err)
	}
	d.kv = first.KV
	if _, err := d.View(t.Context()); !errors.Is(err, journal.ErrFailed) {
		t.Fatalf("a failed driver answers %v", err)
	}
	if d.State().Mode != journal.Failed {
		t.Fatalf("the state is %v", d.State())
	}
}

// A view that compaction has passed says so, and a new one works.
func TestCompactionMovesAView(t *testing.T) {
	client := etcdtest.Start(t)
	d := open(t, client, client.KV)
	put := func(value string) journal.Rev {
		t.Helper()
		rev, err := d.Commit(t.Context(), journal.Txn{Ops: []journal.Op{{Kind: journal.Put, Key: "m/a", Value: []byte(value)}}})
		if err != nil {
			t.Fatal(err)
		}
		return rev
	}
	put("1")
	old, err := d.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	last := put("2")
	if _, err := client.Compact(t.Context(), int64(last)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := old.Get("m/a"); !errors.Is(err, journal.ErrMoved) {
		t.Fatalf("Get after compaction: %v, want ErrMoved", err)
	}
	for _, err := range old.Scan("m/", "m0", 0) {
		if !errors.Is(err, journal.ErrMoved) {
			t.Fatalf("Scan after compaction: %v, want ErrMoved", err)
		}
	}
	for _, err := range d.Watch(t.Context(), "", 0) {
		if !errors.Is(err, journal.ErrMoved) {
			t.Fatalf("Watch from before compaction: %v, want ErrMoved", err)
		}
	}
	now, err := d.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer now.Close()
	if value, _, err := now.Get("m/a"); err != nil || string(value) != "2" {
		t.Fatalf("a new view has %q, %v", value, err)
	}
}
