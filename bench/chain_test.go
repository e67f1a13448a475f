package bench

import (
	"path/filepath"
	"testing"
	"time"
)

// chainLength is how many writes in a row make one measurement.
const chainLength = 300

// BenchmarkChain is the median time of one signed PutKey in a chain on one
// store: the client signs with the ETag of the answer before, sends, and has
// the answer, whose write is durable. The floor is the median time of an
// append of as many bytes with fdatasync.
func BenchmarkChain(b *testing.B) {
	const pairs = 10_000
	s := serve(b, plan{Kind: popkvServer, Dir: filepath.Join(b.TempDir(), "data"), Stores: 1, Pairs: pairs})
	log := newAppendLog(b)
	c := s.chain(pairs)
	comparison{unit: "µs", floor: func() float64 {
		return medianMicros(b, func(n int) error {
			meta, record := commitValues(0, n)
			return log.append(append(meta, record...))
		})
	}, subjects: []subject{
		{"put", "≤2.5", c.median},
	}}.run(b)
	if err := log.close(); err != nil {
		b.Fatal(err)
	}
}

// medianMicros is the median time of chainLength calls.
func medianMicros(b *testing.B, call func(n int) error) float64 {
	b.Helper()
	var times []float64
	for n := range chainLength {
		begin := time.Now()
		if err := call(n); err != nil {
			b.Fatal(err)
		}
		times = append(times, micros(time.Since(begin)))
	}
	return median(times)
}

// A chain writes to the stores of one server in turn, one write at a time.
type chain struct {
	s      *server
	signer signer
	writes int
	answer answer

	pairs, pairBytes int // of each store
}

func (s *server) chain(pairs int) *chain {
	return &chain{s: s, signer: s.signer(s.Known), pairs: pairs, pairBytes: usualPair}
}

// median makes chainLength writes on a connection of their own and returns
// their median time in microseconds.
func (c *chain) median() float64 {
	conn := c.s.dial()
	defer conn.Close()
	return medianMicros(c.s.b, func(int) error { return c.put(conn) })
}

// put gives one key somewhere in the next store a new value.
func (c *chain) put(conn *conn) error {
	store := c.writes % len(c.s.Stores)
	pair := item((c.writes*7919)%c.pairs, c.pairBytes)
	c.writes++
	body := `{"Value":"` + value(c.writes, len(pair.Value)) + `"}`
	request := c.signer.request(c.s.b, "PUT", target(c.s.Stores[store], pair.Key), c.s.ETags[store], body)
	if err := conn.exchange(request, &c.answer); err != nil {
		return err
	}
	c.s.ETags[store] = string(c.answer.etag)
	return nil
}
