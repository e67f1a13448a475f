package kvsapi

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/dataplane"
)

// Rules are the six operations. *dataplane.Service is the one implementation.
type Rules interface {
	Throttle(account string) error
	Open(caller popkv.Caller, arn popkv.ARN) (dataplane.Target, error)
	Describe(ctx context.Context, t dataplane.Target) (dataplane.Description, error)
	Get(ctx context.Context, t dataplane.Target, key string) (dataplane.Found, error)
	List(ctx context.Context, t dataplane.Target, max int, token string) (dataplane.Page, error)
	Put(ctx context.Context, t dataplane.Target, key, value, expect string) (dataplane.Outcome, error)
	Delete(ctx context.Context, t dataplane.Target, key, expect string) (dataplane.Outcome, error)
	Update(ctx context.Context, t dataplane.Target, puts []popkv.Item, deletes []string, expect string) (dataplane.Outcome, error)
}

// Options tune a [Handler].
type Options struct {
	// Limits bound the bodies that are read; see [popkv.DefaultLimits].
	Limits popkv.Limits
	// StaleETagConflict answers a stale If-Match with 409 ConflictException,
	// which is documented, instead of 400 ValidationException, which is
	// observed (setting compat.stale_etag).
	StaleETagConflict bool
	// Tags returns the tags of a store of that account for policies that ask
	// for them. A store that does not exist there, or is another account's, has
	// none. nil: no store has any.
	Tags func(ctx context.Context, store popkv.ARN) (map[string]string, error)
	// RequestID names a request in x-amzn-RequestId; nil: a random UUID.
	RequestID func(r *http.Request) string
	// Observe is told of every request after its answer; nil: nobody is.
	Observe func(r *http.Request, o Observation)
	// Now times requests for Observe; nil: time.Now.
	Now func() time.Time
}

// An Observation is what the request log and the metrics may know of one
// request. It holds no key, value or credential.
type Observation struct {
	RequestID     string
	Operation     string        // "" if no route matched or the request was refused before
	Store         popkv.StoreID // zero unless Operation is set and the ARN names a store
	Caller        popkv.Caller  // zero unless the request was verified
	Status        int
	Err           error // nil for a success; its cause is for the log only
	RequestBytes  int   // of the body
	ResponseBytes int   // of the body
	Duration      time.Duration
}

// A Handler serves the data plane. It may be used concurrently and by any
// number of servers.
type Handler struct {
	rules         Rules
	gate          Gate
	tags          func(context.Context, popkv.ARN) (map[string]string, error)
	limits        popkv.Limits
	staleConflict bool
	requestID     func(*http.Request) string
	observe       func(*http.Request, Observation)
	now           func() time.Time
	buffers       sync.Pool // *[]byte, for bodies of answers
}

// New returns a Handler that asks gate before it calls rules.
func New(rules Rules, gate Gate, o Options) *Handler {
	h := &Handler{
		rules:         rules,
		gate:          gate,
		tags:          o.Tags,
		limits:        o.Limits,
		staleConflict: o.StaleETagConflict,
		requestID:     o.RequestID,
		observe:       o.Observe,
		now:           o.Now,
	}
	if h.requestID == nil {
		h.requestID = newRequestID
	}
	if h.now == nil {
		h.now = time.Now
	}
	h.buffers.New = func() any { b := make([]byte, 0, 4<<10); return &b }
	return h
}

