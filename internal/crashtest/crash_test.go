// Package crashtest kills a real server, again and again, while clients write,
// and checks after each start that nothing that was acknowledged is lost,
// nothing is there by halves, and what clients saw meanwhile fits together. It
// has tests alone: the test binary is also the server.
package crashtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/pebblejournal"
	"github.com/popkv/popkv/internal/server"
	"github.com/popkv/popkv/internal/sigv4"
)

// A trial is one data directory and what the test knows of it.
type trial struct {
	t      *testing.T
	place  place
	seed   uint64
	dice   *rand.Rand
	began  time.Time
	key    *sigv4.Key
	stores []*store
	lives  *lives

	runs             int
	writes, unknowns int
	slowestStart     time.Duration
}

// newTrial makes an empty trial. POPKV_SEED repeats the choices of another
// one, though not the moments at which processes run.
func newTrial(t *testing.T) *trial {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("POPKV_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("POPKV_SEED=%d", seed)
	tr := &trial{
		t: t, place: newPlace(t), seed: seed, dice: rand.New(rand.NewPCG(seed, seed)), began: time.Now(), key: sigv4.NewKey(keyID, keySecret),
	}
	var err error
	if tr.lives, err = newLives(tr.place); err != nil {
		t.Fatal(err)
	}
	return tr
}

func (tr *trial) caller(s *process) *caller {
	return &caller{server: s, key: tr.key, clock: func() time.Duration { return time.Since(tr.began) }}
}

// open starts a server, which verifies its data.
func (tr *trial) open() *process {
	tr.t.Helper()
	began := time.Now()
	s := tr.place.start(tr.t)
	tr.slowestStart = max(tr.slowestStart, time.Since(began))
	return s
}

// makeStores makes the stores that live through all crashes.
func (tr *trial) makeStores(c *caller) {
	tr.t.Helper()
	for n := range 3 {
		name := fmt.Sprint("lasting-", n)
		arn, err := c.makeStore(name)
		if err != nil {
			tr.t.Fatal(err)
		}
		tr.stores = append(tr.stores, &store{arn: arn, state: state{1, map[string]string{}}, history: &history{}})
	}
}

// check compares every store with what clients know of it.
func (tr *trial) check(c *caller) error {
	others := map[string]bool{}
	for n, s := range tr.stores {
		others[fmt.Sprint("lasting-", n)] = true
		found, err := c.contents(s.arn)
		if err != nil {
			return err
		}
		for _, w := range s.writes {
			tr.writes++
			if w.outcome == unknown {
				tr.unknowns++
			}
		}
		if err := s.advance(s.history, found); err != nil {
			return fmt.Errorf("store %d: %w", n, err)
		}
		s.history = &history{}
	}
	return tr.lives.check(c, others)
}

// verify asks the server to check all that is stored.
func (c *caller) verify() error {
	a, err := c.send("popkv", "POST", "/popkv/v1/verify", "", "")
	if err != nil {
		return err
	}
	lines := bytes.Split(bytes.TrimSpace(a.body), []byte("\n"))
	var last struct {
		Report *journal.Report
		Error  string
	}
	if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil || last.Report == nil {
		return fmt.Errorf("verify: %d %s", a.status, a.body)
	}
	if !last.Report.OK() {
		return fmt.Errorf("verify: %+v", last.Report.Findings)
	}
	return nil
}

// run loads a server and kills it after a while.
func (tr *trial) run(s *process, longest time.Duration) {
	tr.runs++
	timer := time.AfterFunc(time.Millisecond+time.Duration(tr.dice.Int64N(int64(longest))), func() { s.cmd.Process.Kill() })
	defer timer.Stop()
	tr.caller(s).load(tr.seed+uint64(tr.runs), tr.stores, tr.lives)
	s.wait()
}

// killAtStart starts a server and kills it before or just after it is ready.
func (tr *trial) killAtStart(longest time.Duration) {
	s, _ := tr.place.begin(tr.t)
	timer := time.AfterFunc(time.Duration(tr.dice.Int64N(int64(longest))), func() { s.cmd.Process.Kill() })
	defer timer.Stop()
	s.wait()
}

func TestNothingAcknowledgedIsLostWhenTheServerIsKilled(t *testing.T) {
	kills := 50
	if os.Getenv("POPKV_TEST_LONG") != "" {
		kills = 500
	} else if testing.Short() {
		kills = 5
	}
	tr := newTrial(t)
	for range 5 { // the first start of all included
		tr.killAtStart(60 * time.Millisecond)
	}
	s := tr.open()
	tr.makeStores(tr.caller(s))
	early := 5
	for n := range kills {
		tr.run(s, 150*time.Millisecond)
		for tr.dice.IntN(6) == 0 {
			early++
			tr.killAtStart(80 * time.Millisecond)
		}
		s = tr.open()
		c := tr.caller(s)
		err := tr.check(c)
		if err == nil && n%10 == 9 {
			err = c.verify()
		}
		if err != nil {
			t.Fatalf("after kill %d: %v\nthe server's log:\n%s", n+1, err, s.said)
		}
	}
	s.stop()
	tr.verifyOffline()
	t.Logf("%d kills under load and %d during a start in %v; %d writes, %d of them without an answer; %d stores made, %d imports whole, %d of them after a crash; the slowest start took %v",
		kills, early, time.Since(tr.began).Round(time.Millisecond), tr.writes, tr.unknowns, tr.lives.count, tr.lives.imported, tr.lives.resumed, tr.slowestStart.Round(time.Millisecond))
	if tr.writes-tr.unknowns < kills || tr.lives.count < kills/5 {
		t.Errorf("too little was done to prove anything")
	}
}

// verifyOffline checks the files and all that is in them.
func (tr *trial) verifyOffline() {
	tr.t.Helper()
	driver, err := pebblejournal.Open(tr.place.data, pebblejournal.Options{})
	if err != nil {
		tr.t.Fatal(err)
	}
	_, err = driver.Check(context.Background())
	report, failed := journal.Verify(context.Background(), driver, journal.VerifyOptions{Check: server.CheckRecord})
	if err := errors.Join(err, failed, driver.Close()); err != nil || !report.OK() {
		tr.t.Errorf("%v, %+v", err, report)
	}
}

// The negative control: a server that goes on from an earlier copy of its data
// has lost what was acknowledged since.
func TestLostWritesAreNoticed(t *testing.T) {
	tr := newTrial(t)
	s := tr.open()
	tr.makeStores(tr.caller(s))
	tr.run(s, 50*time.Millisecond)
	s = tr.open()
	if err := tr.check(tr.caller(s)); err != nil {
		t.Fatal(err)
	}
	s.stop()
	copied := newPlace(t)
	tr.place.copyTo(t, copied)
	for acknowledgedWrites := 0; acknowledgedWrites < 5; {
		tr.run(tr.open(), 50*time.Millisecond)
		for _, s := range tr.stores {
			for _, w := range s.writes {
				if w.outcome == acknowledged && w.after.etag != w.expect {
					acknowledgedWrites++
				}
			}
		}
	}
	tr.place.data = copied.data
	s = tr.open()
	err := tr.check(tr.caller(s))
	if err == nil || !strings.Contains(err.Error(), "lost is") && !strings.Contains(err.Error(), "acknowledged write is not on the chain") {
		t.Errorf("got %v, want a write that was lost", err)
	}
	s.kill()
}
