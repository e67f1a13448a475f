package pebblejournal

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/popkv/popkv/internal/journal"
)

// TestAKilledProcessLosesNothingAcknowledged kills a process that writes on
// the real file system, again and again.
func TestAKilledProcessLosesNothingAcknowledged(t *testing.T) {
	seed := newSeed(t)
	rng := rand.New(rand.NewPCG(seed, 4))
	dir := t.TempDir() + "/data"
	kills := 4
	if long() {
		kills = 200
	}
	acked := map[string]uint64{}
	for range kills {
		killAfter(t, dir, 50+rng.IntN(1500), acked)
		d, err := Open(dir, options(nil))
		if err != nil {
			t.Fatal(err)
		}
		for key, version := range acked {
			value, _, err := viewKey(d, key)
			if err != nil || len(value) != 8 || binary.BigEndian.Uint64(value) < version {
				t.Fatalf("%s is %x, version %d was acknowledged: %v", key, value, version, err)
			}
			acked[key] = binary.BigEndian.Uint64(value)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter runs the writing process until it has reported some commits.
func killAfter(t *testing.T, dir string, commits int, acked map[string]uint64) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestHelperWrites$")
	child.Env = append(os.Environ(), "POPKV_TEST_WRITE="+dir)
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for n := 0; lines.Scan(); n++ {
		var key string
		var version uint64
		if _, err := fmt.Sscanf(lines.Text(), "acked %s %d", &key, &version); err != nil {
			t.Fatalf("the writer says %q", lines.Text())
		}
		acked[key] = version
		if n == commits {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the writer was not killed")
	}
}

// TestHelperWrites is the process that is killed: its writers count up from
// what they find and report each answer.
func TestHelperWrites(t *testing.T) {
	dir := os.Getenv("POPKV_TEST_WRITE")
	if dir == "" {
		t.Skip("only for a child process")
	}
	o := options(nil)
	o.memTableBytes = 64 << 10
	d, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			key := metaKey(w)
			value, rev, err := viewKey(d, key)
			version := uint64(0)
			if rev != 0 {
				version = binary.BigEndian.Uint64(value)
			}
			for err == nil {
				version++
				value := binary.BigEndian.AppendUint64(nil, version)
				rev, err = d.Commit(context.Background(), journal.Txn{
					Guards: []journal.Guard{{Key: key, Rev: rev}},
					Ops:    []journal.Op{{Key: key, Value: value}, {Key: recordKey(w, version), Value: make([]byte, 200)}},
				})
				if err == nil {
					_, err = fmt.Printf("acked %s %d\n", key, version)
				}
			}
			panic(err)
		})
	}
	writers.Wait()
}
