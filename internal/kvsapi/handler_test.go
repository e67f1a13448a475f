package kvsapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/dataplane"
)

// awkwardKeys are what readers of paths and bodies get wrong. Those of the
// recorded requests are among them; TestVectorsCapturedKeys proves it for the
// recordings that are here.
func awkwardKeys() []string {
	return []string{
		"plain", "with space", "uni-éሴ", "emoji-😀", "a/b", "a//b", "/lead", "trail/", ".", "..", "a/../b", "./x", "100%", "%2F", "%",
		"a+b", "q?x=1", "h#frag", "star*", "tilde~_-.", "$delete", "a=b&c", "colon:at@", "(paren)'!,;", `quote"back\slash`, "<xml>",
		"UPPER lower", "upper LOWER", "0", "trailing ", " leading", "key-value-stores", "keys", "new\nline", "tab\tx", "\x00", "\x7f",
		"caf\u00e9", "cafe\u0301", "\u2028", "\ufeff", "/", "//", "...", "\u202e", strings.Repeat("k", 512), strings.Repeat("é", 256),
	}
}

func TestAwkwardKeysRoundTrip(t *testing.T) { roundTrip(t, awkwardKeys(), popkv.DefaultLimits()) }

func TestVectorsCapturedKeys(t *testing.T) {
	keys := map[string]bool{}
	for line := range strings.Lines(string(vectorFile(t, "sdk-captures/captures.jsonl"))) {
		var c struct {
			Params struct {
				Key  string
				Puts json.RawMessage // a list of items, or how many there were
			}
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		var puts []popkv.Item
		_ = json.Unmarshal(c.Params.Puts, &puts)
		for _, item := range append(puts, popkv.Item{Key: c.Params.Key}) {
			if n := utf8.RuneCountInString(item.Key); 1 <= n && n <= 1024 { // others are recorded as refused
				keys[item.Key] = true
			}
		}
	}
	var all []string
	for key := range keys {
		all = append(all, key)
	}
	slices.Sort(all)
	if len(all) == 0 {
		t.Fatal("the set is present and holds no key")
	}
	t.Logf("sdk-captures: %d keys", len(all))
	limits := popkv.DefaultLimits()
	limits.KeyBytes, limits.ValueBytes = 4<<10, 8<<10 // what was recorded may exceed the quotas
	roundTrip(t, all, limits)
}

// roundTrip writes each key by its path, reads it by path and in a list,
// deletes it, and does the same through UpdateKeys.
func roundTrip(t *testing.T, keys []string, limits popkv.Limits) {
	r := newRig(t, drivers()["memjournal"], rigOptions{limits: limits})
	client := r.client(t)
	store := PathPrefix + url.PathEscape(popkv.StoreARN(account, r.store(t, account, popkv.Ready, "")).String())
	etag := popkv.DataETag(1)
	write := func(method, tail, body string) {
		t.Helper()
		status, _, next, answer := r.do(t, client, method, store+tail, etag, body)
		if status != 200 {
			t.Fatalf("%s %q: %d %s", method, tail, status, answer)
		}
		etag = next
	}
	expect := func(want map[string]string) {
		t.Helper()
		if diff := cmp.Diff(want, r.list(t, client, store)); diff != "" {
			t.Fatal(diff)
		}
		for key, value := range want {
			var got struct{ Key, Value string }
			status, _, _, answer := r.do(t, client, "GET", store+"/keys/"+escape(key), "", "")
			if err := json.Unmarshal(answer, &got); err != nil || status != 200 || got.Key != key || got.Value != value {
				t.Fatalf("GET of %q: %d %s, %v; want the value %q", key, status, answer, err, value)
			}
		}
	}
	want := map[string]string{}
	type batch struct{ Puts []popkv.Item }
	var puts []popkv.Item
	for i, key := range keys {
		want[key] = fmt.Sprint("value ", i, " ", key)
		body, _ := json.Marshal(map[string]string{"Value": want[key]})
		write("PUT", "/keys/"+escape(key), string(body))
		puts = append(puts, popkv.Item{Key: key, Value: want[key]})
	}
	expect(want)
	for _, key := range keys {
		write("DELETE", "/keys/"+escape(key), "")
	}
	expect(map[string]string{})
	for some := range slices.Chunk(puts, limits.UpdateKeys) {
		body, _ := json.Marshal(batch{some})
		write("POST", "/keys", string(body))
	}
	expect(want)
}

// escape writes a key as SDKs do: all but the unreserved characters.
func escape(key string) string {
	return strings.NewReplacer("+", "%20", "%7E", "~").Replace(url.QueryEscape(key))
}

// list reads a whole store page by page.
func (r *rig) list(t *testing.T, client *http.Client, store string) map[string]string {
	t.Helper()
	all := map[string]string{}
	query := "?MaxResults=7"
	for {
		status, _, _, body := r.do(t, client, "GET", store+"/keys"+query, "", "")
		var page struct {
			Items     []popkv.Item
			NextToken string
		}
		if err := json.Unmarshal(body, &page); err != nil || status != 200 {
			t.Fatalf("%d %s: %v", status, body, err)
		}
		for _, item := range page.Items {
			all[item.Key] = item.Value
		}
		if page.NextToken == "" {
			return all
		}
		query = "?MaxResults=7&NextToken=" + url.QueryEscape(page.NextToken)
	}
}

func TestOneWinnerPerETagOnTheWire(t *testing.T) {
	for driver, factory := range drivers() {
		t.Run(driver, func(t *testing.T) {
			r := newRig(t, factory, rigOptions{limits: popkv.DefaultLimits()})
			client := r.client(t)
			store := PathPrefix + url.PathEscape(popkv.StoreARN(account, r.store(t, account, popkv.Ready, "")).String())
			etag := popkv.DataETag(1)
			const writers, rounds = 32, 8
			for round := range rounds {
				var wins, losses atomic.Int32
				var next atomic.Value
				var wg sync.WaitGroup
				for w := range writers {
					wg.Go(func() {
						status, name, got, answer := r.do(t, client, "PUT", store+"/keys/k", etag, fmt.Sprintf(`{"Value":"%d %d"}`, round, w))
						switch {
						case status == 200:
							wins.Add(1)
							next.Store(got)
						case status == 400 && name == "ValidationException":
							losses.Add(1)
						default:
							t.Errorf("%d %s", status, answer)
						}
					})
				}
				wg.Wait()
				if wins.Load() != 1 || losses.Load() != writers-1 {
					t.Fatalf("round %d: %d writers won and %d lost with %s", round, wins.Load(), losses.Load(), etag)
				}
				etag = next.Load().(string)
			}
			if want := popkv.DataETag(rounds + 1); etag != want {
				t.Errorf("after %d wins the ETag is %s, want %s", rounds, etag, want)
			}
		})
	}
}

func TestEveryRequestIsObservedOnceAndWithoutContent(t *testing.T) {
	var mu sync.Mutex
	var seen []Observation
	r := newRig(t, drivers()["memjournal"], rigOptions{
		limits: popkv.DefaultLimits(), requestID: "id",
		observe: func(_ *http.Request, o Observation) { mu.Lock(); seen = append(seen, o); mu.Unlock() },
	})
	client := r.client(t)
	id := r.store(t, account, popkv.Ready, "")
	store := PathPrefix + url.PathEscape(popkv.StoreARN(account, id).String())
	const secret = "canary-value"
	r.do(t, client, "PUT", store+"/keys/canary-key", popkv.DataETag(1), `{"Value":"`+secret+`"}`)
	r.do(t, client, "GET", store+"/keys/canary-key", "", "")
	r.do(t, client, "GET", store+"/keys/other", "", "")
	r.do(t, client, "GET", store+"/nothing", "", "")
	r.do(t, client, "GET", PathPrefix+"nothing", "", "")

	root := popkv.Caller{Account: account, User: popkv.RootUser, AccessKeyID: rootKeyID}
	want := []Observation{
		{RequestID: "id", Operation: "PutKey", Store: id, Caller: root, Status: 200, RequestBytes: 24, ResponseBytes: 37},
		{RequestID: "id", Operation: "GetKey", Store: id, Caller: root, Status: 200, ResponseBytes: 79},
		{RequestID: "id", Operation: "GetKey", Store: id, Caller: root, Status: 404, ResponseBytes: 27},
		{RequestID: "id", Caller: root, Status: 404, ResponseBytes: 51},
		{RequestID: "id", Operation: "DescribeKeyValueStore", Caller: root, Status: 400, ResponseBytes: 87},
	}
	kinds := []popkv.Kind{0, 0, popkv.KeyNotFound, popkv.UnknownOperation, popkv.Invalid}
	mu.Lock()
	defer mu.Unlock()
	for i := range seen {
		if text := fmt.Sprintf("%+v", seen[i]); strings.Contains(text, "canary") {
			t.Errorf("the observation holds what was sent: %s", text)
		}
		if i < len(kinds) && kinds[i] != 0 && popkv.KindOf(seen[i].Err) != kinds[i] {
			t.Errorf("request %d: %v", i, seen[i].Err)
		}
		seen[i].Err = nil
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

func TestARequestIDIsAFreshUUID(t *testing.T) {
	r := newRig(t, drivers()["memjournal"], rigOptions{limits: popkv.DefaultLimits()})
	seen := map[string]bool{}
	for range 100 {
		response := string(r.send(t, []byte("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")))
		_, rest, _ := strings.Cut(response, "\r\nx-amzn-RequestId: ")
		id, _, _ := strings.Cut(rest, "\r\n")
		if _, ok := popkv.ParseStoreID(id); !ok || seen[id] {
			t.Fatalf("the id %q is no UUID or was used before", id)
		}
		seen[id] = true
	}
}

// failing is storage that refuses, with what only the log may know.
type failing struct {
	*dataplane.Service
	err error
}

func (f failing) Put(context.Context, dataplane.Target, string, string, string) (dataplane.Outcome, error) {
	return dataplane.Outcome{}, f.err
}

func TestRefusedWritesAreInternalServerExceptions(t *testing.T) {
	r := newRig(t, drivers()["memjournal"], rigOptions{limits: popkv.DefaultLimits()})
	cause := fmt.Errorf("write /var/lib/popkv/000004.log: no space left on device")
	r.handler.rules = failing{r.rules, popkv.Wrap(popkv.Unavailable, cause, "storage refuses writes: nothing was changed")}
	store := PathPrefix + url.PathEscape(popkv.StoreARN(account, r.store(t, account, popkv.Ready, "")).String())
	status, name, etag, body := r.do(t, r.client(t), "PUT", store+"/keys/k", popkv.DataETag(1), `{"Value":"v"}`)
	got := []any{status, name, etag, string(body)}
	if diff := cmp.Diff([]any{500, "InternalServerException", "", `{"Message":"storage refuses writes: nothing was changed"}`}, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzReadPage compares with net/url on queries of one name each.
func FuzzReadPage(f *testing.F) {
	for _, query := range []string{"", "MaxResults=3", "NextToken=abc&MaxResults=50", "MaxResults=1&MaxResults=1", "maxresults=0", "%4DaxResults=7&x", "NextToken=%FF", "&&=&", "NextToken="} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		maxResults, token, err := readPage(query)
		if err != nil {
			return
		}
		want, err := url.ParseQuery(strings.ReplaceAll(strings.ReplaceAll(query, "+", "%2B"), ";", "%3B"))
		if err != nil {
			return // a broken escape in a parameter that nobody reads
		}
		if len(want["MaxResults"]) > 1 || len(want["NextToken"]) > 1 {
			t.Fatalf("%q gives a parameter twice and was taken", query)
		}
		if want.Get("NextToken") != token || want.Has("NextToken") && token == "" {
			t.Fatalf("%q: token %q, net/url has %q", query, token, want.Get("NextToken"))
		}
		if text := want.Get("MaxResults"); text == "" && maxResults != dataplane.DefaultMaxResults || text != "" && strings.TrimLeft(text, "0") != strings.TrimLeft(fmt.Sprint(maxResults), "0") {
			t.Fatalf("%q: MaxResults %d, net/url has %q", query, maxResults, text)
		}
	})
}

// TestUpperCaseIDsAreNoWayAroundAPolicy: policies compare text, and an id may
// be sent in either case.
func TestUpperCaseIDsAreNoWayAroundAPolicy(t *testing.T) {
	p := newPlayer(t, drivers()["memjournal"], "")
	document := `{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": "*", "Resource": "*"},
		{"Effect": "Deny", "Action": "*", "Resource": "` + p.words["{arn}"] + `"}]}`
	if err := p.rig.directory.PutPolicy(context.Background(), account, "eve", "all-but-one", []byte(document)); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"{uuid}", "{UUID}"} {
		response := p.play(t, "GET /key-value-stores/arn:aws:cloudfront::123456789012:key-value-store%2F"+id+" HTTP/1.1\nSigner: eve\n\n")
		if !strings.HasPrefix(response, "HTTP/1.1 403 ") || !strings.Contains(response, "explicit deny") {
			t.Errorf("with the id as %s: %s", id, response)
		}
	}
}
