package kvsapi

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/etcdjournal"
	"github.com/popkv/popkv/internal/journal/etcdjournal/etcdtest"
	"github.com/popkv/popkv/internal/sigv4"
)

var update = flag.Bool("update", false, "rewrite the responses in testdata/wire")

// TestWireFixtures plays each file of testdata/wire against a fresh data plane
// on each driver. A file is a scenario: what it shows, an optional `setup`
// section, and steps of a request and a response section.
//
//	setup       store [STATUS [REASON]]   the store to use; default: store READY
//	            deleted                   delete it again
//	            foreign                   it is another account's
//	            limit NAME N              a field of popkv.Limits
//	            allow USER ACTION [TAG]   what a user other than root may do
//	            tag NAME=VALUE            a tag of the store, as policies see it
//	            stale_etag conflict       the setting
//	            tick DURATION             how far time goes on after a step; default: 1s
//
//	request     {A} is the ARN as SDKs escape it, {arn} the ARN, {uuid} the
//	            store's id, {token} the last NextToken, {x*5} is xxxxx,
//	            {hex:ff} is that byte. Host and Content-Length are added
//	            where they are missing, and the request is signed as root or
//	            as `Signer: [ACCOUNT/]USER` says, which also may be none,
//	            wrong (secret), unknown (key), late or sigv4a; `Unsigned:
//	            NAME` leaves that header out of the signature
//
//	response    as it came, without Date
func TestWireFixtures(t *testing.T) {
	files, err := filepath.Glob("testdata/wire/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	factories := drivers()
	factories["etcdjournal"] = onEtcd(t)
	for driver, factory := range factories {
		for _, file := range files {
			t.Run(driver+"/"+strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
				playFixture(t, factory, file)
			})
		}
	}
}

