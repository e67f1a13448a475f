package kvsapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/dataplane"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
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
	}
}

// A rig is the data plane over an in-memory network: journal, rules, wire and
// net/http are real; signatures are replaced by a word.
type rig struct {
	journal *journal.Journal
	rules   *dataplane.Service
	handler *Handler
	pipe    *pipeListener
	gate    *fakeGate
	clock   *clock
}

type rigOptions struct {
	limits   popkv.Limits
	conflict bool
	observe  func(*http.Request, Observation)
	// requestID, if set, is every request's.
	requestID string
}

func newRig(t testing.TB, factory driverFactory, o rigOptions) *rig {
	t.Helper()
	r := &rig{gate: &fakeGate{}, clock: &clock{at: time.UnixMilli(1767323045678).UTC()}}
	drv := factory(t)
	j, err := journal.Open(context.Background(), drv, journal.Options{Now: r.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	r.journal = j
	options := Options{Limits: o.limits, StaleETagConflict: o.conflict, Observe: o.observe}
	if o.requestID != "" {
		options.RequestID = func(*http.Request) string { return o.requestID }
	}
	r.rules = dataplane.New(j, dataplane.Options{Limits: o.limits, Now: r.clock.now})
	r.handler = New(r.rules, r.gate, options)
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

// A fakeGate reads who signed from one word: `Authorization: test
// ACCOUNT/USER`, and lets root do everything and others what is in allowed.
// Everything else about it is as the real gate has it.
type fakeGate struct {
	mu      sync.Mutex
	asked   []string          // "USER ACTION RESOURCE", as policies were asked
	allowed map[string]string // user → the one action that is allowed
}

func (g *fakeGate) Admit(r *http.Request, service string, maxBody int64) (*Admission, error) {
	if service != "cloudfront-keyvaluestore" {
		return nil, popkv.Errorf(popkv.BadScope, "Credential should be scoped to a valid service")
	}
	if r.ContentLength > maxBody {
		return nil, popkv.Errorf(popkv.TooLarge, "the body is longer than %d bytes", maxBody)
	}
	word := r.Header.Get("Authorization")
	identity, ok := strings.CutPrefix(word, "test ")
	caller := popkv.Caller{AccessKeyID: "AKIDEXAMPLE"}
	caller.Account, caller.User, _ = strings.Cut(identity, "/")
	switch {
	case word == "":
		return nil, popkv.Errorf(popkv.NoCredentials, "Missing Authentication Token")
	case !ok:
		return nil, popkv.Errorf(popkv.BadAuthorization, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header")
	case caller.User == "wrong":
		return nil, popkv.Errorf(popkv.Unauthenticated, "the signature does not match")
	case caller.User == "late":
		return nil, popkv.Errorf(popkv.BadScope, "Signature expired")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, popkv.Wrap(popkv.Malformed, err, "the body cannot be read")
	}
	path, query, _ := strings.Cut(r.RequestURI, "?")
	label, _, _ := strings.Cut(r.Host, ".")
	if !popkv.IsAccount(label) {
		label = ""
	}
	return &Admission{Caller: caller, Body: body, Path: path, Query: query, HostAccount: label}, nil
}

func (g *fakeGate) Authorize(_ context.Context, a *Admission, action, resourceARN string, tags func() (map[string]string, error)) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, a.Caller.User+" "+action+" "+resourceARN)
	if a.Caller.IsRoot() || g.allowed[a.Caller.User] == action {
		return nil
	}
	if a.Caller.User == "tagged" {
		of, err := tags()
		if err != nil || of["team"] == "web" {
			return err
		}
	}
	return popkv.Errorf(popkv.Denied, "User: %s is not authorized to perform: %s", a.Caller.ARN(), action)
}
