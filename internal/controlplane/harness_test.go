package controlplane

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/s3import"
)

var root = popkv.Caller{Account: "123456789012", User: popkv.RootUser}

// A world is one process: a journal on a driver and a service on it.
type world struct {
	t testing.TB
	j *journal.Journal
	*Service
	driver journal.Driver
	stop   func() // ends Run and closes the journal; run again at the end
}

// start starts a process on a driver, as often as a test likes.
func start(t testing.TB, drv journal.Driver, o Options) *world {
	t.Helper()
	j, err := journal.Open(t.Context(), drv, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, j: j, Service: New(j, o), driver: drv}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	w.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := j.Close(); err != nil {
			t.Errorf("close the journal: %v", err)
		}
	})
	t.Cleanup(w.stop)
	return w
}

func newWorld(t testing.TB, o Options) *world {
	t.Helper()
	return start(t, memjournal.New(memjournal.Options{}), o)
}

func (w *world) create(in NewStore) Store {
	w.t.Helper()
	s, err := w.Create(w.t.Context(), root, in)
	if err != nil {
		w.t.Fatalf("create %s: %v", in.Name, err)
	}
	return s
}

func (w *world) target(name string) Target {
	w.t.Helper()
	target, err := w.Store(w.t.Context(), root.Account, name)
	if err != nil {
		w.t.Fatalf("find %s: %v", name, err)
	}
	return target
}

func (w *world) describe(name string) Store {
	w.t.Helper()
	s, err := w.Describe(w.t.Context(), w.target(name))
	if err != nil {
		w.t.Fatalf("describe %s: %v", name, err)
	}
	return s
}

// meta is the store as the data plane sees it.
func (w *world) meta(s Store) journal.Meta {
	w.t.Helper()
	m, err := w.j.Meta(w.t.Context(), s.ID)
	if err != nil {
		w.t.Fatalf("meta of %s: %v", s.Name, err)
	}
	return m
}

// audit checks what must hold of the catalog at any time, whatever has
// happened: names and control records are each other's, both planes agree on
// the status, a job exists exactly for a store that is PROVISIONING, and the
// counters count.
func (w *world) audit() {
	w.t.Helper()
	err := w.j.Catalog(w.t.Context(), func(tx *journal.Tx) error {
		names := map[string]int{}
		stores := map[popkv.StoreID]bool{}
		err := tx.Scan("n/", "n0", 0, func(key string, _ []byte) error {
			parts := strings.Split(key, "/")
			names[parts[1]]++
			id, c, err := storeByName(tx, parts[1], parts[2])
			if err != nil {
				return err
			}
			stores[id] = true
			m, there, err := tx.Meta(id)
			if err != nil {
				return err
			}
			_, working, err := get[job](tx, journal.ImportJobKey(id))
			if err != nil {
				return err
			}
			if !there || m.Status != c.Status || m.Account != c.Account || c.Name != parts[2] || working != (c.Status == popkv.Provisioning) {
				w.t.Errorf("%s: control %+v, meta there %v: %s of %s, job %v", key, c, there, m.Status, m.Account, working)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, prefix := range []string{journal.ControlPrefix(), journal.ImportJobPrefix()} {
			err := tx.Scan(prefix, journal.PrefixEnd(prefix), 0, func(key string, _ []byte) error {
				if id, ok := popkv.ParseStoreID(key[len(prefix):]); !ok || !stores[id] {
					w.t.Errorf("%s belongs to no store", key)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		functions := map[string]int{}
		if err := w.auditFunctions(tx, functions); err != nil {
			return err
		}
		countedStores, countedFunctions := map[string]int{}, map[string]int{}
		err = tx.Scan(journal.CounterPrefix(), journal.PrefixEnd(journal.CounterPrefix()), 0, func(key string, value []byte) error {
			q, _, err := decode[counters](key, value)
			if q.Stores > 0 {
				countedStores[key[2:]] = q.Stores
			}
			if q.Functions > 0 {
				countedFunctions[key[2:]] = q.Functions
			}
			return err
		})
		if diff := cmp.Diff(names, countedStores); diff != "" {
			w.t.Errorf("stores by account (-there +counted):\n%s", diff)
		}
		if diff := cmp.Diff(functions, countedFunctions); diff != "" {
			w.t.Errorf("functions by account (-there +counted):\n%s", diff)
		}
		return err
	})
	if err != nil {
		w.t.Errorf("audit: %v", err)
	}
}

// auditFunctions counts functions and checks that stores and functions agree on
// who names whom.
func (w *world) auditFunctions(tx *journal.Tx, count map[string]int) error {
	w.t.Helper()
	named, referred := map[string]bool{}, map[string]bool{}
	err := tx.Scan("f/", "f0", 0, func(key string, value []byte) error {
		parts := strings.Split(key, "/")
		count[parts[1]]++
		f, _, err := decode[function](key, value)
		if err != nil {
			return err
		}
		for _, stage := range []Stage{Development, Live} {
			if c := f.at(stage); c != nil && c.Store != "" {
				named[c.Store+" by "+parts[2]+" "+string(stage)] = true
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = tx.Scan(journal.ControlPrefix(), journal.PrefixEnd(journal.ControlPrefix()), 0, func(key string, value []byte) error {
		c, _, err := decode[control](key, value)
		for _, r := range c.Referrers {
			if r.Development {
				referred[key[2:]+" by "+r.Function+" "+string(Development)] = true
			}
			if r.Live {
				referred[key[2:]+" by "+r.Function+" "+string(Live)] = true
			}
		}
		return err
	})
	if diff := cmp.Diff(named, referred); diff != "" {
		w.t.Errorf("associations (-functions +stores):\n%s", diff)
	}
	return err
}

// documents is a source in memory: documents by key. The key says what is
// wrong with the others.
type documents struct {
	texts map[string]string
	sizes map[string]int64                               // told beforehand
	open  func(ctx context.Context, l s3import.Location) // called by each Open
}

func (d *documents) Size(l s3import.Location) (int64, bool) {
	size, ok := d.sizes[l.Key]
	return size, ok
}

func (d *documents) Open(ctx context.Context, l s3import.Location) (io.ReadCloser, int64, error) {
	if d.open != nil {
		d.open(ctx, l)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, 0, &s3import.Failure{Reason: s3import.Unreadable, Offset: -1, Err: err}
	}
	text, ok := d.texts[l.Key]
	if !ok {
		return nil, 0, &s3import.Failure{Reason: s3import.Unreadable, Offset: -1}
	}
	return io.NopCloser(strings.NewReader(text)), -1, nil
}

const twoItems = `{"data":[{"key":"a","value":"1"},{"key":"b","value":"22"}]}`

func importOf(key string) *ImportSource {
	return &ImportSource{Type: "S3", ARN: "arn:aws:s3:::bucket/" + key}
}

func ptr[T any](v T) *T { return &v }
