package server

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/config"
)

// A mine sends requests with canaries in them and collects everything but the
// answers to requests that succeed.
type mine struct {
	t        *testing.T
	s        *Server
	log      *journalist
	canaries map[string]string // by what they are
	errors   strings.Builder   // bodies and headers of refusals
}

func (m *mine) send(q message) answer {
	m.t.Helper()
	head, body := q.sign(m.t, m.s)
	_, signature, _ := strings.Cut(head, "Signature=")
	signature, _, _ = strings.Cut(signature, "\r\n")
	m.canaries["the signature of "+q.method+" "+q.target] = signature
	a := sendRaw(m.t, m.s, head+body)
	if a.status/100 != 2 {
		fmt.Fprintln(&m.errors, a, a.header)
	}
	return a
}

// newMine starts a server that logs everything, with canaries for secrets.
func newMine(t *testing.T, change func(*config.Config)) *mine {
	m := &mine{t: t, log: &journalist{}, canaries: map[string]string{
		"a value": "VALUECANARY", "the root secret": "ROOTSECRETCANARY", "the secret of S3": "S3SECRETCANARY",
	}}
	m.s, _ = startWith(t, func(c *config.Config) {
		c.RootAccessKeyID, c.RootSecretAccessKey = "AKIAROOT", popkv.NewSecret("ROOTSECRETCANARY")
		c.Auth.Query = true
		change(c)
	}, Options{Logger: m.log.logger(slog.LevelDebug)})
	return m
}

func (m *mine) root() access.Credentials {
	return access.Credentials{AccessKeyID: "AKIAROOT", Secret: popkv.NewSecret("ROOTSECRETCANARY")}
}

