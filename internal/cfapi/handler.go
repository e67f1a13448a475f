package cfapi

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/controlplane"
)

// maxBody bounds request bodies but for a function's code, which comes in
// base64.
const maxBody = 256 << 10

// Options change how a [Handler] behaves; the zero value works.
type Options struct {
	// RequestID names a request in x-amzn-RequestId; nil: a random UUID.
	RequestID func(r *http.Request) string
	// Observe is told of every request after its answer; nil: nobody is.
	Observe func(r *http.Request, o Observation)
	// Now times requests for Observe; nil: time.Now.
	Now func() time.Time
}

// An Observation is what the request log and the metrics may know of one
// request. It holds no value, no comment and no credential.
type Observation struct {
	RequestID     string
	Operation     string       // "" if no route matched
	Caller        popkv.Caller // zero unless the request was verified
	Resource      string       // name or ARN that the request is about; "" unless it was verified
	Status        int
	ErrorCode     string // AWS's name, as sent; "" for a success
	Err           error  // nil for a success; its cause is for the log only
	RequestBytes  int    // of the body
	ResponseBytes int    // of the body
	Duration      time.Duration
}

// A Handler serves the control plane and STS. It may be used concurrently and
// by any number of servers.
type Handler struct {
	service *controlplane.Service
	gate    Gate
	maxBody int64
	o       Options
}

// New returns a handler that asks gate before it calls service.
func New(service *controlplane.Service, gate Gate, o Options) *Handler {
	if o.RequestID == nil {
		o.RequestID = func(*http.Request) string { return uuid.NewString() }
	}
	if o.Observe == nil {
		o.Observe = func(*http.Request, Observation) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Handler{service: service, gate: gate, maxBody: maxBody + 2*int64(service.Limits().FunctionBytes), o: o}
}

// A call is one request on its way through an operation.
type call struct {
	ctx       context.Context
	service   *controlplane.Service
	gate      Gate
	request   *http.Request
	admission *access.Admission
	name      string // the path's label, unescaped
	query     url.Values
	seen      *Observation
}

// A response is what is sent for a request that succeeded.
type response struct {
	status      int
	header      map[string]string
	contentType string // default text/xml
	body        []byte
}

// ServeHTTP answers one request in one write. It is to be given every request
// under /2020-05-31/ and those to /.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := h.o.Now()
	seen := Observation{RequestID: h.o.RequestID(r)}
	resp, err := h.serve(r, &seen)
	if err != nil {
		resp = refusal(r, err, &seen)
	}
	// Names are set as AWS writes them; net/http would change their case.
	header := w.Header()
	header["x-amzn-RequestId"] = []string{seen.RequestID}
	for name, value := range resp.header {
		header[name] = []string{value}
	}
	if resp.body != nil {
		header.Set("Content-Type", cmp.Or(resp.contentType, "text/xml"))
		header.Set("Content-Length", strconv.Itoa(len(resp.body)))
	}
	w.WriteHeader(resp.status)
	w.Write(resp.body)
	seen.Status, seen.ResponseBytes, seen.Duration = resp.status, len(resp.body), h.o.Now().Sub(started)
	h.o.Observe(r, seen)
}

// serve verifies, routes and runs a request.
func (h *Handler) serve(r *http.Request, seen *Observation) (*response, error) {
	service := access.ServiceControlPlane
	if isSTS(r) {
		service = access.ServiceSTS
	}
	admission, err := h.gate.Admit(r, service, h.maxBody)
	if err != nil {
		return nil, overlong(r, err)
	}
	defer admission.Release()
	seen.Caller, seen.RequestBytes = admission.Caller, len(admission.Body)
	found, err := find(r.Method, admission.Path)
	if err != nil {
		return nil, err
	}
	seen.Operation = found.operation.name
	c := &call{ctx: r.Context(), service: h.service, gate: h.gate, request: r, admission: admission, seen: seen}
	if c.name, err = unescape(found.name); err != nil {
		return nil, err
	}
	seen.Resource = c.name
	if c.query, err = url.ParseQuery(admission.Query); err != nil {
		return nil, popkv.Wrap(popkv.Invalid, err, "the query string cannot be read")
	}
	return found.run(c)
}

// overlong is what a body that was not even read means where only a function's
// code can have made it so long.
func overlong(r *http.Request, err error) error {
	if popkv.KindOf(err) != popkv.TooLarge {
		return err
	}
	if found, unknown := find(r.Method, rawPath(r)); unknown == nil {
		switch found.operation.name {
		case "CreateFunction", "UpdateFunction":
			return popkv.Wrap(popkv.FunctionSizeQuota, err, popkv.Message(err))
		}
	}
	return err
}

// isSTS reports whether a request is for STS, which has the root path to
// itself.
func isSTS(r *http.Request) bool { return rawPath(r) == "/" }

// refusal turns an error into the response that reports it.
func refusal(r *http.Request, err error, seen *Observation) *response {
	space, e := namespace, wireErrorOf(popkv.KindOf(err))
	if isSTS(r) {
		space, e = stsNamespace, stsErrorOf(popkv.KindOf(err))
	}
	seen.Err, seen.ErrorCode = err, e.code
	message := cmp.Or(e.message, popkv.Message(err))
	return &response{status: e.status, body: errorDocument(space, e, message, seen.RequestID)}
}

// authorize asks whether the caller may do the request's operation to a target.
func (c *call) authorize(t controlplane.Target) error {
	return c.allowed("cloudfront:"+c.seen.Operation, t.ARN.String(), t.Tags)
}

func (c *call) allowed(action, resource string, tags map[string]string) error {
	return c.gate.Authorize(c.ctx, c.admission, action, resource, func() (map[string]string, error) { return tags, nil })
}

// account is whose resources the request is about: the caller's own.
func (c *call) account() string { return c.admission.Caller.Account }

// ifMatch is the If-Match header, if it was signed and is there once.
func (c *call) ifMatch() string { return c.admission.Header("If-Match") }

// parameter returns a query parameter, empty where it is missing.
func (c *call) parameter(name string) (string, error) {
	values := c.query[name]
	if len(values) > 1 {
		return "", popkv.Errorf(popkv.Invalid, "the query parameter %s is there twice", name)
	}
	return strings.Join(values, ""), nil
}

// location is the URL of a resource as Location headers have it: with its ARN.
func (c *call) location(kind, arn string) string {
	scheme := "http://"
	if c.request.TLS != nil {
		scheme = "https://"
	}
	return scheme + c.request.Host + version + kind + "/" + arn
}
