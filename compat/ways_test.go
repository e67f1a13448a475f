package compat

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A form is how a request of the data plane names the server.
type form struct {
	absolute bool // in the request line, as to a proxy
	labelled bool // the account in front of the host's name
}

// The ways of docs/guide/clients.md by which each client gets past the account
// label that it puts in front of the data plane's host. "" is the way of all
// other tests.
func TestWaysPastTheAccountLabel(t *testing.T) {
	s := startServer(t)
	asProxy := form{absolute: true, labelled: true}
	python := map[string]form{
		"": {}, // the label is in the user part of the URL
		"AWS_ENDPOINT_URL_CLOUDFRONT_KEYVALUESTORE": {},
		"proxies":     asProxy,
		"HTTP_PROXY":  asProxy,
		"http_proxy":  asProxy,
		"before-sign": {},
		"label":       {labelled: true}, // as where the name resolves
	}
	ways := map[string]map[string]form{
		"aws-sdk-go-v2":     {"": {labelled: true}, "proxy": asProxy, "resolver": {}},
		"boto3 SigV4A":      python,
		"boto3 plain SigV4": python,
		"JavaScript SDK v3": {"": {labelled: true}, "middleware": {}},
		"AWS CLI": {
			"": {}, "AWS_ENDPOINT_URL_CLOUDFRONT_KEYVALUESTORE": {},
			"HTTP_PROXY": asProxy, "http_proxy": asProxy,
		},
	}
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			for way, want := range ways[k.name] {
				t.Run("way "+way, func(t *testing.T) {
					recorder := startRecorder(t, s.port)
					to := target{Port: recorder.port, Key: s.root, Way: way}
					useAwkwardKey(t, k.start(t, to))
					if got := recorder.seen(); len(got) != 1 || !got[want] {
						t.Errorf("requests of the forms %+v, want only %+v", got, want)
					}
				})
			}
		})
	}
}

// useAwkwardKey calls all six operations with a key that a proxy or a label
// taken off wrongly would break.
func useAwkwardKey(t *testing.T, c client) {
	const key = "/a b/..//%2F+é?#"
	arn, etag := newStore(t, c, storeName(t, ""), nil)
	put := mustCall(t, c, dataPlane, "PutKey", map[string]any{"KvsARN": arn, "Key": key, "Value": "v", "IfMatch": etag})
	got := mustCall(t, c, dataPlane, "GetKey", map[string]any{"KvsARN": arn, "Key": key})
	expect(t, "GetKey", got, map[string]any{"Key": key, "Value": "v"})
	wantItems(t, c, arn, map[string]string{key: "v"})
	deleted := mustCall(t, c, dataPlane, "DeleteKey", map[string]any{"KvsARN": arn, "Key": key, "IfMatch": put["ETag"]})
	updated := mustCall(t, c, dataPlane, "UpdateKeys", map[string]any{
		"KvsARN": arn, "IfMatch": deleted["ETag"], "Puts": []any{map[string]any{"Key": key, "Value": "w"}},
	})
	expect(t, "UpdateKeys", updated, map[string]any{"ItemCount": 1})
}

// A recorder passes connections on and notes the form of what the data plane
// is asked.
type recorder struct {
	port int

	mu    sync.Mutex
	forms map[form]bool
}

func startRecorder(t *testing.T, serverPort int) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{port: l.Addr().(*net.TCPAddr).Port, forms: map[form]bool{}}
	server := "localhost:" + strconv.Itoa(serverPort)
	passOn(t, l, func() (net.Conn, error) { return net.Dial("tcp", server) }, r.read)
	return r
}

func (r *recorder) seen() map[form]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.forms
}

var accountLabel = regexp.MustCompile(`^\d{12}\.`)

// read reads requests until the connection ends.
func (r *recorder) read(connection io.Reader) {
	in := bufio.NewReader(connection)
	for {
		request, err := http.ReadRequest(in)
		if err != nil {
			io.Copy(io.Discard, in)
			return
		}
		if strings.Contains(request.RequestURI, "/key-value-stores/") {
			r.mu.Lock()
			r.forms[form{strings.HasPrefix(request.RequestURI, "http://"), accountLabel.MatchString(request.Host)}] = true
			r.mu.Unlock()
		}
		io.Copy(io.Discard, request.Body)
	}
}
