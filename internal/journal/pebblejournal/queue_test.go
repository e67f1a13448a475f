package pebblejournal

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv/internal/journal"
)

// oneBatch applies transactions as one group and returns their answers.
func oneBatch(t *testing.T, d *Driver, txns ...journal.Txn) []error {
	t.Helper()
	g := &group{verdicts: make([]verdict, len(txns))}
	for _, txn := range txns {
		g.requests = append(g.requests, newRequest(txn))
	}
	if err := d.apply(g); err != nil {
		t.Fatal(err)
	}
	d.slots <- struct{}{}
	d.applied <- g
	var errs []error
	for _, r := range g.requests {
		<-r.done
		errs = append(errs, r.err)
	}
	return errs
}

func guardedPut(guard string, rev journal.Rev, op journal.Op) journal.Txn {
	return journal.Txn{Guards: []journal.Guard{{Key: guard, Rev: rev}}, Ops: []journal.Op{op}}
}

// Guards see what the same batch has done before them, whatever the kind of
// key and whether it was cached.
func TestCommitsOfOneBatchSeeEachOther(t *testing.T) {
	for _, key := range []string{"m/a", "l/a/1", "c/a/1", "i/a", "!gate"} {
		t.Run(key, func(t *testing.T) {
			d := mustOpen(t, options(vfs.NewMem()))
			defer d.Close()
			put, del := journal.Op{Key: key, Value: []byte("x")}, journal.Op{Kind: journal.Delete, Key: key}
			errs := oneBatch(t, d, guardedPut(key, 0, put), guardedPut(key, 0, put))
			if errs[0] != nil || !errors.Is(errs[1], journal.ErrGuard) {
				t.Fatalf("two puts of an absent key: %v", errs)
			}
			_, rev, err := viewKey(d, key)
			if err != nil {
				t.Fatal(err)
			}
			errs = oneBatch(t, d, guardedPut(key, rev, del), guardedPut(key, rev, put), guardedPut(key, 0, put), guardedPut(key, 0, put))
			if errs[0] != nil || !errors.Is(errs[1], journal.ErrGuard) || errs[2] != nil || !errors.Is(errs[3], journal.ErrGuard) {
				t.Fatalf("delete, put, put of what was deleted, twice: %v", errs)
			}
			if sum, err := recount(d.db, d.id); err != nil || sum != d.write.head.digest {
				t.Fatalf("the keys add up to %v, the root says %v: %v", sum, d.write.head.digest, err)
			}
		})
	}
}

func TestABatchIsBoundedAndARangeHasItsOwn(t *testing.T) {
	small := func(n int) []*request {
		var requests []*request
		for range n {
			requests = append(requests, newRequest(putA("x")))
		}
		return requests
	}
	half := newRequest(putA(string(make([]byte, batchBytes/2))))
	ranged := newRequest(journal.Txn{Ops: []journal.Op{{Kind: journal.DeleteRange, Key: "a", End: "b"}}})
	for _, c := range []struct {
		name    string
		waiting []*request
		want    []int // sizes of the batches
	}{
		{"nothing", nil, nil},
		{"few", small(3), []int{3}},
		{"many", small(2*batchCommits + 1), []int{batchCommits, batchCommits, 1}},
		{"long", []*request{half, half, half}, []int{1, 1, 1}},
		{"a range first", append([]*request{ranged}, small(2)...), []int{1, 2}},
		{"a range between", append(append(small(2), ranged), small(2)...), []int{2, 1, 2}},
		{"ranges", []*request{ranged, ranged}, []int{1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := newQueue()
			for _, r := range c.waiting {
				if err := q.put(r); err != nil {
					t.Fatal(err)
				}
			}
			var got []int
			for {
				n := 0
				q.take(func(requests []*request) { n = len(requests) })
				if n == 0 {
					break
				}
				got = append(got, n)
			}
			if diff := cmp.Diff(c.want, got); diff != "" || q.bytes != 0 {
				t.Fatalf("%d bytes left over\n%s", q.bytes, diff)
			}
		})
	}
}

func TestAQueueIsBoundedByCountAndBytes(t *testing.T) {
	for name, c := range map[string]struct {
		value string
		want  int
	}{
		"count": {"", queueCommits},
		"bytes": {string(make([]byte, 1<<20-3)), queueBytes >> 20},
	} {
		t.Run(name, func(t *testing.T) {
			q := newQueue()
			var last *request
			for n := range c.want {
				last = newRequest(putA(c.value))
				if err := q.put(last); err != nil {
					t.Fatalf("put %d: %v", n, err)
				}
			}
			if err := q.put(newRequest(putA(c.value))); !errors.Is(err, journal.ErrRefused) {
				t.Fatalf("one too many: %v", err)
			}
			if !q.withdraw(last) || q.withdraw(last) {
				t.Fatal("a waiting request can be withdrawn, once")
			}
			if err := q.put(last); err != nil {
				t.Fatalf("in the place of one that was withdrawn: %v", err)
			}
		})
	}
}

// What waits when the disk is found full is refused; what the committer has
// begun on becomes unknown only after a while.
func TestAFullDiskRefusesWhatWaits(t *testing.T) {
	d := newDriver(testDir, options(vfs.NewMem()).withDefaults())
	waiting, begun := newRequest(putA("waiting")), newRequest(putA("begun"))
	if err := d.queue.put(begun); err != nil {
		t.Fatal(err)
	}
	d.takeGroup()
	if err := d.queue.put(waiting); err != nil {
		t.Fatal(err)
	}
	d.diskFull()
	select {
	case <-waiting.done:
	default:
		t.Fatal("what waits was not answered")
	}
	if !errors.Is(waiting.err, journal.ErrRefused) || !errors.Is(waiting.err, errFull) {
		t.Fatalf("what waits: %v", waiting.err)
	}
	select {
	case <-begun.done:
		t.Fatalf("what has begun: %v", begun.err)
	default:
	}
}

// A key that the engine cannot read fails the commit that needs it and no
// other.
func TestDamageFailsOnlyTheCommitThatMeetsIt(t *testing.T) {
	var load workload
	fs := &flipFS{FS: loadedDirectory(t, &load).restore(t)}
	o := options(fs)
	o.CacheBytes = 1 // nothing stays in memory
	d := mustOpen(t, o)
	defer d.Close()
	if err := d.db.Compact(t.Context(), []byte("a"), []byte("z"), false); err != nil {
		t.Fatal(err)
	}
	levels, err := d.db.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	d.write.Lock()
	d.write.revs = newRevCache(d.db, d.id)
	d.write.Unlock()
	last := levels[len(levels)-1]
	fs.flip(fmt.Sprintf("%06d.sst", last[len(last)-1].FileNum), 100)
	_, err = d.Commit(t.Context(), guardedPut("l/0/"+string(make([]byte, 7))+"\x3c", 1, journal.Op{Key: "m/x"}))
	if !errors.Is(err, journal.ErrRefused) || !errors.Is(err, ErrDamaged) {
		t.Fatalf("a guard in a damaged block: %v", err)
	}
	if _, err := d.Commit(t.Context(), journal.Txn{Ops: []journal.Op{{Key: "l/none/1"}}}); err != nil {
		t.Fatalf("another commit: %v", err)
	}
	if s := d.State(); s.Mode != journal.Writable {
		t.Fatalf("state %v", s)
	}
}
