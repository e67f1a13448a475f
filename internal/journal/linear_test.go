package journal_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/snapshot"
)

var errStale = errors.New("stale version")

// compareAndSet writes if the store is at version.
func compareAndSet(j *journal.Journal, id popkv.StoreID, version uint64, key, value string) (*journal.Head, error) {
	return j.Update(context.Background(), id, principal, func(h *journal.Head) (snapshot.Change, error) {
		if h.Version != version {
			return snapshot.Change{}, errStale
		}
		return snapshot.Change{Puts: []popkv.Item{{Key: key, Value: value}}}, nil
	})
}

// One winner per ETag: successful writes form one chain without gaps or forks.
func TestThirtyTwoWritersHaveOneWinnerPerVersion(t *testing.T) {
	const writers, writesEach = 32, 20
	d := newDriver(nil)
	j := open(t, d, journal.Options{})
	id := newStore(t, j)
	var mu sync.Mutex
	winners := map[uint64]int{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := 0; n < writesEach; {
				h, err := j.Head(context.Background(), id)
				if err != nil {
					t.Error(err)
					return
				}
				next, err := compareAndSet(j, id, h.Version, "k", fmt.Sprintf("%d/%d", w, n))
				if errors.Is(err, errStale) {
					continue
				}
				if err != nil || next.Version != h.Version+1 {
					t.Errorf("version %d after %d: %v", next.Version, h.Version, err)
					return
				}
				mu.Lock()
				winners[next.Version]++
				mu.Unlock()
				n++
			}
		})
	}
	wg.Wait()
	for v := uint64(2); v <= writers*writesEach+1; v++ {
		if winners[v] != 1 {
			t.Fatalf("version %d has %d winners", v, winners[v])
		}
	}
	verified(t, d)
}

// An input is one operation of the linearizability test.
type input struct {
	write   bool
	version uint64 // expected
	value   string
}

type output struct {
	known   bool // false: a write whose answer was lost
	won     bool
	version uint64
	value   string
}

type register struct {
	version uint64
	value   string
}

func registerModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return register{version: 1} },
		Step: func(state, in, out any) (bool, any) {
			s, i, o := state.(register), in.(input), out.(output)
			if !i.write {
				return o.version == s.version && o.value == s.value, s
			}
			wins := i.version == s.version
			next := s
			if wins {
				next = register{s.version + 1, i.value}
			}
			if !o.known {
				return true, next
			}
			return o.won == wins && (!wins || o.version == next.version), next
		},
	}
}

func TestHistoriesWithLostAnswersAreLinearizable(t *testing.T) {
	histories := 4
	if os.Getenv("POPKV_TEST_LONG") != "" {
		histories = 200
	}
	for range histories {
		seed := newSeed(t)
		if !t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { checkHistory(t, seed) }) {
			return
		}
	}
}

// checkHistory runs readers and writers against a driver that loses answers
// while another store's loads evict this one, and gives what they saw to a
// checker.
func checkHistory(t *testing.T, seed uint64) {
	const clients, opsEach = 8, 60
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(seed, 1))
	quiet := true
	d := newDriver(func(c memjournal.Call) memjournal.Fault {
		mu.Lock()
		defer mu.Unlock()
		if quiet || c.Method != "Commit" {
			return memjournal.NoFault
		}
		switch dice.IntN(12) {
		case 0:
			return memjournal.UnknownLost
		case 1:
			return memjournal.UnknownApplied
		case 2:
			return memjournal.UnknownLater
		case 3:
			return memjournal.Refused
		}
		return memjournal.NoFault
	})
	j := open(t, d, journal.Options{MemoryBudgetBytes: 2 << 10, LoadWait: 20 * time.Millisecond})
	id, other := newStore(t, j), newStore(t, j)
	mu.Lock()
	quiet = false
	mu.Unlock()
	start := time.Now()
	history := make([][]porcupine.Operation, clients)
	var wg sync.WaitGroup
	for c := range clients {
		dice := rand.New(rand.NewPCG(seed, uint64(c)+2))
		wg.Go(func() {
			version := uint64(1)
			for n := range opsEach {
				op := porcupine.Operation{ClientId: c, Call: int64(time.Since(start))}
				if dice.IntN(3) == 0 {
					h, err := j.Head(context.Background(), id)
					if neverHappened(err) {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					got, _ := h.Items.Get("k")
					version = h.Version
					op.Input, op.Output = input{}, output{version: h.Version, value: got}
				} else {
					in := input{true, version, fmt.Sprintf("%d/%d", c, n)}
					h, err := compareAndSet(j, id, in.version, "k", in.value)
					out := output{known: true}
					switch {
					case err == nil:
						version = h.Version
						out.won, out.version = true, h.Version
					case errors.Is(err, errStale):
					case neverHappened(err):
						continue
					default:
						out.known = false
					}
					op.Input, op.Output = in, out
				}
				op.Return = int64(time.Since(start))
				history[c] = append(history[c], op)
				if dice.IntN(8) == 0 {
					d.Land()
				}
				if dice.IntN(4) == 0 {
					j.Head(context.Background(), other)
				}
			}
		})
	}
	wg.Wait()
	checkLinearizable(t, history)
	mu.Lock()
	quiet = true
	mu.Unlock()
	d.Land()
	j.Head(t.Context(), id)
	verified(t, d)
	if s := j.Stats(); s.Resolved == 0 || s.Evictions == 0 || s.Conflicts != 0 {
		t.Errorf("the faults or the budget had nothing to do: %+v", s)
	}
}

// neverHappened tells a call that had no effect, for want of memory or because
// the driver refused, from a write whose outcome is unknown.
func neverHappened(err error) bool {
	return popkv.KindOf(err) == popkv.Unavailable && !strings.Contains(popkv.Message(err), "unknown")
}

// checkLinearizable gives a history to the checker. A write of unknown outcome
// may take effect at any time after its call, or never: the latter is the same
// as taking effect after everything else, where no version matches any more.
func checkLinearizable(t *testing.T, history [][]porcupine.Operation) {
	t.Helper()
	var all []porcupine.Operation
	unknown := 0
	for _, ops := range history {
		for _, op := range ops {
			if in := op.Input.(input); in.write && !op.Output.(output).known {
				op.Return = int64(time.Hour) + int64(unknown)
				op.ClientId = 1000 + unknown
				unknown++
			}
			all = append(all, op)
		}
	}
	result, _ := porcupine.CheckOperationsVerbose(registerModel(), all, 20*time.Second)
	if result != porcupine.Ok {
		t.Fatalf("the checker says %s of %d operations, %d of unknown outcome", result, len(all), unknown)
	}
}

// The checker itself must be able to fail.
func TestTheCheckerSeesALostWrite(t *testing.T) {
	ops := []porcupine.Operation{
		{Input: input{true, 1, "a"}, Call: 0, Output: output{known: true, won: true, version: 2}, Return: 1},
		{Input: input{}, Call: 2, Output: output{version: 1}, Return: 3},
	}
	if porcupine.CheckOperations(registerModel(), ops) {
		t.Fatal("an acknowledged write that a later read does not see was accepted")
	}
}
