package kvsapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/dataplane"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/journal/pebblejournal"
	"github.com/popkv/popkv/internal/sigv4"
)

func TestMain(m *testing.M) {
	// net/http lingers for half a second after it closes a connection whose
	// request it did not read to the end.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

const account = "123456789012"

// A driverFactory makes an empty driver that the test closes.
type driverFactory func(t testing.TB) journal.Driver

// drivers are those that every wire fixture runs on.
func drivers() map[string]driverFactory {
	return map[string]driverFactory{
		"memjournal": func(testing.TB) journal.Driver { return memjournal.New(memjournal.Options{}) },
		"pebblejournal": func(t testing.TB) journal.Driver {
			d, err := pebblejournal.Open("data", pebblejournal.Options{FS: vfs.NewMem(), ReserveBytes: -1, BallastBytes: -1})
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
	}
}

const (
	rootKeyID  = "AKIDEXAMPLEROOT"
	rootSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// A rig is the data plane over an in-memory network: journal, access, rules,
// wire and net/http are the real ones.
type rig struct {
	journal   *journal.Journal
	directory *access.Directory
	rules     *dataplane.Service
	handler   *Handler
	pipe      *pipeListener
	clock     *clock

	mu   sync.Mutex
	keys map[string]access.Credentials // by account/user
}

type rigOptions struct {
	limits   popkv.Limits
	conflict bool
	observe  func(*http.Request, Observation)
	// requestID, if set, is every request's.
	requestID string
	tags      map[string]string // of every store
}

func newRig(t testing.TB, factory driverFactory, o rigOptions) *rig {
	t.Helper()
	r := &rig{keys: map[string]access.Credentials{}, clock: &clock{at: time.UnixMilli(1767323045678).UTC()}}
	drv := factory(t)
	j, err := journal.Open(context.Background(), drv, journal.Options{Now: r.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	r.journal = j
	options := Options{Limits: o.limits, StaleETagConflict: o.conflict, Observe: o.observe, Now: r.clock.now}
	if o.requestID != "" {
		options.RequestID = func(*http.Request) string { return o.requestID }
	}
	r.directory, err = access.Open(context.Background(), j, access.Options{
		Now: r.clock.now, RootAccount: account,
		Root: access.Credentials{AccessKeyID: rootKeyID, Secret: popkv.NewSecret(rootSecret)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.tags != nil {
		options.Tags = func(context.Context, popkv.ARN) (map[string]string, error) { return o.tags, nil }
	}
	gate := access.NewGate(r.directory, access.GateOptions{Now: r.clock.now})
	r.rules = dataplane.New(j, dataplane.Options{Limits: o.limits, Now: r.clock.now})
	r.handler = New(r.rules, gate, options)
	r.pipe = &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: r.handler, ErrorLog: log.New(io.Discard, "", 0)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(r.pipe) })
	t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
		if err := errors.Join(j.Close(), drv.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// store makes a store.
func (r *rig) store(t testing.TB, account string, status popkv.Status, reason string) popkv.StoreID {
	t.Helper()
	var id popkv.StoreID
	err := r.journal.Catalog(context.Background(), func(tx *journal.Tx) error {
		id = r.journal.NewStore(tx, account, status)
		return tx.SetStatus(id, status, reason)
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// delete removes a key without the wire.
func (r *rig) delete(store popkv.StoreID, key, etag string) (dataplane.Counts, string, error) {
	target := dataplane.Target{Caller: popkv.Caller{Account: account, User: popkv.RootUser}, Store: store}
	o, err := r.rules.Delete(context.Background(), target, key, etag)
	return o.Counts, o.ETag, err
}

// send writes a whole request and reads the response as it came.
func (r *rig) send(t testing.TB, raw []byte) (response []byte) {
	t.Helper()
	conn := r.pipe.dial(t)
	defer conn.Close()
	written := make(chan struct{})
	go func() { // a server may answer before it has read everything
		defer close(written)
		_, _ = conn.Write(raw)
	}()
	var got bytes.Buffer
	reader := bufio.NewReader(io.TeeReader(conn, &got))
	method, _, _ := strings.Cut(string(raw), " ")
	resp, err := http.ReadResponse(reader, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%v after %q", err, got.Bytes())
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	response = bytes.Clone(got.Bytes()[:got.Len()-reader.Buffered()])
	conn.Close()
	<-written
	return response
}

// client is an HTTP client whose connections all lead to the rig.
func (r *rig) client(t testing.TB) *http.Client {
	transport := &http.Transport{
		DialContext:         func(context.Context, string, string) (net.Conn, error) { return r.pipe.dial(t), nil },
		MaxIdleConnsPerHost: 64,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) dial(t testing.TB) net.Conn {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client
	case <-l.closed:
		t.Error("dialled a server that is closed")
		return client
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// A signer is one client's credentials; the zero one signs as root.
type signer struct {
	account, user string
	fault         string // "wrong", "late" or "unknown": what is wrong with it
	algorithm     sigv4.Algorithm
}

// sign signs a request with body for the data plane.
func (r *rig) sign(t testing.TB, request *sigv4.Request, body []byte, who signer) {
	t.Helper()
	id, secret := r.key(t, who)
	at := r.clock.now()
	switch who.fault {
	case "late":
		at = at.Add(-time.Hour)
	case "wrong":
		secret += "x"
	case "unknown":
		id += "X"
	}
	s := sigv4.Signer{Key: sigv4.NewKey(id, secret), Algorithm: who.algorithm, Service: access.ServiceDataPlane, Region: "*"}
	if err := s.Sign(request, sha256.Sum256(body), at); err != nil {
		t.Fatal(err)
	}
}

// key returns the credentials of a user, which are made when they are first
// asked for.
func (r *rig) key(t testing.TB, who signer) (id, secret string) {
	t.Helper()
	if who.account == "" || who.account == account && who.user == popkv.RootUser {
		return rootKeyID, rootSecret
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	owner := who.account + "/" + who.user
	c, ok := r.keys[owner]
	if !ok {
		var err error
		c, err = r.directory.CreateKey(context.Background(), access.KeyRequest{Account: who.account, User: who.user})
		if err != nil {
			t.Fatal(err)
		}
		r.keys[owner] = c
	}
	return c.AccessKeyID, c.Secret.Reveal()
}

// allow gives a user of the account a policy that allows one action, on
// stores with a tag if there is one.
func (r *rig) allow(t testing.TB, user, action, tag string) {
	t.Helper()
	condition := ""
	if name, value, ok := strings.Cut(tag, "="); ok {
		condition = `, "Condition": {"StringEquals": {"aws:ResourceTag/` + name + `": "` + value + `"}}`
	}
	document := `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "` + action + `",
		"Resource": "arn:aws:cloudfront::` + account + `:key-value-store/*"` + condition + `}}`
	if err := r.directory.PutPolicy(context.Background(), account, user, "test", []byte(document)); err != nil {
		t.Fatal(err)
	}
}
