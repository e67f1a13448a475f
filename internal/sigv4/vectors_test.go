package sigv4

import (
	"bufio"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// vectorsFolder returns the folder of one set of vectors that nobody here
// wrote: below POPKV_VECTORS (relative to the module root) if that is set,
// else in ../shared/vectors, else (the recorded requests) in testdata. It
// skips the test if there is none.
func vectorsFolder(t *testing.T, set string) string {
	t.Helper()
	moduleRoot := filepath.Join("..", "..")
	candidates := []string{filepath.Join(moduleRoot, "..", "shared", "vectors"), "testdata"}
	if named := os.Getenv("POPKV_VECTORS"); filepath.IsAbs(named) {
		candidates = []string{named}
	} else if named != "" {
		candidates = []string{filepath.Join(moduleRoot, named)}
	}
	for _, base := range candidates {
		folder := filepath.Join(base, set)
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			return folder
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	t.Skipf("vectors: set %s is not here (POPKV_VECTORS names the folder)", set)
	return ""
}

// reportCases prints how many cases of a set ran; a set that is there must
// have some.
func reportCases(t *testing.T, set string, cases int) {
	t.Helper()
	if cases == 0 {
		t.Fatalf("vectors: set %s is here but has no case", set)
	}
	t.Logf("vectors: %s: %d cases", set, cases)
}

// readJSONLines decodes a file with one JSON object a line.
func readJSONLines[T any](t *testing.T, file string) []T {
	t.Helper()
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("vectors: %s is not here", filepath.Base(file))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []T
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var one T
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// A rawMessage is a request taken apart without judging it: what net/http
// would refuse must reach the verifier's own rules.
type rawMessage struct {
	Request
	Body []byte
}

// mustParse is parseRaw for what must be a message.
func mustParse(t *testing.T, raw string) rawMessage {
	t.Helper()
	m, err := parseRaw(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// parseRaw cuts the request line at its first and last space, folds
// continuation lines, and keeps headers in order and number. The first Host
// becomes Request.Host, further ones stay in the header. It fails only on what
// is no HTTP message at all.
func parseRaw(raw string) (rawMessage, error) {
	line, rest, _ := cutLine(raw)
	first, last := strings.IndexByte(line, ' '), strings.LastIndexByte(line, ' ')
	if first < 0 || first == last {
		return rawMessage{}, fmt.Errorf("no request line: %q", line)
	}
	m := rawMessage{Request: Request{Method: line[:first], Target: line[first+1 : last], Header: map[string][]string{}}}
	type field struct{ name, value string }
	var fields []field
	for more := true; more; {
		line, rest, more = cutLine(rest)
		if line == "" {
			break
		}
		if (line[0] == ' ' || line[0] == '\t') && len(fields) > 0 {
			fields[len(fields)-1].value += " " + strings.TrimSpace(line)
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return rawMessage{}, fmt.Errorf("no header: %q", line)
		}
		fields = append(fields, field{name, value})
	}
	m.Body = []byte(rest)
	for _, f := range fields {
		name := canonicalName(f.name)
		switch {
		case name == "Host" && m.Host == "":
			m.Host = strings.TrimSpace(f.value)
		case name == "Transfer-Encoding":
			m.Chunked = true
		default:
			m.Header[name] = append(m.Header[name], f.value)
		}
	}
	return m, nil
}

func cutLine(s string) (line, rest string, more bool) {
	line, rest, more = strings.Cut(s, "\n")
	return strings.TrimSuffix(line, "\r"), rest, more
}

func canonicalName(name string) string {
	parts := strings.Split(strings.ToLower(name), "-")
	for i, p := range parts {
		if p != "" {
			parts[i] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "-")
}

// A recorded is one line of captures.jsonl or mutations.jsonl.
type recorded struct {
	ID, Client, Op                        string
	AccessKey, SecretKey, SessionToken    string
	RawB64                                string
	Params                                struct{ Key string }
	Base, Mutation, Expect, Why, SignedAt string
	EvaluateAtOffsetSeconds               int
}

// message is the recorded request. Its body is as long as Content-Length says,
// as a server reads it.
func (c recorded) message(t *testing.T) (rawMessage, error) {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(c.RawB64)
	if err != nil {
		t.Fatal(err)
	}
	m, err := parseRaw(string(raw))
	if err != nil || m.Chunked {
		return m, err
	}
	length, err := strconv.Atoi(cmp.Or(m.value("Content-Length"), "0"))
	if err != nil || length < 0 || length > len(m.Body) {
		return m, fmt.Errorf("a body of %q bytes is not there", m.value("Content-Length"))
	}
	m.Body = m.Body[:length]
	return m, nil
}

func (c recorded) key() *Key {
	key := NewKey(c.AccessKey, c.SecretKey)
	if c.SessionToken != "" {
		key = limited(key, c.SessionToken, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	return key
}

// dataPlane is the verifier of kvs.example.test.
func dataPlane() *Verifier {
	return dataPlaneOf(map[string]bool{"kvs.example.test": true, "123456789012.kvs.example.test": true})
}

func dataPlaneOf(own map[string]bool) *Verifier {
	return NewVerifier(Config{
		Service: "cloudfront-keyvaluestore",
		DotKeys: "/keys/",
		OwnName: func(authority string) bool {
			host, _, _ := strings.Cut(authority, ":")
			return own[host]
		},
	})
}

// capturedPlane is the verifier of the endpoint that the captures went to: its
// own names are their hosts, with and without the account's label.
func capturedPlane(t *testing.T, captures []recorded) *Verifier {
	t.Helper()
	own := map[string]bool{}
	for _, c := range captures {
		m, err := c.message(t)
		if err != nil {
			t.Fatalf("%s: %v", c.ID, err)
		}
		host, _, _ := strings.Cut(m.Host, ":")
		own[host] = true
		if _, unlabelled, ok := strings.Cut(host, "."); ok {
			own[unlabelled] = true
		}
	}
	return dataPlaneOf(own)
}

// verify runs both phases as a server does.
func (m *rawMessage) verify(v *Verifier, now time.Time, keys ...*Key) error {
	c, err := v.Check(&m.Request, now)
	if err != nil {
		return err
	}
	var key *Key
	for _, k := range keys {
		if k.id == c.AccessKeyID {
			key = k
		}
	}
	return v.Verify(&c, key, hashOf(string(m.Body)))
}

func TestVectorsRecordedRequestsOfAWSClientsPass(t *testing.T) {
	folder := vectorsFolder(t, "sdk-captures")
	captures := readJSONLines[recorded](t, filepath.Join(folder, "captures.jsonl"))
	v, cases := capturedPlane(t, captures), 0
	for _, c := range captures {
		m, err := c.message(t)
		if err != nil {
			t.Fatalf("%s: %v", c.ID, err)
		}
		now, err := time.Parse(dateForm, m.value("X-Amz-Date"))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.verify(v, now, c.key()); err != nil {
			t.Errorf("%s (%s %s): %v", c.ID, c.Client, c.Op, err)
		}
		if _, escaped, ok := strings.Cut(m.Target, "/keys/"); ok {
			if key, ok := unescape(escaped); !ok || key != c.Params.Key {
				t.Errorf("%s: key %q, want %q", c.ID, key, c.Params.Key)
			}
		}
		public, err := NewPublicKey(c.AccessKey, c.key().PublicKey())
		if err != nil {
			t.Fatal(err)
		}
		isV4A := strings.HasPrefix(m.value("Authorization"), SigV4A.String())
		if c.SessionToken == "" && (m.verify(v, now, public) == nil) != isV4A {
			t.Errorf("%s: the key held as a public key must accept what the key with its secret does, by SigV4A alone", c.ID)
		}
		cases++
	}
	reportCases(t, "sdk-captures/captures.jsonl", cases)
}

func TestVectorsForgedRequestsAreRefused(t *testing.T) {
	folder := vectorsFolder(t, "sdk-captures")
	var captures []recorded
	if _, err := os.Stat(filepath.Join(folder, "captures.jsonl")); err == nil {
		captures = readJSONLines[recorded](t, filepath.Join(folder, "captures.jsonl"))
	}
	v, cases := capturedPlane(t, captures), 0
	policies := map[string]string{}
	for _, c := range readJSONLines[recorded](t, filepath.Join(folder, "mutations.jsonl")) {
		signedAt, err := time.Parse(dateForm, c.SignedAt)
		if err != nil {
			t.Fatal(err)
		}
		m, err := c.message(t)
		if err == nil {
			err = m.verify(v, signedAt.Add(time.Duration(c.EvaluateAtOffsetSeconds)*time.Second), c.key())
		}
		switch {
		case c.Expect == "accept" && err != nil:
			t.Errorf("%s: refused (%v), but %s", c.ID, err, c.Why)
		case c.Expect == "reject" && err == nil:
			t.Errorf("%s: accepted, but %s", c.ID, c.Why)
		case c.Expect == "policy":
			policies[c.Mutation] = "accepted"
			if err != nil {
				policies[c.Mutation] = "refused: " + err.Error()
			}
		}
		cases++
	}
	for mutation, choice := range policies {
		t.Logf("our choice: %s is %s", mutation, choice)
	}
	reportCases(t, "sdk-captures/mutations.jsonl", cases)
}
