package admin

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/journal"
)

// Prefix begins every path of the management API. Requests are signed for the
// service [Service], and actions in policies begin with it.
const (
	Prefix  = "/popkv/v1/"
	Service = "popkv"
)

// maxBody bounds a request: the longest valid one is a policy document.
const maxBody = 64 << 10

// A Gate says who signed a request, and what they may do. *access.Gate is one.
type Gate interface {
	Admit(r *http.Request, service string, maxBody int64) (*access.Admission, error)
	Authorize(ctx context.Context, a *access.Admission, action, resourceARN string, tags func() (map[string]string, error)) error
}

// A Directory keeps access keys and policies. *access.Directory is one.
type Directory interface {
	CreateKey(ctx context.Context, q access.KeyRequest) (access.Credentials, error)
	RotateKey(ctx context.Context, account, id string, grace time.Duration) (access.Credentials, error)
	RemoveKey(ctx context.Context, account, id string) error
	Keys(account, user string) []access.KeyInfo
	PutPolicy(ctx context.Context, account, user, name string, document []byte) error
	Policy(account, user, name string) (access.PolicyInfo, error)
	Policies(account, user string) []access.PolicyInfo
	RemovePolicy(ctx context.Context, account, user, name string) error
	Simulate(account, user, action, resource string, conditions map[string]string) (access.Decision, error)
}

// Storage is what can be checked and copied while serving. *journal.Journal is
// one.
type Storage interface {
	Verify(ctx context.Context, o journal.VerifyOptions) (journal.Report, error)
	Backup(ctx context.Context, w io.Writer, o journal.BackupOptions) (journal.Manifest, error)
}

// Options change how a [Handler] behaves; the zero value works.
type Options struct {
	// OwnerAccount is the account that may verify and back up all data; keys
	// of other accounts manage their own account alone. "": nobody may.
	OwnerAccount string
	// Check judges a catalog record during verify; see [journal.VerifyOptions].
	Check func(key string, value []byte, exists func(key string) bool) string
	// RequestID makes the id of a request; nil: a random UUID.
	RequestID func() string
	// Observe is told of every request after it was answered; nil: nobody is.
	Observe func(r *http.Request, o Observation)
	// Now times requests for Observe; nil: time.Now.
	Now func() time.Time
}

// An Observation is what is worth logging and counting of one request.
type Observation struct {
	RequestID string
	Operation string // empty for an unknown one
	Caller    popkv.Caller
	Status    int
	Err       error
	Duration  time.Duration
}

// A Handler answers the management API: JSON in, JSON out, and errors as
// {"Error":{"Code":…,"Message":…}}.
type Handler struct {
	gate      Gate
	directory Directory
	storage   Storage
	o         Options
}

