package pebblejournal

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/popkv/popkv/internal/journal"
)

// A fakeClock moves on by step at each look.
type fakeClock struct {
	mu   sync.Mutex
	now  time.Time
	step time.Duration
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(c.step)
	return c.now
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// faultScript starts twice, commits, folds, stages and reads. It goes on after
// a refusal and stops at every other error.
func faultScript(o Options, load *workload) error {
	ctx := context.Background()
	for start := range 2 {
		d, err := Open(testDir, o)
		if err != nil {
			return err
		}
		for w := range load.acked {
			if err := faultCommits(ctx, d, load, w, 10); err != nil {
				return errors.Join(err, d.Close())
			}
		}
		if err := faultImport(ctx, d, start); err != nil {
			return errors.Join(err, d.Close())
		}
		if err := d.Close(); err != nil {
			return err
		}
	}
	return nil
}

func faultCommits(ctx context.Context, d *Driver, load *workload, w, n int) error {
	revs, err := d.Revs(ctx, []string{metaKey(w)})
	if err != nil {
		return err
	}
	for refused := 0; n > 0; {
		rev, err := load.step(ctx, d, w, revs[0])
		switch {
		case err == nil:
			revs[0] = rev
			n--
		case errors.Is(err, journal.ErrRefused) && refused < 100:
			refused++
		default:
			return err
		}
	}
	return nil
}

func faultImport(ctx context.Context, d *Driver, start int) error {
	intent := journal.Op{Key: fmt.Sprint("i/g/", start)}
	rev, err := d.Commit(ctx, journal.Txn{Ops: []journal.Op{intent}})
	if err != nil {
		return err
	}
	var chunks []journal.Op
	for n := range 8 {
		chunks = append(chunks, journal.Op{Key: fmt.Sprintf("c/g/%d/%d", start, n), Value: []byte(strings.Repeat("chunk", 4000))})
	}
	if err := d.Stage(ctx, journal.Guard{Key: intent.Key, Rev: rev}, chunks); err != nil {
		return err
	}
	_, err = d.Commit(ctx, journal.Txn{
		Guards: []journal.Guard{{Key: intent.Key, Rev: rev}},
		Ops:    []journal.Op{{Kind: journal.Delete, Key: intent.Key}, {Key: "f/flip", Value: []byte(fmt.Sprint(start))}},
	})
	if err != nil {
		return err
	}
	v, err := d.View(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	for _, op := range chunks {
		if value, _, err := v.Get(op.Key); err != nil || string(value) != string(op.Value) {
			return fmt.Errorf("chunk %s came back with %d bytes: %w", op.Key, len(value), err)
		}
	}
	return nil
}

func faultOptions(fs vfs.FS) Options {
	o := options(fs)
	o.memTableBytes = 64 << 10
	o.Now = (&fakeClock{now: time.Unix(0, 0), step: 40 * time.Millisecond}).Now
	return o
}

// Each file system operation of a script fails once, with each error, carried
// out and not. Whatever the script was told, what is left is all of what was
// acknowledged and nothing of what was refused.
func TestEachOperationFailsOnce(t *testing.T) {
	type variant struct {
		err       error
		persisted bool
	}
	variants := []variant{{syscall.EIO, false}, {syscall.EIO, true}, {syscall.ENOSPC, false}, {syscall.ENOSPC, true}}
	total, _ := faultedScript(t, -1, fault{})
	outcomes := map[string]int{}
	step := 5
	if long() {
		step = 1
	}
	seed := newSeed(t)
	for n := int(seed) & 3; n < total; n += step {
		for i, v := range variants {
			if !long() && i != n/step%len(variants) {
				continue
			}
			_, outcome := faultedScript(t, n, fault{v.err, v.persisted})
			outcomes[fmt.Sprintf("%v, persisted %v: %s", v.err, v.persisted, outcome)]++
		}
	}
	t.Logf("%d operations; %v", total, outcomes)
}

// faultedScript runs the script, fails its n-th operation, checks what is left
// and returns how many operations there were and how the script ended.
func faultedScript(t *testing.T, n int, f fault) (ops int, outcome string) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	fs := &faultFS{FS: mem}
	var count atomic.Int64
	var hit atomic.Value
	fs.set(func(op fsOp) fault {
		if count.Add(1)-1 == int64(n) {
			hit.Store(op.kind + " " + op.name)
			return f
		}
		return fault{}
	})
	var load workload
	done := make(chan error, 1)
	go func() { done <- faultScript(faultOptions(fs), &load) }()
	var err error
	select {
	case err = <-done:
	case <-time.After(20 * time.Second):
		stacks := make([]byte, 1<<20)
		t.Fatalf("operation %d (%v) failing with %v hangs the driver:\n%s", n, hit.Load(), f, stacks[:runtime.Stack(stacks, true)])
	}
	if n < 0 && err != nil {
		t.Fatal(err)
	}
	acked, begun := snapshotOf(&load.acked), snapshotOf(&load.begun)
	for percent := range 2 {
		left := crash(mem, percent*100, 1)
		d, openErr := Open(testDir, faultOptions(left))
		if openErr != nil {
			t.Fatalf("after operation %d (%v) failed with %v and the script with %v, keeping %d %%: %v", n, hit.Load(), f, err, percent*100, openErr)
		}
		if bad := checkWorkload(t.Context(), d, acked, begun); bad != nil {
			t.Fatalf("after operation %d (%v) failed with %v and the script with %v, keeping %d %%: %v", n, hit.Load(), f, err, percent*100, bad)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	switch {
	case err == nil:
		return int(count.Load()), "script done"
	case errors.Is(err, journal.ErrFailed):
		return int(count.Load()), "failed"
	case errors.Is(err, journal.ErrUnknown):
		return int(count.Load()), "unknown"
	}
	return int(count.Load()), "stopped"
}