// onEtcd makes drivers on one etcd, each on an empty key space.
func onEtcd(t *testing.T) driverFactory {
	client := etcdtest.Start(t)
	return func(t testing.TB) journal.Driver {
		if _, err := client.Delete(t.Context(), etcdjournal.Prefix, clientv3.WithPrefix()); err != nil {
			t.Fatal(err)
		}
		d, err := etcdjournal.Open(t.Context(), client, etcdjournal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
}

func playFixture(t *testing.T, factory driverFactory, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var setup string
	if len(archive.Files) > 0 && archive.Files[0].Name == "setup" {
		setup = string(archive.Files[0].Data)
	}
	p := newPlayer(t, factory, setup)
	changed := false
	for i := range archive.Files {
		section := &archive.Files[i]
		step, isResponse := strings.CutSuffix(section.Name, ": response")
		if !isResponse {
			continue
		}
		request := archive.Files[i-1]
		if request.Name != step+": request" {
			t.Fatalf("%s: section %q does not follow its request", file, section.Name)
		}
		got := p.play(t, string(request.Data))
		p.rig.clock.advance(p.tick)
		if got == string(section.Data) {
			continue
		}
		if !*update {
			t.Errorf("%s:\n--- got\n%s--- want\n%s", step, got, section.Data)
			continue
		}
		section.Data, changed = []byte(got), true
	}
	if changed {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A player is one scenario's data plane and the words of its requests.
type player struct {
	rig   *rig
	words map[string]string
	tick  time.Duration
}

func newPlayer(t *testing.T, factory driverFactory, setup string) *player {
	options := rigOptions{limits: popkv.DefaultLimits(), requestID: "5f1c0000-0000-4000-8000-000000000001"}
	owner, status, reason, deleted := account, popkv.Ready, "", false
	var allowed []string
	tick := time.Second
	for line := range strings.Lines(setup) {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		first, second, _ := strings.Cut(rest, " ")
		switch verb {
		case "":
		case "store":
			status, reason = popkv.Status(first), second
		case "deleted":
			deleted = true
		case "foreign":
			owner = "999999999999"
		case "allow":
			allowed = append(allowed, rest)
		case "tag":
			name, value, _ := strings.Cut(first, "=")
			options.tags = map[string]string{name: value}
		case "stale_etag":
			options.conflict = first == "conflict"
		case "tick":
			var err error
			if tick, err = time.ParseDuration(first); err != nil {
				t.Fatal(err)
			}
		case "limit":
			n, err := strconv.ParseInt(second, 10, 64)
			field := reflect.ValueOf(&options.limits).Elem().FieldByName(first)
			if err != nil || !field.IsValid() {
				t.Fatalf("setup: %q", line)
			}
			field.SetInt(n)
		default:
			t.Fatalf("setup: %q", line)
		}
	}
	r := newRig(t, factory, options)
	for _, rule := range allowed {
		words := append(strings.Fields(rule), "")
		r.allow(t, words[0], words[1], words[2])
	}
	id := r.store(t, owner, status, reason)
	if deleted {
		if err := r.journal.Catalog(context.Background(), func(tx *journal.Tx) error { return tx.DropStore(id) }); err != nil {
			t.Fatal(err)
		}
	}
	arn := popkv.StoreARN(account, id).String()
	escape := strings.NewReplacer(":", "%3A", "/", "%2F")
	return &player{rig: r, tick: tick, words: map[string]string{
		"{arn}": arn, "{A}": escape.Replace(arn), "{uuid}": id.String(), "{UUID}": strings.ToUpper(id.String()),
	}}
}

// play sends a request section and returns the response section.
func (p *player) play(t *testing.T, section string) string {
	t.Helper()
	response := p.rig.send(t, p.request(t, section))
	head, body, ok := bytes.Cut(response, []byte("\r\n\r\n"))
	if !ok {
		t.Fatalf("a response without an end of its header: %q", response)
	}
	var page struct{ NextToken string }
	if json.Unmarshal(body, &page) == nil && page.NextToken != "" {
		p.words["{token}"] = page.NextToken
	}
	var out strings.Builder
	for line := range strings.SplitSeq(string(head), "\r\n") {
		if !strings.HasPrefix(line, "Date: ") {
			out.WriteString(line + "\n")
		}
	}
	out.WriteByte('\n')
	if len(body) > 0 {
		out.Write(body)
		out.WriteByte('\n')
	}
	text := out.String()
	for _, word := range []string{"{arn}", "{uuid}", "{token}"} {
		if p.words[word] != "" {
			text = strings.ReplaceAll(text, p.words[word], word)
		}
	}
	return text
}

var (
	repeated = regexp.MustCompile(`\{([^{}]+)\*(\d+)\}`)
	hexBytes = regexp.MustCompile(`\{hex:([0-9a-f]+)\}`)
)

// request turns a section into bytes.
func (p *player) request(t *testing.T, section string) []byte {
	t.Helper()
	section = repeated.ReplaceAllStringFunc(section, func(s string) string {
		m := repeated.FindStringSubmatch(s)
		n, _ := strconv.Atoi(m[2])
		return strings.Repeat(m[1], n)
	})
	section = hexBytes.ReplaceAllStringFunc(section, func(s string) string {
		b, err := hex.DecodeString(hexBytes.FindStringSubmatch(s)[1])
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	})
	for word, value := range p.words {
		section = strings.ReplaceAll(section, word, value)
	}
	head, body, _ := strings.Cut(section, "\n\n")
	body = strings.TrimSuffix(body, "\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	return p.sign(t, lines[0], lines[1:], body)
}

// sign completes the header lines of a request and signs them.
func (p *player) sign(t *testing.T, requestLine string, lines []string, body string) []byte {
	t.Helper()
	method, rest, _ := strings.Cut(requestLine, " ")
	target, _, _ := strings.Cut(rest, " HTTP/")
	request := sigv4.Request{Method: method, Target: target, Host: "localhost:8080", Header: http.Header{}}
	var unsigned http.Header = http.Header{}
	who, anonymous := signer{}, false
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch name {
		case "Host":
			request.Host = value
		case "Unsigned":
			unsigned.Set(value, request.Header[http.CanonicalHeaderKey(value)][0])
			delete(request.Header, http.CanonicalHeaderKey(value))
		case "Signer":
			who, anonymous = signerOf(value), value == "none"
		default:
			http.Header(request.Header).Add(name, value)
		}
	}
	if body != "" && request.Header["Content-Length"] == nil {
		http.Header(request.Header).Set("Content-Length", fmt.Sprint(len(body)))
	}
	if !anonymous && request.Header["Authorization"] == nil {
		p.rig.sign(t, &request, []byte(body), who)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\r\nHost: %s\r\n", requestLine, request.Host)
	for _, header := range []http.Header{request.Header, unsigned} {
		if err := header.Write(&out); err != nil {
			t.Fatal(err)
		}
	}
	out.WriteString("\r\n" + body)
	return out.Bytes()
}

// signerOf reads the value of a fixture's Signer line.
func signerOf(text string) signer {
	switch text {
	case "none", "wrong", "late", "unknown":
		return signer{fault: text}
	case "sigv4a":
		return signer{algorithm: sigv4.SigV4A}
	}
	owner, user, ok := strings.Cut(text, "/")
	if !ok {
		return signer{account: account, user: text}
	}
	return signer{account: owner, user: user}
}

// do sends a request of root through a client and returns status, error name,
// ETag and body.
func (r *rig) do(t testing.TB, client *http.Client, method, path, etag, body string) (int, string, string, []byte) {
	t.Helper()
	header := http.Header{}
	if etag != "" {
		header.Set("If-Match", etag)
	}
	if body != "" {
		header.Set("Content-Type", "application/json")
	}
	return r.request(t, client, method, path, header, body)
}

// request is do with any header.
func (r *rig) request(t testing.TB, client *http.Client, method, path string, header http.Header, body string) (int, string, string, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	r.sign(t, &sigv4.Request{Method: method, Target: req.URL.RequestURI(), Host: req.Host, Header: header}, []byte(body), signer{})
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("X-Amzn-Errortype"), resp.Header.Get("Etag"), got
}
