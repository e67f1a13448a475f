package cli

import (
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv/internal/sigv4"
)

// seen is one request that a managementFake took.
type seen struct {
	Request string // method and raw target
	Body    string
}

// A managementFake verifies signatures as a server does and answers what it is
// told to, by method and raw target.
type managementFake struct {
	t       *testing.T
	key     *sigv4.Key
	answers map[string]string
	status  int // of an answer that is not in answers
	refusal string
	seen    []seen
}

func (f *managementFake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Error(err)
	}
	verifier := sigv4.NewVerifier(sigv4.Config{Service: "popkv"})
	claim, err := verifier.Check(&sigv4.Request{Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header}, time.Now())
	if err == nil {
		err = verifier.Verify(&claim, f.key, sha256.Sum256(body))
	}
	if err != nil {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"Error":{"Code":"SignatureDoesNotMatch","Message":"no"}}`)
		return
	}
	request := r.Method + " " + r.RequestURI
	f.seen = append(f.seen, seen{request, string(body)})
	answer, ok := f.answers[request]
	if !ok {
		w.WriteHeader(f.status)
		io.WriteString(w, f.refusal)
		return
	}
	io.WriteString(w, answer)
}

// manage runs a command line against the fake, with the given secret.
func (f *managementFake) manage(stdin, secret string, args ...string) run {
	f.t.Helper()
	server := httptest.NewServer(f)
	defer server.Close()
	f.t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	f.t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
	environ := []string{"POPKV_ENDPOINT=" + server.URL, "POPKV_ACCESS_KEY_ID=AKID", "POPKV_SECRET_ACCESS_KEY=" + secret}
	return runApp(f.t, environ, stdin, args...)
}

const fakeSecret = "a secret of the tests"

func newManagementFake(t *testing.T, answers map[string]string) *managementFake {
	return &managementFake{t: t, key: sigv4.NewKey("AKID", fakeSecret), answers: answers, status: http.StatusNotFound,
		refusal: `{"Error":{"Code":"NoSuchEntity","Message":"there is none"}}`}
}

func TestAccessKeyCommandsSendTheirRequests(t *testing.T) {
	const key = `{"AccessKeyId":"PK1","SecretAccessKey":"s","Account":"123456789012","User":"alice","Created":"2026-01-02T03:04:05.678Z","PublicKeyOnly":false}`
	cases := []struct {
		args, answer string
		want         seen
		stdout       string
	}{
		{"access-key create --user alice -o jsonl", key, seen{"POST /popkv/v1/access-keys", `{"User":"alice"}`}, key + "\n"},
		{"access-key create --account 123456789012 --public-key-only --expires 1h -o jsonl", key,
			seen{"POST /popkv/v1/access-keys", `{"Account":"123456789012","User":"root","PublicKeyOnly":true,"ExpiresInSeconds":3600}`}, key + "\n"},
		{"access-key list -o csv", `{"AccessKeys":[` + key + `]}`, seen{"GET /popkv/v1/access-keys", ""},
			"AccessKeyId,Account,User,Created,Expires,PublicKeyOnly\nPK1,123456789012,alice,2026-01-02T03:04:05.678Z,,false\n"},
		{"access-key list -o jsonl", `{"AccessKeys":[{"AccessKeyId":"ROOT","Account":"123456789012","User":"root","PublicKeyOnly":false}]}`, seen{"GET /popkv/v1/access-keys", ""},
			`{"AccessKeyId":"ROOT","Account":"123456789012","User":"root","PublicKeyOnly":false}` + "\n"}, // of the environment: made nowhere
		{"access-key rotate PK1 -o jsonl", key, seen{"POST /popkv/v1/access-keys/PK1/rotate", ""}, key + "\n"},
		{"access-key rm PK1", "", seen{"DELETE /popkv/v1/access-keys/PK1", ""}, ""},
		{"policy put alice p/1 @testdata/policy.json", "", seen{"PUT /popkv/v1/users/alice/policies/p%2F1", "{\"Statement\":[]}\n"}, ""},
		{"policy get alice p", "{\"Statement\":[]}\n", seen{"GET /popkv/v1/users/alice/policies/p", ""}, "{\"Statement\":[]}\n"},
		{"policy ls alice -o csv", `{"PolicyNames":["p"]}`, seen{"GET /popkv/v1/users/alice/policies", ""}, "User,Name\nalice,p\n"},
		{"policy rm alice p", "", seen{"DELETE /popkv/v1/users/alice/policies/p", ""}, ""},
		{"policy simulate alice a:B * --context aws:username=x -o csv", `{"Allowed":true,"Reason":"statement 1"}`,
			seen{"POST /popkv/v1/simulate", `{"User":"alice","Action":"a:B","Resource":"*","Context":{"aws:username":"x"}}`}, "Decision,Reason\nallowed,statement 1\n"},
	}
	for _, c := range cases {
		t.Run(c.args, func(t *testing.T) {
			f := newManagementFake(t, map[string]string{c.want.Request: c.answer})
			got := f.manage("", fakeSecret, strings.Split(c.args, " ")...)
			if got.code != exitOK {
				t.Fatalf("exit code %d: %s", got.code, got.stderr)
			}
			if diff := cmp.Diff([]seen{c.want}, f.seen); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.stdout, got.stdout); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestChangesNameTheirTarget(t *testing.T) {
	f := newManagementFake(t, map[string]string{"DELETE /popkv/v1/access-keys/PK1": "", "GET /popkv/v1/access-keys": `{}`})
	if got := f.manage("", fakeSecret, "access-key", "rm", "PK1"); !strings.Contains(got.stderr, "removing access key PK1 on http://127.0.0.1:") {
		t.Errorf("stderr %q", got.stderr)
	}
	if got := f.manage("", fakeSecret, "access-key", "list"); got.stderr != "" {
		t.Errorf("reading says %q", got.stderr)
	}
}

func TestListedKeysNeverShowSecrets(t *testing.T) {
	f := newManagementFake(t, map[string]string{"GET /popkv/v1/access-keys": `{"AccessKeys":[{"AccessKeyId":"PK1","User":"root"}]}`})
	for _, format := range outputFormats() {
		got := f.manage("", fakeSecret, "access-key", "list", "-o", format)
		if !strings.Contains(got.stdout, "PK1") || strings.Contains(got.stdout, "Secret") {
			t.Errorf("%s: %s", format, got.stdout)
		}
	}
}

func TestRefusalsOfTheManagementAPI(t *testing.T) {
	f := newManagementFake(t, map[string]string{"POST /popkv/v1/simulate": `{"Allowed":false,"Reason":"no statement allows it"}`})
	cases := []struct {
		name, secret string
		args         []string
		code         int
		want         string
	}{
		{"a wrong secret", "wrong", []string{"access-key", "list"}, exitAuth, "list access keys: SignatureDoesNotMatch"},
		{"an unknown key", fakeSecret, []string{"access-key", "rm", "x"}, exitNotFound, "remove access key x: NoSuchEntity: there is none"},
		{"a denial", fakeSecret, []string{"policy", "simulate", "u", "a:B", "*"}, exitAuth, "user u may not do a:B on *"},
	}
	for _, c := range cases {
		got := f.manage("", c.secret, c.args...)
		if got.code != c.code || !strings.Contains(got.stderr, c.want) {
			t.Errorf("%s: exit code %d, stderr %s", c.name, got.code, got.stderr)
		}
	}
	f.status, f.refusal = http.StatusBadGateway, "<html>"
	if got := f.manage("", fakeSecret, "access-key", "list"); got.code != exitFailed || !strings.Contains(got.stderr, "502 Bad Gateway") {
		t.Errorf("another server's error: exit code %d, %s", got.code, got.stderr)
	}
}
