package etcdjournal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/popkv/popkv/internal/journal"
)

// Where keys lie, and how long leased ones live.
const (
	Prefix       = "/popkv/1/"
	IntentTTL    = 60 * time.Second
	TombstoneTTL = 24 * time.Hour
)

// headKey is the driver's own key: the empty one, which no op can name and no
// range can cover. Every commit writes it, with the ops' kinds and keys as
// value: so each commit has a revision even when it only deletes what is
// absent, and Watch can tell a whole transaction from its events.
const headKey = Prefix

// Options change how a [Driver] behaves; the zero value works.
type Options struct {
	Logger *slog.Logger // nil discards
}

// A Driver is a [journal.Driver] on an etcd cluster.
type Driver struct {
	kv        clientv3.KV
	lease     clientv3.Lease
	watcher   clientv3.Watcher
	log       *slog.Logger
	clusterID uint64
	intents   clientv3.LeaseID
	ctx       context.Context // ends with Close: for keep-alives, watches and views
	stop      context.CancelFunc
	keepAlive sync.WaitGroup

	mu     sync.Mutex
	idle   *sync.Cond // signalled when calls falls to 0
	calls  int        // guarded by mu; open Views included
	closed bool       // guarded by mu
	full   error      // guarded by mu: set by a refusal for lack of space, cleared by the next success
	failed error      // guarded by mu: final
}

var _ journal.Driver = (*Driver)(nil)

// Open returns a driver on the cluster that client talks to. Closing the
// driver leaves the client open: it is the caller's.
func Open(ctx context.Context, client *clientv3.Client, o Options) (*Driver, error) {
	d := &Driver{kv: client.KV, lease: client.Lease, watcher: client.Watcher, log: o.Logger}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.idle = sync.NewCond(&d.mu)
	d.ctx, d.stop = context.WithCancel(context.Background())
	head, err := d.kv.Get(ctx, headKey)
	if err != nil {
		d.stop()
		return nil, fmt.Errorf("reach etcd: %w", err)
	}
	d.clusterID = head.Header.ClusterId
	if err := d.grantIntents(ctx); err != nil {
		d.stop()
		return nil, fmt.Errorf("etcd lease: %w", err)
	}
	return d, nil
}

// grantIntents makes the lease that ends with this process.
func (d *Driver) grantIntents(ctx context.Context) error {
	granted, err := d.lease.Grant(ctx, int64(IntentTTL/time.Second))
	if err != nil {
		return err
	}
	d.intents = granted.ID
	alive, err := d.lease.KeepAlive(d.ctx, d.intents)
	if err != nil {
		return err
	}
	d.keepAlive.Go(func() {
		for range alive {
		}
		// A lost lease only lets the sweeper of another process remove our
		// unfinished generations; their flips then fail on the intent's guard.
		if d.ctx.Err() == nil {
			d.log.Warn("the lease of this process's intents was lost; unfinished imports will fail")
		}
	})
	return nil
}

// Identity is the cluster's id.
func (d *Driver) Identity() journal.ID {
	id := journal.ID{8: 'e', 9: 't', 10: 'c', 11: 'd'}
	binary.BigEndian.PutUint64(id[:8], d.clusterID)
	return id
}

// State is [journal.Driver.State], as the last answers of etcd told it.
func (d *Driver) State() journal.State {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.failed != nil:
		return journal.State{Mode: journal.Failed, Cause: d.failed}
	case d.full != nil:
		return journal.State{Mode: journal.Full, Cause: d.full}
	}
	return journal.State{}
}

// Close is [journal.Driver.Close]. It gives the intents' lease back.
func (d *Driver) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	d.mu.Unlock()
	d.stop() // ends the watches, so that they leave

	d.mu.Lock()
	for d.calls > 0 {
		d.idle.Wait()
	}
	d.mu.Unlock()
	d.keepAlive.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := d.lease.Revoke(ctx, d.intents); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return fmt.Errorf("revoke the intents' lease: %w", err)
	}
	return nil
}

var errClosed = fmt.Errorf("%w: closed", journal.ErrRefused)

// enter begins a call, if calls are taken; leave ends it.
func (d *Driver) enter() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return errClosed
	case d.failed != nil:
		return d.failed
	}
	d.calls++
	return nil
}

func (d *Driver) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls--; d.calls == 0 {
		d.idle.Broadcast()
	}
}

// pinned checks that an answer comes from the cluster that was opened. Another
// cluster holds other data: nothing it says can be believed.
func (d *Driver) pinned(h *etcdserverpb.ResponseHeader) error {
	if h.GetClusterId() == d.clusterID {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = fmt.Errorf("%w: etcd cluster %x answered, opened was %x", journal.ErrFailed, h.GetClusterId(), d.clusterID)
	return d.failed
}

// outcome turns etcd's error of a write into the contract's words. Only what
// etcd refuses before it proposes is certain.
func (d *Driver) outcome(err error) error {
	if err == nil {
		d.setFull(nil)
		return nil
	}
	switch {
	case errors.Is(err, rpctypes.ErrNoSpace):
		err = fmt.Errorf("%w: %w", journal.ErrRefused, err)
		d.setFull(err)
		return err
	case errors.Is(err, rpctypes.ErrTooManyRequests), errors.Is(err, rpctypes.ErrRequestTooLarge),
		errors.Is(err, rpctypes.ErrTooManyOps), errors.Is(err, rpctypes.ErrDuplicateKey),
		errors.Is(err, rpctypes.ErrPermissionDenied), errors.Is(err, rpctypes.ErrLeaseNotFound):
		return fmt.Errorf("%w: %w", journal.ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", journal.ErrUnknown, err)
}

func (d *Driver) setFull(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = err
}
