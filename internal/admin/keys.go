package admin

import (
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
	Created         time.Time `json:"Created"`
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

// inAccount returns the account that a request names, by default the caller's.
// Only a root key of the owner account may name another.
func (h *Handler) inAccount(c *call, named string) (string, error) {
	if named == "" || named == c.account {
		return c.account, nil
	}
	if c.account == h.o.OwnerAccount && c.admission.Caller.IsRoot() {
		return named, nil
	}
	return "", popkv.Errorf(popkv.Denied, "only the root user of account %s may manage another account", h.o.OwnerAccount)
}

// mayMakeRoot refuses to let anyone but root make, replace or remove a root
// key: that would be a way around every policy.
func mayMakeRoot(c *call, user string) error {
	if user == popkv.RootUser && !c.admission.Caller.IsRoot() {
		return popkv.Errorf(popkv.Denied, "only root may manage root's access keys")
	}
	return nil
}

func (h *Handler) listKeys(_ http.ResponseWriter, c *call) (any, error) {
	account := c.account
	if c.account == h.o.OwnerAccount && c.admission.Caller.IsRoot() {
		account = "" // all
	}
	keys := []accessKey{}
	for _, i := range h.directory.Keys(account, "") {
		keys = append(keys, keyOf(i))
	}
	return map[string]any{"AccessKeys": keys}, nil
}

func (h *Handler) createKey(_ http.ResponseWriter, c *call) (any, error) {
	var q struct {
		Account          string
		User             string
		PublicKeyOnly    bool
		ExpiresInSeconds int64
	}
	if err := decode(c, &q); err != nil {
		return nil, err
	}
	account, err := h.inAccount(c, q.Account)
	if err != nil {
		return nil, err
	}
	if err := mayMakeRoot(c, q.User); err != nil {
		return nil, err
	}
	const longest = 10 * 365 * 24 * 3600 // ten years
	if q.ExpiresInSeconds < 0 || q.ExpiresInSeconds > longest {
		return nil, popkv.Errorf(popkv.Invalid, "ExpiresInSeconds must lie between 0 and %d", int64(longest))
	}
	credentials, err := h.directory.CreateKey(c.Context(), access.KeyRequest{
		Account: account, User: q.User, PublicKeyOnly: q.PublicKeyOnly, Life: time.Duration(q.ExpiresInSeconds) * time.Second,
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

// managed returns the account of an existing key that the caller may change.
func (h *Handler) managed(c *call, id string) (string, error) {
	for _, i := range h.directory.Keys("", "") {
		if i.AccessKeyID == id {
			account, err := h.inAccount(c, i.Account)
			if err != nil {
				break // another account's key looks like none
			}
			return account, mayMakeRoot(c, i.User)
		}
	}
	return "", popkv.Errorf(popkv.ResourceNotFound, "no such access key")
}

func (h *Handler) deleteKey(_ http.ResponseWriter, c *call) (any, error) {
	account, err := h.managed(c, c.names[0])
	if err != nil {
		return nil, err
	}
	return nil, h.directory.RemoveKey(c.Context(), account, c.names[0])
}

func (h *Handler) rotateKey(_ http.ResponseWriter, c *call) (any, error) {
	account, err := h.managed(c, c.names[0])
	if err != nil {
		return nil, err
	}
	credentials, err := h.directory.RotateKey(c.Context(), account, c.names[0], 0)
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

func (h *Handler) simulate(_ http.ResponseWriter, c *call) (any, error) {
	var q struct {
		User     string
		Action   string
		Resource string
		Context  map[string]string
	}
	if err := decode(c, &q); err != nil {
		return nil, err
	}
	d, err := h.directory.Simulate(c.account, q.User, q.Action, q.Resource, q.Context)
	if err != nil {
		return nil, err
	}
	return map[string]any{"Allowed": d.Allowed, "Reason": d.Reason}, nil
}
