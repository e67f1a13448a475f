package s3import

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/popkv/popkv"
)

// newS3 returns an S3 whose endpoint `http://s3.test:PORT/` resolves to server.
func newS3(t *testing.T, server *httptest.Server, change ...func(*S3Options)) *S3 {
	t.Helper()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	o := S3Options{
		Endpoint:        "http://s3.test:" + u.Port(),
		AccessKeyID:     "AKIDEXAMPLE",
		SecretAccessKey: "not-a-secret",
		MaxAttempts:     1,
		Resolve: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		},
	}
	for _, f := range change {
		f(&o)
	}
	s, err := NewS3(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// load opens and reads the whole object.
func load(ctx context.Context, s Source, l Location) ([]popkv.Item, error) {
	r, _, err := s.Open(ctx, l)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	items, _, err := readAll(r, popkv.DefaultLimits())
	return items, err
}

const oneItem = `{"data":[{"key":"a","value":"1"}]}`

func TestS3SendsOneSignedPathStyleRequestForTheLiteralKey(t *testing.T) {
	for key, target := range map[string]string{
		"file.json":                "/bucket/file.json",
		"path/file.json":           "/bucket/path/file.json",
		"a b%20c+?#é":              "/bucket/a%20b%2520c%2B%3F%23%C3%A9",
		"a//b/./c/../d":            "/bucket/a//b/./c/../d",
		"/":                        "/bucket//",
		"x-s3":                     "/bucket/x-s3",
		"?versionId=1&x-id=Delete": "/bucket/%3FversionId%3D1%26x-id%3DDelete",
	} {
		t.Run(key, func(t *testing.T) {
			var requests atomic.Int32
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				path, query, _ := strings.Cut(r.RequestURI, "?")
				if r.Method != "GET" || path != target || query != "x-id=GetObject" || !strings.HasPrefix(r.Host, "s3.test:") {
					t.Errorf("%s %s of %s, want GET %s", r.Method, r.RequestURI, r.Host, target)
				}
				if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") || !strings.Contains(r.Header.Get("Authorization"), "/us-east-1/s3/") {
					t.Errorf("Authorization: %s", r.Header.Get("Authorization"))
				}
				io.WriteString(w, oneItem)
			})
			items, err := load(t.Context(), newS3(t, server), Location{"bucket", key})
			if err != nil || len(items) != 1 || requests.Load() != 1 {
				t.Fatalf("%v, %v after %d requests", items, err, requests.Load())
			}
		})
	}
}

func TestS3KeepsTheEndpointsPathAndSignsForTheGivenRegion(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if path, _, _ := strings.Cut(r.RequestURI, "?"); path != "/base/bucket/k" || !strings.Contains(r.Header.Get("Authorization"), "/garage/s3/") {
			t.Errorf("%s, Authorization: %s", r.RequestURI, r.Header.Get("Authorization"))
		}
		io.WriteString(w, oneItem)
	})
	s := newS3(t, server, func(o *S3Options) { o.Endpoint += "/base"; o.Region = "garage" })
	if _, err := load(t.Context(), s, Location{"bucket", "k"}); err != nil {
		t.Fatal(err)
	}
}

func TestS3WithoutCredentialsSignsNothing(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if auth, ok := r.Header["Authorization"]; ok {
			t.Errorf("Authorization: %s", auth)
		}
		io.WriteString(w, oneItem)
	})
	s := newS3(t, server, func(o *S3Options) { o.AccessKeyID, o.SecretAccessKey = "", "" })
	if _, err := load(t.Context(), s, Location{"bucket", "k"}); err != nil {
		t.Fatal(err)
	}
}

// The buckets of these names make the SDK choose another kind of endpoint.
func TestS3ContactsOnlyTheEndpointForSpecialBuckets(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.RequestURI, "/") || !strings.HasPrefix(r.Host, "s3.test:") {
			t.Errorf("%s of %s", r.RequestURI, r.Host)
		}
		io.WriteString(w, oneItem)
	})
	s := newS3(t, server)
	for _, bucket := range []string{"b--usw2-az1--x-s3", "b--ol-s3", "x.mrap", "b.accesspoint", "b-s3alias", "B_C"} {
		_, err := load(t.Context(), s, Location{bucket, "k"})
		if err != nil && ReasonOf(err) != Unreadable {
			t.Errorf("%s: %v", bucket, err)
		}
	}
}

func TestS3FailuresAreUnreadable(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"403":            answer(403, `<Error><Code>AccessDenied</Code><Message>no</Message></Error>`),
		"404":            answer(404, `<Error><Code>NoSuchKey</Code><Message>no</Message></Error>`),
		"500":            answer(500, ``),
		"503, not XML":   answer(503, `busy`),
		"304":            answer(304, ``),
		"a long error":   func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(400); writeForever(w, r) },
		"cut connection": func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		"cut document": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(oneItem)))
			io.WriteString(w, oneItem[:10])
		},
		"cut document that looks whole": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(oneItem)+1))
			io.WriteString(w, oneItem)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, handler)
			if items, err := load(t.Context(), newS3(t, server), Location{"bucket", "k"}); err == nil || ReasonOf(err) != Unreadable {
				t.Fatalf("%v, %v", items, err)
			}
		})
	}
}

