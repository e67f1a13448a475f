package kvsapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
)

// openGate admits everyone as root at no cost, so that what is measured is the
// wire and the rules alone.
type openGate struct{ admission access.Admission }

func (g openGate) Admit(r *http.Request, _ string, _ int64) (*access.Admission, error) {
	a := g.admission
	a.Caller = popkv.Caller{Account: account, User: popkv.RootUser}
	a.Path, a.Query, _ = strings.Cut(r.RequestURI, "?")
	if r.Body != nil {
		a.Body, _ = io.ReadAll(r.Body)
	}
	return &a, nil
}

func (openGate) Authorize(context.Context, *access.Admission, string, string, func() (map[string]string, error)) error {
	return nil
}

// discard is a response that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) WriteHeader(int)             {}
func (d discard) Write(b []byte) (int, error) { return len(b), nil }

// benchGet measures GetKey without net/http and without verification.
func benchGet(b *testing.B, key, value string) {
	r := newRig(b, drivers()["memjournal"], rigOptions{limits: popkv.DefaultLimits()})
	id := r.store(b, account, popkv.Ready, "")
	target, err := r.rules.Open(popkv.Caller{Account: account, User: popkv.RootUser}, popkv.StoreARN(account, id))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := r.rules.Put(context.Background(), target, key, value, popkv.DataETag(1)); err != nil {
		b.Fatal(err)
	}
	h := New(r.rules, openGate{}, Options{Limits: popkv.DefaultLimits()})
	path := PathPrefix + strings.NewReplacer(":", "%3A", "/", "%2F").Replace(target.ARN().String()) + "/keys/" + escape(key)
	request := &http.Request{Method: "GET", RequestURI: path, Header: http.Header{}}
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, request)
	}
}

func BenchmarkGetKey(b *testing.B) {
	b.Run("plain", func(b *testing.B) { benchGet(b, "country/de", strings.Repeat("v", 100)) })
	b.Run("escaped-1KiB", func(b *testing.B) { benchGet(b, "a/b c%+é", strings.Repeat("x", 1000)+`"\`+"\n") })
}

func BenchmarkReadPut(b *testing.B) {
	body := []byte(`{"Value":"` + strings.Repeat("v", 100) + `"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readPut(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadUpdate(b *testing.B) {
	var items []string
	for i := range 50 {
		items = append(items, fmt.Sprintf(`{"Key":"key %d","Value":"value %d"}`, i, i))
	}
	body := []byte(`{"Puts":[` + strings.Join(items, ",") + `]}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, _, err := readUpdate(body); err != nil {
			b.Fatal(err)
		}
	}
}