// newRequestID returns a random UUID. It names a request and guards nothing, so
// the runtime's fast generator will do.
func newRequestID(*http.Request) string {
	var id uuid.UUID
	binary.LittleEndian.PutUint64(id[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(id[8:], rand.Uint64())
	id[6] = id[6]&0x0f | 0x40 // version 4
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	return id.String()
}

const (
	// maxNoBody bounds the body of a request that needs none.
	maxNoBody = 4 << 10
	// maxKeptBuffer bounds a buffer that is kept for the next answer: the
	// longest page is larger, the usual answer far smaller.
	maxKeptBuffer = 64 << 10
)

// maxBody is the longest body of a method: the quota of an UpdateKeys, and for
// a PutKey no less than one item needs with every character escaped.
func (h *Handler) maxBody(method string) int64 {
	switch method {
	case http.MethodPost:
		return h.limits.UpdateBytes
	case http.MethodPut:
		return max(h.limits.UpdateBytes, 6*int64(h.limits.ValueBytes)+maxNoBody)
	}
	return maxNoBody
}

// ServeHTTP answers one request in one write.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seen := Observation{RequestID: h.requestID(r)}
	var started time.Time
	if h.observe != nil {
		started = h.now()
	}
	buffer := h.buffers.Get().(*[]byte)
	a := answer{status: http.StatusOK, body: (*buffer)[:0]}
	if err := h.serve(r, &a, &seen); err != nil {
		seen.Err = err
		a.fail(h.rowOf(err), err)
	}
	a.write(w, seen.RequestID)
	if h.observe != nil {
		seen.Status, seen.ResponseBytes, seen.Duration = a.status, len(a.body), h.now().Sub(started)
		h.observe(r, seen)
	}
	if cap(a.body) <= maxKeptBuffer {
		*buffer = a.body
		h.buffers.Put(buffer)
	}
}

// serve takes a request from its verification to its answer.
func (h *Handler) serve(r *http.Request, a *answer, seen *Observation) error {
	modelled := r.Method == http.MethodPut || r.Method == http.MethodPost
	admitted, err := h.gate.Admit(r, access.ServiceDataPlane, h.maxBody(r.Method))
	if err != nil {
		return overlong(r.Method, err)
	}
	defer admitted.Release()
	seen.Caller, seen.RequestBytes = admitted.Caller, len(admitted.Body)

	route, err := match(r.Method, admitted.Path)
	if err != nil {
		return err
	}
	seen.Operation = route.operation.name()
	target, err := h.authorize(r, admitted, route)
	if err != nil {
		return err
	}
	seen.Store = target.Store
	if err := h.rules.Throttle(target.Caller.Account); err != nil {
		return err
	}
	if err := checkTypes(r, admitted, modelled); err != nil {
		return err
	}
	return h.perform(r, a, admitted, route, target)
}

// perform reads what the operation needs, calls its rule and fills the
// answer.
func (h *Handler) perform(r *http.Request, a *answer, admitted *access.Admission, route route, target dataplane.Target) error {
	ctx := r.Context()
	key, err := unescape(route.key)
	if err != nil {
		return err
	}
	switch route.operation {
	case getKey:
		f, err := h.rules.Get(ctx, target, key)
		if err != nil {
			return err
		}
		return a.found(key, &f)
	case describeKeyValueStore:
		d, err := h.rules.Describe(ctx, target)
		if err != nil {
			return err
		}
		return a.description(&d)
	case listKeys:
		maxResults, token, err := readPage(admitted.Query)
		if err != nil {
			return err
		}
		p, err := h.rules.List(ctx, target, maxResults, token)
		if err != nil {
			return err
		}
		return a.page(&p)
	}
	o, err := h.write(r, admitted, route.operation, target, key)
	if err != nil {
		return err
	}
	a.outcome(&o)
	return nil
}

// write performs one of the three operations that change a store.
func (h *Handler) write(r *http.Request, admitted *access.Admission, op operation, target dataplane.Target, key string) (dataplane.Outcome, error) {
	ctx := r.Context()
	expect, err := expected(r, admitted)
	if err != nil {
		return dataplane.Outcome{}, err
	}
	switch op {
	case putKey:
		value, err := readPut(admitted.Body)
		if err != nil {
			return dataplane.Outcome{}, err
		}
		return h.rules.Put(ctx, target, key, value, expect)
	case updateKeys:
		puts, deletes, err := readUpdate(admitted.Body)
		if err != nil {
			return dataplane.Outcome{}, err
		}
		return h.rules.Update(ctx, target, puts, deletes, expect)
	default:
		return h.rules.Delete(ctx, target, key, expect)
	}
}

// overlong gives a body that is too long the name that its operation has for
// it. Such a body is refused before it is read, so before its signature and
// everything else is checked.
func overlong(method string, err error) error {
	if popkv.KindOf(err) == popkv.TooLarge {
		switch method {
		case http.MethodPost:
			return dataplane.BatchTooLarge()
		case http.MethodPut:
			return dataplane.ValueTooLarge()
		}
	}
	return err
}