// check looks for the canaries where they must not be.
func (m *mine) check() {
	m.t.Helper()
	shown := map[string]string{"log": m.log.String(), "refusals": m.errors.String()}
	for _, path := range []string{"/metrics", "/readyz", "/debug/pprof/goroutine?debug=2", "/debug/pprof/cmdline"} {
		shown[path] = adminGet(m.t, m.s, path).body
	}
	for where, text := range shown {
		for what, canary := range m.canaries {
			if strings.Contains(text, canary) {
				at := strings.Index(text, canary)
				m.t.Errorf("%s shows %s: %s", where, what, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
	if n := strings.Count(m.log.String(), `"msg":"request"`); n < 5 {
		m.t.Errorf("only %d requests are in the log", n)
	}
	if m.errors.Len() == 0 {
		m.t.Error("nothing was refused")
	}
}

func TestValuesAndSecretsAreShownToNobody(t *testing.T) {
	m := newMine(t, func(*config.Config) {})
	_, path := newStore(t, m.s, "s", `{"data":[{"key":"k","value":"VALUECANARY"}]}`)
	current, stale := popkv.DataETag(2), popkv.DataETag(1)
	for _, c := range []struct{ method, target, etag, body string }{
		{"GET", path + "/keys/k", "", ""},
		{"GET", path + "/keys/VALUECANARY", "", ""},
		{"PUT", path + "/keys/k", stale, `{"Value":"VALUECANARY"}`},
		{"PUT", path + "/keys/k", "VALUECANARY", `{"Value":"VALUECANARY"}`},
		{"PUT", path + "/keys/k", current, `{"Value":"VALUECANARY"`},
		{"PUT", path + "/keys/k", current, `{"Value":"VALUECANARY","Value":"VALUECANARY"}`},
		{"PUT", path + "/keys/k", current, `{"VALUECANARY":1,"VALUECANARY":2}`},
		{"PUT", path + "/keys/k", current, `{"Value":["VALUECANARY"]}`},
		{"PUT", path + "/keys/k", current, `{"Value":VALUECANARY}`},
		{"PUT", path + "/keys/k", current, `{"Value":"VALUECANARY\ud800"}`},
		{"PUT", path + "/keys/k", current, "{\"Value\":\"VALUECANARY\xff\"}"},
		{"PUT", path + "/keys/k", current, `{"Value":"VALUECANARY"}VALUECANARY`},
		{"PUT", path + "/keys/k", current, `VALUECANARY`},
		{"PUT", path + "/keys/k", current, `{"Value":"` + strings.Repeat("VALUECANARY", 1000) + `"}`},
		{"POST", path + "/keys", current, `{"Puts":[{"Key":"a","Value":"VALUECANARY"},{"Key":"a","Value":"VALUECANARY"}]}`},
		{"POST", path + "/keys", current, `{"Puts":[{"Key":7,"Value":"VALUECANARY"}]}`},
		{"POST", path + "/keys", current, `{"Puts":{"Key":"VALUECANARY"}}`},
		{"POST", path + "/keys?VALUECANARY=1", stale, `{"Puts":[{"Key":"a","Value":"VALUECANARY"}],"Deletes":"VALUECANARY"}`},
		{"GET", path + "/keys?MaxResults=VALUECANARY&NextToken=VALUECANARY", "", ""},
		{"GET", "/key-value-stores/VALUECANARY/keys/k", "", ""},
		{"PUT", path + "/keys/k", current, `{"Value":"VALUECANARY2"}`},
	} {
		m.send(message{
			method: c.method, target: c.target, body: c.body, by: m.root(),
			header: map[string]string{"If-Match": c.etag, "Content-Type": "application/json", "X-Amz-Meta": "VALUECANARY"},
		})
	}
	m.check()
}

// Refused credentials are told apart in the log by nothing but their id.
func TestCredentialsAreShownToNobody(t *testing.T) {
	m := newMine(t, func(*config.Config) {})
	create := func(body string) access.Credentials {
		got := m.send(message{method: "POST", target: "/popkv/v1/access-keys", service: "popkv", by: m.root(), body: body})
		fields := strings.FieldsFunc(got.body, func(r rune) bool { return strings.ContainsRune(`{}":,`, r) })
		value := func(name string) string {
			for i, f := range fields[:len(fields)-1] {
				if f == name {
					return fields[i+1]
				}
			}
			return ""
		}
		made := access.Credentials{
			AccessKeyID: value("AccessKeyId"), Secret: popkv.NewSecret(value("SecretAccessKey")), SessionToken: popkv.NewSecret(value("SessionToken")),
		}
		m.canaries["a secret of "+body] = made.Secret.Reveal()
		if !made.SessionToken.IsEmpty() {
			m.canaries["a token of "+body] = made.SessionToken.Reveal()
		}
		return made
	}
	list := message{method: "GET", target: "/popkv/v1/access-keys", service: "popkv"}
	for _, body := range []string{`{"User":"ann"}`, `{"User":"bob","ExpiresInSeconds":60}`} {
		key := create(body)
		for _, by := range []access.Credentials{
			key,
			{AccessKeyID: key.AccessKeyID, Secret: popkv.NewSecret("WRONG")},
			{AccessKeyID: key.AccessKeyID, Secret: key.Secret, SessionToken: popkv.NewSecret("VALUECANARY")},
			{AccessKeyID: "AKIANONE", Secret: key.Secret, SessionToken: key.SessionToken},
		} {
			list.by = by
			m.send(list)
		}
		rotated := m.send(message{method: "POST", target: "/popkv/v1/access-keys/" + key.AccessKeyID + "/rotate", service: "popkv", by: m.root()})
		_, secret, _ := strings.Cut(rotated.body, `"SecretAccessKey":"`)
		if secret, _, ok := strings.Cut(secret, `"`); ok {
			m.canaries["a secret after a rotation"] = secret
		}
	}
	for _, authorization := range []string{"Bearer ROOTSECRETCANARY", "AWS4-HMAC-SHA256 Credential=ROOTSECRETCANARY", "AWS4-HMAC-SHA256 ROOTSECRETCANARY", "Basic AKIAROOT:ROOTSECRETCANARY"} {
		a := sendRaw(t, m.s, "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: "+authorization+"\r\n\r\n")
		fmt.Fprintln(&m.errors, a, a.header)
	}
	for _, change := range []string{"", "x"} {
		target := presign(t, m.s, "AKIAROOT", "ROOTSECRETCANARY", "/popkv/v1/access-keys") + change
		_, signature, _ := strings.Cut(target, "X-Amz-Signature=")
		m.canaries["the signature of a URL"] = signature
		a := sendRaw(t, m.s, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if (a.status == 200) != (change == "") {
			t.Errorf("a presigned request: %v", a)
		}
		if a.status != 200 {
			fmt.Fprintln(&m.errors, a, a.header)
		}
	}
	m.check()
}

// presign returns the target of a URL that is good for a minute.
func presign(t *testing.T, s *Server, id, secret, path string) string {
	t.Helper()
	r, err := http.NewRequest("GET", "http://localhost"+path+"?X-Amz-Expires=60", nil)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(nil)
	url, _, err := v4.NewSigner().PresignHTTP(t.Context(), aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, r, hex.EncodeToString(hash[:]), "popkv", "us-east-1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(url, "http://localhost")
}

func TestPresignedRequestsAreRefusedUnlessAskedFor(t *testing.T) {
	s := start(t, nil)
	target := presign(t, s, "test", "test", "/popkv/v1/access-keys")
	if got := sendRaw(t, s, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\n\r\n"); got.status/100 != 4 {
		t.Errorf("got %v", got)
	}
}

// What goes wrong with an import tells neither values nor the key of S3.
func TestImportsShowNoValues(t *testing.T) {
	documents := map[string]string{
		"cut": `{"data":[{"key":"k","value":"VALUECANARY`, "twice": `{"data":[{"key":"k","value":"VALUECANARY"},{"key":"k","value":"VALUECANARY"}]}`,
		"wrong": `{"data":[{"key":"k","value":{"VALUECANARY":1}}]}`, "long": `{"data":[{"key":"k","value":"` + strings.Repeat("VALUECANARY", 100) + `"}]}`,
		"text": "VALUECANARY", "good": `{"data":[{"key":"k","value":"VALUECANARY"}]}`,
	}
	s3 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if document, ok := documents[filepath.Base(r.URL.Path)]; ok {
			io.WriteString(w, document)
			return
		}
		http.Error(w, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>", http.StatusForbidden)
	}))
	defer s3.Close()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bucket"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range documents {
		if err := os.WriteFile(filepath.Join(dir, "bucket", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for source, change := range map[string]func(*config.Config){
		"a folder": func(c *config.Config) { c.ImportDir = dir },
		"S3": func(c *config.Config) {
			c.S3.Endpoint, c.S3.AccessKeyID, c.S3.SecretAccessKey = s3.URL, "AKIAS3", popkv.NewSecret("S3SECRETCANARY")
		},
	} {
		t.Run(source, func(t *testing.T) {
			m := newMine(t, change)
			control, _ := clients(t, m.s, "AKIAROOT", "ROOTSECRETCANARY")
			names := append(slices.Collect(maps.Keys(documents)), "missing")
			for _, name := range names {
				_, err := control.CreateKeyValueStore(t.Context(), &cloudfront.CreateKeyValueStoreInput{
					Name:         &name,
					ImportSource: &types.ImportSource{SourceType: types.ImportSourceTypeS3, SourceARN: aws.String("arn:aws:s3:::bucket/" + name)},
				})
				if err != nil {
					fmt.Fprintln(&m.errors, err)
				}
			}
			for _, name := range names {
				for status := "PROVISIONING"; status == "PROVISIONING"; {
					d, err := control.DescribeKeyValueStore(t.Context(), &cloudfront.DescribeKeyValueStoreInput{Name: &name})
					if err != nil {
						break // it was not made
					}
					status = *d.KeyValueStore.Status
					if want := map[bool]string{true: "READY", false: "IMPORT_FAILURE"}[name == "good"]; status != want && status != "PROVISIONING" {
						t.Errorf("%s: %s, want %s", name, status, want)
					}
				}
				target, err := m.s.control.Store(t.Context(), account, name)
				if err != nil || !target.Exists {
					continue
				}
				arn := target.ARN.String()
				m.send(message{method: "GET", target: "/key-value-stores/" + arn, by: m.root()}) // with the reason
				if id, ok := target.ARN.StoreID(); ok {
					meta, err := m.s.journal.Meta(t.Context(), id)
					if err != nil {
						t.Error(err)
					}
					fmt.Fprintln(&m.errors, meta.FailureReason)
				}
			}
			m.check()
		})
	}
}