func writeForever(w http.ResponseWriter, r *http.Request) {
	block := []byte(strings.Repeat(" ", 32<<10))
	for {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

func TestS3StopsAtTheSizeLimit(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"data":[`)
		writeForever(w, r)
	})
	if _, err := load(t.Context(), newS3(t, server), Location{"bucket", "k"}); ReasonOf(err) != TooLarge {
		t.Fatal(err)
	}
}

func TestS3FollowsNoRedirect(t *testing.T) {
	var elsewhere atomic.Int32
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		elsewhere.Add(1)
		io.WriteString(w, oneItem)
	})
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{other.URL + "/bucket/k", "/bucket/other"} {
			var requests atomic.Int32
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				http.Redirect(w, r, location, status)
			})
			if _, err := load(t.Context(), newS3(t, server), Location{"bucket", "k"}); ReasonOf(err) != Unreadable || err == nil {
				t.Errorf("%d to %s: %v", status, location, err)
			}
			if requests.Load() != 1 || elsewhere.Load() != 0 {
				t.Errorf("%d to %s: %d requests, %d elsewhere", status, location, requests.Load(), elsewhere.Load())
			}
		}
	}
}

// The proxy variables of the environment do not apply.
func TestS3UsesNoProxy(t *testing.T) {
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("the proxy was asked for %s", r.RequestURI) })
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, oneItem) })
	if _, err := load(t.Context(), newS3(t, server), Location{"bucket", "k"}); err != nil {
		t.Fatal(err)
	}
}

func TestS3ResolvesOnceAndDialsThatAddress(t *testing.T) {
	var requests atomic.Int32
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			w.Header().Set("Connection", "close")
			w.WriteHeader(500)
			return
		}
		io.WriteString(w, oneItem)
	})
	resolved := 0
	s := newS3(t, server, func(o *S3Options) {
		o.MaxAttempts = 2
		o.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			if resolved++; host != "s3.test" || resolved > 1 {
				t.Errorf("resolved %s, time %d", host, resolved)
			}
			// The first address answers nobody; the second is tried next.
			return []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.1")}, nil
		}
	})
	if _, err := load(t.Context(), s, Location{"bucket", "k"}); err != nil || requests.Load() != 2 {
		t.Fatalf("%v after %d requests", err, requests.Load())
	}
}

func TestS3DialsNoOtherHost(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("contacted") })
	s := newS3(t, server)
	transport := s.transport([]netip.Addr{netip.MustParseAddr("127.0.0.1")})
	for _, address := range []string{"bucket.s3.test:" + s.port, "127.0.0.1:" + s.port, "s3.test:1", "s3.amazonaws.com:443"} {
		conn, err := transport.DialContext(t.Context(), "tcp", address)
		if err == nil {
			conn.Close()
			t.Errorf("dialled %s", address)
		}
	}
}

func TestS3NameThatDoesNotResolve(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("contacted") })
	for _, err := range []error{nil, &net.DNSError{Err: "no such host", Name: "s3.test"}} {
		s := newS3(t, server, func(o *S3Options) {
			o.Resolve = func(context.Context, string) ([]netip.Addr, error) { return nil, err }
		})
		if _, err := load(t.Context(), s, Location{"bucket", "k"}); err == nil || ReasonOf(err) != Unreadable {
			t.Error(err)
		}
	}
}

func TestS3ReadingEndsWithItsContext(t *testing.T) {
	late := errors.New("import took too long")
	release := make(chan struct{})
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"data":[`)
		w.(http.Flusher).Flush()
		<-release
	})
	defer close(release)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, late)
	defer cancel()
	if _, err := load(ctx, newS3(t, server), Location{"bucket", "k"}); ReasonOf(err) != Unreadable || !errors.Is(err, late) {
		t.Fatal(err)
	}
}

// The certificate is for the endpoint's name, not for the address dialled.
func TestS3ChecksTheCertificateOfTheEndpoint(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, oneItem) }))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate()) // for example.com
	for _, c := range []struct {
		name, host string
		config     *tls.Config
		ok         bool
	}{
		{"a trusted certificate of that name", "example.com", &tls.Config{RootCAs: roots}, true},
		{"another name", "s3.test", &tls.Config{RootCAs: roots}, false},
		{"an unknown issuer", "example.com", nil, false},
	} {
		s := newS3(t, server, func(o *S3Options) {
			o.TLS = c.config
			o.Endpoint = "https://" + c.host + ":" + strings.TrimPrefix(o.Endpoint, "http://s3.test:")
		})
		if _, err := load(t.Context(), s, Location{"bucket", "k"}); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestNewS3RefusesBadSettings(t *testing.T) {
	for name, o := range map[string]S3Options{
		"no endpoint":           {},
		"no scheme":             {Endpoint: "s3.example.com:9000"},
		"another scheme":        {Endpoint: "ftp://s3.example.com"},
		"no host":               {Endpoint: "http://"},
		"a user":                {Endpoint: "http://a:b@s3.example.com"},
		"a query":               {Endpoint: "http://s3.example.com/?x=1"},
		"a key without secret":  {Endpoint: "http://s3.example.com", AccessKeyID: "a"},
		"a secret without key":  {Endpoint: "http://s3.example.com", SecretAccessKey: "SECRET"},
		"a URL that is no URL":  {Endpoint: "http://[::1"},
		"a fragment":            {Endpoint: "http://s3.example.com/#x"},
		"a host that is a port": {Endpoint: "http://:9000"},
	} {
		if _, err := NewS3(o); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
