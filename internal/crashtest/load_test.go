package crashtest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
)

const (
	writers   = 8
	readers   = 4
	keyspace  = 24 // few keys, so that they are overwritten and deleted a lot
	longValue = 900
)

// A store is one that lives through all crashes, and what the test knows of
// it.
type store struct {
	arn string
	state
	*history
}

// load runs writers, readers and the makers of stores against a server until
// none of them gets an answer any more.
func (c *caller) load(seed uint64, stores []*store, l *lives) {
	var clients sync.WaitGroup
	for n := range writers {
		clients.Go(func() {
			w := &client{caller: c, name: fmt.Sprintf("writer %d of run %d", n, seed), dice: rand.New(rand.NewPCG(seed, uint64(n)))}
			for w.write(stores[w.dice.IntN(len(stores))]) {
			}
		})
	}
	for n := range readers {
		clients.Go(func() {
			r := &client{caller: c, dice: rand.New(rand.NewPCG(seed, uint64(writers+n)))}
			for r.read(stores[r.dice.IntN(len(stores))]) {
			}
		})
	}
	clients.Go(func() {
		dice := rand.New(rand.NewPCG(seed, writers+readers))
		for l.step(c, dice) {
		}
	})
	clients.Wait()
}

// A client is one writer or reader. Its methods return false when the server
// does not answer.
type client struct {
	*caller
	name string
	dice *rand.Rand
	etag map[*store]string // that it knows of, while it has a reason to think them current
	made int
}

// read describes a store or gets a key of it.
func (c *client) read(s *store) bool {
	if c.dice.IntN(3) == 0 {
		seen, err := c.describe(s.arn)
		if err == nil {
			s.addSight(seen)
		}
		return err == nil
	}
	got, err := c.get(s.arn, c.aKey())
	if err == nil {
		s.addGet(got)
	}
	return err == nil
}

func (c *client) aKey() string { return fmt.Sprintf("key%d", c.dice.IntN(keyspace)) }

// aValue returns one that was never there before.
func (c *client) aValue() string {
	c.made++
	return fmt.Sprintf("%s, value %d %s", c.name, c.made, strings.Repeat("x", c.dice.IntN(longValue)))
}

// write changes a store on the ETag it knows, or looks for the current one.
func (c *client) write(s *store) bool {
	if c.etag == nil {
		c.etag = map[*store]string{}
	}
	if c.etag[s] == "" {
		seen, err := c.describe(s.arn)
		if err != nil {
			return false
		}
		s.addSight(seen)
		c.etag[s] = seen.etag
	}
	w := &write{client: c.name, expect: c.etag[s], puts: map[string]string{}}
	var method, target, body string
	switch c.dice.IntN(10) {
	case 0, 1:
		key := c.aKey()
		w.deletes = []string{key}
		method, target = http.MethodDelete, s.arn+"/keys/"+key
	case 2, 3, 4:
		method, target, body = http.MethodPost, s.arn+"/keys", c.batch(w)
	default:
		key := c.aKey()
		w.puts[key] = c.aValue()
		method, target, body = http.MethodPut, s.arn+"/keys/"+key, `{"Value":"`+w.puts[key]+`"}`
	}
	w.began = c.clock()
	a, err := c.data(method, target, w.expect, body)
	w.ended = c.clock()
	c.etag[s] = ""
	switch {
	case err != nil || a.status >= 500:
	case a.status == http.StatusOK:
		w.outcome = acknowledged
		if w.after, err = a.counts(); err != nil {
			w.after.etag = "an answer that cannot be read: " + err.Error()
		}
		c.etag[s] = a.etag
	case strings.Contains(string(a.body), "Pre-Condition failed"):
		w.outcome = stale
	default: // never to be expected: the checker will say so
		w.outcome, w.after.etag = acknowledged, fmt.Sprintf("refused with %d %s", a.status, a.body)
	}
	s.add(w)
	return err == nil
}

// batch fills w with some puts and deletes, no key twice, and returns the body.
func (c *client) batch(w *write) string {
	type item struct {
		Key   string
		Value string `json:",omitempty"`
	}
	var body struct{ Puts, Deletes []item }
	keys := c.dice.Perm(keyspace)
	for _, n := range keys[:1+c.dice.IntN(6)] {
		key, value := fmt.Sprintf("key%d", n), c.aValue()
		w.puts[key] = value
		body.Puts = append(body.Puts, item{key, value})
	}
	for _, n := range keys[6 : 6+c.dice.IntN(4)] {
		key := fmt.Sprintf("key%d", n)
		w.deletes = append(w.deletes, key)
		body.Deletes = append(body.Deletes, item{Key: key})
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return string(text)
}