// New returns a handler behind gate.
func New(gate Gate, directory Directory, storage Storage, o Options) *Handler {
	if o.RequestID == nil {
		o.RequestID = uuid.NewString
	}
	if o.Observe == nil {
		o.Observe = func(*http.Request, Observation) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Handler{gate: gate, directory: directory, storage: storage, o: o}
}

// A call is one verified and authorised request.
type call struct {
	*http.Request
	admission *access.Admission
	account   string   // the caller's
	names     []string // what the path's stars stand for
	body      any      // what target made of the body, if it read it
	on        subject
	seen      *Observation
}

// A subject is whom an operation is about. Policies see its ARN, so that a
// policy may allow the operation on some users and not on others, as in IAM.
type subject struct {
	account string
	user    string // "*": no user in particular
}

// ARN is the resource in policies.
func (s subject) ARN() string { return popkv.Caller{Account: s.account, User: s.user}.ARN() }

// An operation is one route. A star in the path stands for one name. Its
// action in policies is popkv:NAME, on the user that target finds.
type operation struct {
	name   string
	method string
	path   string
	owner  bool // concerns the data of all accounts
	target func(h *Handler, c *call) (subject, error)
	run    func(h *Handler, w http.ResponseWriter, c *call) (any, error)
}

func operations() []operation {
	return []operation{
		{"ListAccessKeys", "GET", "access-keys", false, (*Handler).noUser, (*Handler).listKeys},
		{"CreateAccessKey", "POST", "access-keys", false, (*Handler).userOfNewKey, (*Handler).createKey},
		{"DeleteAccessKey", "DELETE", "access-keys/*", false, (*Handler).userOfKey, (*Handler).deleteKey},
		{"RotateAccessKey", "POST", "access-keys/*/rotate", false, (*Handler).userOfKey, (*Handler).rotateKey},
		{"ListPolicies", "GET", "users/*/policies", false, (*Handler).userInPath, (*Handler).listPolicies},
		{"GetPolicy", "GET", "users/*/policies/*", false, (*Handler).userInPath, (*Handler).getPolicy},
		{"PutPolicy", "PUT", "users/*/policies/*", false, (*Handler).userInPath, (*Handler).putPolicy},
		{"DeletePolicy", "DELETE", "users/*/policies/*", false, (*Handler).userInPath, (*Handler).deletePolicy},
		{"SimulatePolicy", "POST", "simulate", false, (*Handler).userOfQuestion, (*Handler).simulate},
		{"Verify", "POST", "verify", true, (*Handler).noUser, (*Handler).verify},
		{"Backup", "GET", "backup", true, (*Handler).noUser, (*Handler).backup},
	}
}

// match finds the operation of a raw path below [Prefix].
func match(method, rawPath string) (operation, []string, error) {
	parts := strings.Split(strings.TrimPrefix(rawPath, Prefix), "/")
routes:
	for _, op := range operations() {
		pattern := strings.Split(op.path, "/")
		if op.method != method || len(pattern) != len(parts) {
			continue
		}
		var names []string
		for i, p := range pattern {
			if p != "*" {
				if p != parts[i] {
					continue routes
				}
				continue
			}
			name, err := url.PathUnescape(parts[i])
			if err != nil || name == "" {
				continue routes
			}
			names = append(names, name)
		}
		return op, names, nil
	}
	return operation{}, nil, popkv.Errorf(popkv.UnknownOperation, "the management API has no %s of this path", method)
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := h.o.Now()
	seen := Observation{RequestID: h.o.RequestID(), Status: http.StatusOK}
	defer func() {
		seen.Duration = h.o.Now().Sub(started)
		h.o.Observe(r, seen)
	}()
	w.Header().Set("x-amzn-RequestId", seen.RequestID)
	result, err := h.serve(w, r, &seen)
	switch {
	case err != nil && result == streamed{}:
		// What was sent cannot be taken back: cut the connection.
		seen.Err = err
		panic(http.ErrAbortHandler)
	case err != nil:
		seen.Err = err
		seen.Status = writeError(w, err)
	case result == streamed{}:
	case result == nil:
		seen.Status = http.StatusNoContent
		w.WriteHeader(seen.Status)
	default:
		writeJSON(w, seen.Status, result)
	}
}

// streamed is the result of an operation that has written its answer.
type streamed struct{}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, seen *Observation) (any, error) {
	admission, err := h.gate.Admit(r, Service, maxBody)
	if err != nil {
		return nil, err
	}
	defer admission.Release()
	seen.Caller = admission.Caller
	op, names, err := match(r.Method, admission.Path)
	if err != nil {
		return nil, err
	}
	seen.Operation = op.name
	c := &call{Request: r, admission: admission, account: admission.Caller.Account, names: names, seen: seen}
	if op.owner && c.account != h.o.OwnerAccount {
		return nil, popkv.Errorf(popkv.Denied, "%s concerns the data of all accounts: only keys of account %s may do it", op.name, h.o.OwnerAccount)
	}
	if c.on, err = op.target(h, c); err != nil {
		return nil, err
	}
	if err := h.authorize(c, Service+":"+op.name); err != nil {
		return nil, err
	}
	return op.run(h, w, c)
}

// authorize asks the policies. Another account's users are the business of the
// owner account's root alone, which no policy binds.
func (h *Handler) authorize(c *call, action string) error {
	if c.on.account != c.account {
		if h.isOwner(c) {
			return nil
		}
		return popkv.Errorf(popkv.Denied, "only the root user of account %s may manage another account", h.o.OwnerAccount)
	}
	return h.gate.Authorize(c.Context(), c.admission, action, c.on.ARN(), func() (map[string]string, error) { return nil, nil })
}

// isOwner reports whether the caller is the root user of the owner account.
func (h *Handler) isOwner(c *call) bool {
	return c.account == h.o.OwnerAccount && c.admission.Caller.IsRoot()
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"Error":{"Code":"Internal","Message":"internal error"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}

// errorRow is how a kind of failure looks here. Kinds that are not listed are
// bugs: 500 Internal.
var errorRow = map[popkv.Kind]struct {
	status int
	code   string
}{
	popkv.Invalid:          {400, "Invalid"},
	popkv.Malformed:        {400, "Malformed"},
	popkv.TooLarge:         {413, "TooLarge"},
	popkv.UnknownOperation: {404, "UnknownOperation"},
	popkv.ResourceNotFound: {404, "NotFound"},
	popkv.Denied:           {403, "AccessDenied"},
	popkv.NoCredentials:    {403, "MissingAuthentication"},
	popkv.BadAuthorization: {400, "IncompleteSignature"},
	popkv.BadScope:         {403, "InvalidSignature"},
	popkv.Unauthenticated:  {403, "AuthenticationFailed"},
	popkv.Unavailable:      {503, "Unavailable"},
	popkv.Throttled:        {429, "Throttled"},
}

type errorBody struct {
	Error struct {
		Code    string
		Message string
	}
}

func writeError(w http.ResponseWriter, err error) (status int) {
	row, ok := errorRow[popkv.KindOf(err)]
	var body errorBody
	body.Error.Code, body.Error.Message = row.code, popkv.Message(err)
	if !ok {
		row.status, body.Error.Code, body.Error.Message = 500, "Internal", "internal error"
	}
	writeJSON(w, row.status, body)
	return row.status
}
