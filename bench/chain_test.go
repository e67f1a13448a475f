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
		{"put", "≤2.5", func() float64 { return medianMicros(b, c.put) }},
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
	b      *testing.B
	s      *server
	signer signer
	conn   *conn
	writes int
	answer answer

	pairs, pairBytes int // of each store
}

func (s *server) chain(pairs int) *chain {
	s.b.Helper()
	conn, err := dial(s.Address)
	if err != nil {
		s.b.Fatal(err)
	}
	s.b.Cleanup(func() { conn.Close() })
	return &chain{b: s.b, s: s, signer: s.signer(s.Known), conn: conn, pairs: pairs, pairBytes: usualPair}
}

// put gives one key somewhere in the next store a new value.
func (c *chain) put(int) error {
	store := c.writes % len(c.s.Stores)
	pair := item((c.writes*7919)%c.pairs, c.pairBytes)
	c.writes++
	body := `{"Value":"` + value(c.writes, len(pair.Value)) + `"}`
	request := c.signer.request(c.b, "PUT", target(c.s.Stores[store], pair.Key), c.s.ETags[store], body)
	if err := c.conn.exchange(request, &c.answer); err != nil {
		return err
	}
	c.s.ETags[store] = string(c.answer.etag)
	return nil
}
