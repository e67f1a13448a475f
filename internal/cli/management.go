package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
	"github.com/go-json-experiment/json"
)

// managementService is the name in the credential scope of /popkv/v1/.
const managementService = "popkv"

// A management talks to the management API of a running server.
type management struct {
	target target
	creds  aws.CredentialsProvider
	now    func() time.Time
}

// String names the server, for announcements.
func (m *management) String() string { return m.target.String() }

func (m *management) close() error { return nil }

// An accessKey is an access key as the management API shows it. The secret and
// the session token are there only in the answers to create and rotate.
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

// A keyRequest asks for a new access key. An empty account is the caller's.
type keyRequest struct {
	Account          string `json:"Account,omitempty"`
	User             string `json:"User"`
	PublicKeyOnly    bool   `json:"PublicKeyOnly,omitzero"`
	ExpiresInSeconds int64  `json:"ExpiresInSeconds,omitzero"` // 0: a long-term key
}

// A simulation asks whether a user may do something.
type simulation struct {
	User     string            `json:"User"`
	Action   string            `json:"Action"`
	Resource string            `json:"Resource"`
	Context  map[string]string `json:"Context,omitempty"`
}

// A decision is the answer to a simulation.
type decision struct {
	Allowed bool   `json:"Allowed"`
	Reason  string `json:"Reason"` // the statement that decided, or that none did
}

// A managementError is a refusal by the management API. It counts as an API
// error of the SDK, so that exit codes have one rule.
type managementError struct {
	status        int
	code, message string
}

func (e *managementError) Error() string                 { return e.code + ": " + e.message }
func (e *managementError) ErrorCode() string             { return e.code }
func (e *managementError) ErrorMessage() string          { return e.message }
func (e *managementError) ErrorFault() smithy.ErrorFault { return smithy.FaultUnknown }
func (e *managementError) HTTPStatusCode() int           { return e.status }

// call sends one request and reads its JSON answer into out, unless out is nil.
func (m *management) call(ctx context.Context, method, path string, body []byte, out any) error {
	answer, err := m.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || out == nil {
		return err
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = text
		return nil
	}
	return json.Unmarshal(text, out)
}

// send signs and sends one request. An answer other than 2xx is an error; the
// caller closes the body of any other.
func (m *management) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, m.target.control.String()+"/popkv/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	creds, err := m.creds.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(ctx, creds, req, hex.EncodeToString(hash[:]), managementService, signingRegion, m.now())
	if err != nil {
		return nil, err
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("the server answers with a redirect") }}
	answer, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode/100 != 2 {
		defer answer.Body.Close()
		return nil, refusal(answer)
	}
	return answer, nil
}

// refusal reads the error of an answer; what is no error of popkv's is named
// by its status.
func refusal(answer *http.Response) error {
	var body struct {
		Error struct{ Code, Message string }
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil || body.Error.Code == "" {
		body.Error.Code, body.Error.Message = "HTTP", fmt.Sprintf("%s, and no error of the management API: is this a popkv server?", answer.Status)
	}
	return &managementError{answer.StatusCode, body.Error.Code, body.Error.Message}
}

// jsonBody encodes a request; the types are ours and always encode.
func jsonBody(v any) ([]byte, error) { return json.Marshal(v) }

func (m *management) createKey(ctx context.Context, r keyRequest) (key accessKey, err error) {
	body, err := jsonBody(r)
	if err == nil {
		err = m.call(ctx, http.MethodPost, "access-keys", body, &key)
	}
	return key, err
}

func (m *management) keys(ctx context.Context) ([]accessKey, error) {
	var out struct{ AccessKeys []accessKey }
	err := m.call(ctx, http.MethodGet, "access-keys", nil, &out)
	return out.AccessKeys, err
}

func (m *management) removeKey(ctx context.Context, id string) error {
	return m.call(ctx, http.MethodDelete, "access-keys/"+url.PathEscape(id), nil, nil)
}

func (m *management) rotateKey(ctx context.Context, id string) (key accessKey, err error) {
	err = m.call(ctx, http.MethodPost, "access-keys/"+url.PathEscape(id)+"/rotate", nil, &key)
	return key, err
}

func policyPath(user, name string) string {
	return "users/" + url.PathEscape(user) + "/policies/" + url.PathEscape(name)
}

func (m *management) policies(ctx context.Context, user string) ([]string, error) {
	var out struct{ PolicyNames []string }
	err := m.call(ctx, http.MethodGet, "users/"+url.PathEscape(user)+"/policies", nil, &out)
	return out.PolicyNames, err
}

func (m *management) policy(ctx context.Context, user, name string) (document []byte, err error) {
	err = m.call(ctx, http.MethodGet, policyPath(user, name), nil, &document)
	return document, err
}

func (m *management) putPolicy(ctx context.Context, user, name string, document []byte) error {
	return m.call(ctx, http.MethodPut, policyPath(user, name), document, nil)
}

func (m *management) removePolicy(ctx context.Context, user, name string) error {
	return m.call(ctx, http.MethodDelete, policyPath(user, name), nil, nil)
}

func (m *management) simulate(ctx context.Context, s simulation) (d decision, err error) {
	body, err := jsonBody(s)
	if err == nil {
		err = m.call(ctx, http.MethodPost, "simulate", body, &d)
	}
	return d, err
}
