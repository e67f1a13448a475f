package sigv4

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A suiteCase is one directory of AWS's own signing suites.
type suiteCase struct {
	folder  string
	context struct {
		Credentials struct {
			AccessKeyID     string `json:"access_key_id"`
			SecretAccessKey string `json:"secret_access_key"`
			Token           string `json:"token"`
		} `json:"credentials"`
		Region           string    `json:"region"`
		Service          string    `json:"service"`
		Timestamp        time.Time `json:"timestamp"`
		Normalize        bool      `json:"normalize"`
		SignBody         bool      `json:"sign_body"`
		OmitSessionToken bool      `json:"omit_session_token"`
	}
	algorithm Algorithm
}

func (c *suiteCase) read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.folder, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// key has the case's token, if any, with no end to its life.
func (c *suiteCase) key() *Key {
	key := NewKey(c.context.Credentials.AccessKeyID, c.context.Credentials.SecretAccessKey)
	if token := c.context.Credentials.Token; token != "" {
		key = limited(key, token, c.context.Timestamp.Add(time.Hour))
	}
	return key
}

// path returns the form of the path that the case signs.
func (c *suiteCase) path(raw string) string {
	if c.context.Normalize {
		return normalizePath(raw)
	}
	return raw
}

func suiteCases(t *testing.T, set string, algorithm Algorithm) []*suiteCase {
	folder := vectorsFolder(t, set)
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var cases []*suiteCase
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		c := &suiteCase{folder: filepath.Join(folder, entry.Name()), algorithm: algorithm}
		if err := json.Unmarshal([]byte(c.read(t, "context.json")), &c.context); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	reportCases(t, set+" (header and query form each)", len(cases))
	return cases
}

func TestVectorsSigningSuiteSigV4(t *testing.T)  { runSuite(t, "sigv4", SigV4) }
func TestVectorsSigningSuiteSigV4A(t *testing.T) { runSuite(t, "sigv4a", SigV4A) }

func runSuite(t *testing.T, set string, algorithm Algorithm) {
	for _, c := range suiteCases(t, set, algorithm) {
		t.Run(filepath.Base(c.folder), func(t *testing.T) {
			c.checkPublicKey(t)
			c.checkForm(t, "header")
			c.checkForm(t, "query")
			c.checkSigning(t)
		})
	}
}

func (c *suiteCase) checkPublicKey(t *testing.T) {
	if c.algorithm != SigV4A {
		return
	}
	var want struct{ X, Y string }
	if err := json.Unmarshal([]byte(c.read(t, "public-key.json")), &want); err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(c.key().PublicKey()); got != "04"+want.X+want.Y {
		t.Errorf("public key %s, want 04 %s %s", got, want.X, want.Y)
	}
}

// checkForm reads the signed request and compares everything that is made from
// it; then it asks the whole verifier.
func (c *suiteCase) checkForm(t *testing.T, form string) {
	m := mustParse(t, c.read(t, form+"-signed-request.txt"))
	m.Body = mustParse(t, c.read(t, "request.txt")).Body
	if c.context.OmitSessionToken { // was added after signing
		delete(m.Header, "X-Amz-Security-Token")
		m.Target = withoutParam(m.Target, "X-Amz-Security-Token")
	}
	split, err := splitTarget(&m.Request, nil)
	if err != nil {
		t.Fatal(err)
	}
	claim, err := parse(&m.Request, split, true)
	if err != nil {
		t.Fatalf("%s form: %v", form, err)
	}
	var hash [64]byte
	body := hashOf(string(m.Body))
	hex.Encode(hash[:], body[:])
	canonical := claim.appendCanonical(nil, c.path(claim.Path), &hash)
	if diff := cmp.Diff(c.read(t, form+"-canonical-request.txt"), string(canonical)); diff != "" {
		t.Errorf("%s canonical request (-want +got):\n%s", form, diff)
	}
	digest := hashOf(string(canonical))
	if diff := cmp.Diff(c.read(t, form+"-string-to-sign.txt"), string(claim.appendStringToSign(nil, &digest))); diff != "" {
		t.Errorf("%s string to sign (-want +got):\n%s", form, diff)
	}
	for name, signature := range map[string]string{
		"in the request": claim.signature, "in its own file": strings.TrimSpace(c.read(t, form+"-signature.txt")),
	} {
		claim.signature = signature
		if !claim.signedBy(c.key(), c.path(claim.Path), &hash) {
			t.Errorf("%s form: the signature %s does not hold", form, name)
		}
	}
	c.checkRules(t, form, &m)
}

// checkRules runs the case through all rules. The only cases a server refuses
// are paths that two readers could understand in two ways.
func (c *suiteCase) checkRules(t *testing.T, form string, m *rawMessage) {
	v := NewVerifier(Config{Service: c.context.Service, Region: c.context.Region, Query: true, TrailingSlash: true})
	key := c.key()
	if c.context.OmitSessionToken {
		key = NewKey(c.context.Credentials.AccessKeyID, c.context.Credentials.SecretAccessKey)
	}
	err := m.verify(v, c.context.Timestamp, key)
	path, _, _ := strings.Cut(m.Target, "?")
	ambiguous := normalizePath(path) != path
	switch {
	case ambiguous && (err == nil || ReasonOf(err) != BadPath):
		t.Errorf("%s form: path %q: error %v, want it refused for its path", form, path, err)
	case !ambiguous && err != nil:
		t.Errorf("%s form: %v", form, err)
	}
}

// checkSigning makes the signature anew from the unsigned request.
func (c *suiteCase) checkSigning(t *testing.T) {
	m := mustParse(t, c.read(t, "request.txt"))
	body := hashOf(string(m.Body))
	if c.context.SignBody {
		m.Header["X-Amz-Content-Sha256"] = []string{hex.EncodeToString(body[:])}
	}
	signer := Signer{
		Key: c.key(), Algorithm: c.algorithm, Service: c.context.Service, Region: c.context.Region,
		NormalizePath: c.context.Normalize,
	}
	if !c.context.OmitSessionToken {
		signer.Token = c.context.Credentials.Token
	}
	if err := signer.Sign(&m.Request, body, c.context.Timestamp); err != nil {
		t.Fatal(err)
	}
	split, _ := splitTarget(&m.Request, nil)
	claim, err := parse(&m.Request, split, false)
	if err != nil {
		t.Fatal(err)
	}
	var hash [64]byte
	hex.Encode(hash[:], body[:])
	canonical := claim.appendCanonical(nil, c.path(claim.Path), &hash)
	if diff := cmp.Diff(c.read(t, "header-canonical-request.txt"), string(canonical)); diff != "" {
		t.Errorf("signed canonical request (-want +got):\n%s", diff)
	}
	if want := strings.TrimSpace(c.read(t, "header-signature.txt")); c.algorithm == SigV4 && claim.signature != want {
		t.Errorf("signature %s, want %s", claim.signature, want)
	}
	if !claim.signedBy(c.key(), c.path(claim.Path), &hash) {
		t.Error("our own signature does not hold")
	}
}

func withoutParam(target, name string) string {
	path, query, ok := strings.Cut(target, "?")
	if !ok {
		return target
	}
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		if !strings.HasPrefix(part, name+"=") {
			kept = append(kept, part)
		}
	}
	return path + "?" + strings.Join(kept, "&")
}
