package admin

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
)

// accessKey is an access key on the wire; the secrets are there only in the
// answers to create and rotate.
type accessKey struct {
	AccessKeyID     string    `json:"AccessKeyId"`
	SecretAccessKey string    `json:"SecretAccessKey,omitempty"`
	SessionToken    string    `json:"SessionToken,omitempty"`
	Account         string    `json:"Account"`
	User            string    `json:"User"`
	Created         time.Time `json:"Created,omitzero"`
	Expires         time.Time `json:"Expires,omitzero"`
	PublicKeyOnly   bool      `json:"PublicKeyOnly"`
}

func keyOf(i access.KeyInfo) accessKey {
	return accessKey{
		AccessKeyID: i.AccessKeyID, Account: i.Account, User: i.User,
		Created: i.Created, Expires: i.Expires, PublicKeyOnly: i.PublicKeyOnly,
	}
}

// decode reads a request's body strictly.
func decode(c *call, into any) error {
	if err := json.Unmarshal(c.admission.Body, into, json.RejectUnknownMembers(true)); err != nil {
		return popkv.Wrap(popkv.Malformed, err, "the body is not the JSON of this operation")
	}
	return nil
}

// noUser is the subject of operations on an account as a whole.
func (h *Handler) noUser(c *call) (subject, error) { return subject{c.account, "*"}, nil }

// userInPath is the user that the path names, in the caller's account.
func (h *Handler) userInPath(c *call) (subject, error) { return subject{c.account, c.names[0]}, nil }

// userOfKey is the user of the key that the path names. A key that does not
// exist, or is another account's business, is nobody's: only who may change
// every key of the account learns that there is none.
func (h *Handler) userOfKey(c *call) (subject, error) {
	for _, i := range h.directory.Keys("", "") {
		if i.AccessKeyID == c.names[0] && (i.Account == c.account || h.isOwner(c)) {
			return subject{i.Account, i.User}, nil
		}
	}
	return h.noUser(c)
}

// mayTouchRoot refuses to let anyone but root make, replace or remove a root
// key: that would be a way around every policy.
func mayTouchRoot(c *call) error {
	if c.on.user == popkv.RootUser && !c.admission.Caller.IsRoot() {
		return popkv.Errorf(popkv.Denied, "only root may manage root's access keys")
	}
	return nil
}

func (h *Handler) listKeys(_ http.ResponseWriter, c *call) (any, error) {
	account := c.account
	if h.isOwner(c) {
		account = "" // all
	}
	keys := []accessKey{}
	for _, i := range h.directory.Keys(account, "") {
		keys = append(keys, keyOf(i))
	}
	return map[string]any{"AccessKeys": keys}, nil
}

// A newKey is what CreateAccessKey reads. No Account stands for the caller's.
type newKey struct {
	Account          string
	User             string
	PublicKeyOnly    bool
	ExpiresInSeconds int64
}

func (h *Handler) userOfNewKey(c *call) (subject, error) {
	var q newKey
	if err := decode(c, &q); err != nil {
		return subject{}, err
	}
	c.body = q
	return subject{cmp.Or(q.Account, c.account), q.User}, nil
}

func (h *Handler) createKey(_ http.ResponseWriter, c *call) (any, error) {
	if err := mayTouchRoot(c); err != nil {
		return nil, err
	}
	q := c.body.(newKey)
	const longest = 10 * 365 * 24 * 3600 // ten years
	if q.ExpiresInSeconds < 0 || q.ExpiresInSeconds > longest {
		return nil, popkv.Errorf(popkv.Invalid, "ExpiresInSeconds must lie between 0 and %d", int64(longest))
	}
	credentials, err := h.directory.CreateKey(c.Context(), access.KeyRequest{
		Account: c.on.account, User: c.on.user, PublicKeyOnly: q.PublicKeyOnly, Life: time.Duration(q.ExpiresInSeconds) * time.Second,
	})
	if err != nil {
		return nil, err
	}
	return h.shown(credentials), nil
}

// shown is a new key with its secrets, this one time.
func (h *Handler) shown(c access.Credentials) accessKey {
	key := accessKey{AccessKeyID: c.AccessKeyID}
	for _, i := range h.directory.Keys("", "") {
		if i.AccessKeyID == c.AccessKeyID {
			key = keyOf(i)
		}
	}
	key.SecretAccessKey, key.SessionToken = c.Secret.Reveal(), c.SessionToken.Reveal()
	return key
}

func (h *Handler) deleteKey(_ http.ResponseWriter, c *call) (any, error) {
	if err := mayTouchRoot(c); err != nil {
		return nil, err
	}
	return nil, h.directory.RemoveKey(c.Context(), c.on.account, c.names[0])
}

func (h *Handler) rotateKey(_ http.ResponseWriter, c *call) (any, error) {
	if err := mayTouchRoot(c); err != nil {
		return nil, err
	}
	credentials, err := h.directory.RotateKey(c.Context(), c.on.account, c.names[0], 0)
	if err != nil {
		return nil, err
	}
	return h.shown(credentials), nil
}

func (h *Handler) listPolicies(_ http.ResponseWriter, c *call) (any, error) {
	names := []string{}
	for _, p := range h.directory.Policies(c.account, c.names[0]) {
		names = append(names, p.Name)
	}
	return map[string]any{"PolicyNames": names}, nil
}

func (h *Handler) getPolicy(w http.ResponseWriter, c *call) (any, error) {
	p, err := h.directory.Policy(c.account, c.names[0], c.names[1])
	if err != nil {
		return nil, err
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := strings.NewReader(p.Document).WriteTo(w); err != nil {
		return nil, err
	}
	return streamed{}, nil
}

func (h *Handler) putPolicy(_ http.ResponseWriter, c *call) (any, error) {
	return nil, h.directory.PutPolicy(c.Context(), c.account, c.names[0], c.names[1], c.admission.Body)
}

func (h *Handler) deletePolicy(_ http.ResponseWriter, c *call) (any, error) {
	return nil, h.directory.RemovePolicy(c.Context(), c.account, c.names[0], c.names[1])
}

// A question is what SimulatePolicy reads.
type question struct {
	User     string
	Action   string
	Resource string
	Context  map[string]string
}

func (h *Handler) userOfQuestion(c *call) (subject, error) {
	var q question
	if err := decode(c, &q); err != nil {
		return subject{}, err
	}
	c.body = q
	return subject{c.account, q.User}, nil
}

func (h *Handler) simulate(_ http.ResponseWriter, c *call) (any, error) {
	q := c.body.(question)
	d, err := h.directory.Simulate(c.account, q.User, q.Action, q.Resource, q.Context)
	if err != nil {
		return nil, err
	}
	return map[string]any{"Allowed": d.Allowed, "Reason": d.Reason}, nil
}
