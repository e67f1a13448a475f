package server

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
)

// oddities are requests of every plane whose paths, methods, hosts and users
// are n's own.
func oddities(t *testing.T, s *Server, path string, n int) {
	t.Helper()
	unique := fmt.Sprint("x", n)
	by := access.Credentials{AccessKeyID: "AKIA" + unique, Secret: popkv.NewSecret("s")}
	for _, m := range []message{
		{target: path + "/keys/" + unique},
		{target: path + "/keys/" + unique, by: by},
		{target: path + "/" + unique},
		{target: "/key-value-stores/" + unique},
		{target: "/key-value-stores/arn:aws:cloudfront::" + account + ":key-value-store/" + popkv.NewStoreID().String()},
		{target: "/" + unique},
		{target: path, method: "M" + strings.ToUpper(unique)},
		{target: path, host: unique + ".example.com"},
		{target: "/2020-05-31/key-value-store/" + unique, service: "cloudfront"},
		{target: "/2020-05-31/" + unique, service: "cloudfront"},
		{target: "/?Action=" + unique, service: "sts", method: "POST"},
		{target: "/popkv/v1/users/" + unique + "/policies", service: "popkv"},
		{target: "/popkv/v1/" + unique, service: "popkv"},
		{target: "/popkv/v1/access-keys/" + unique, service: "popkv", method: "DELETE"},
	} {
		send(t, s, m)
	}
}

// series returns how many time series there are, and the values of all labels.
func series(t *testing.T, s *Server) (count int, values []string) {
	t.Helper()
	families, err := s.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		count += len(f.GetMetric())
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				values = append(values, l.GetName()+"="+l.GetValue())
			}
		}
	}
	slices.Sort(values)
	return count, slices.Compact(values)
}

func TestClientsCannotMakeNewSeries(t *testing.T) {
	s := start(t, nil)
	_, path := newStore(t, s, "s", noItems)
	oddities(t, s, path, 0)
	count, values := series(t, s)
	for n := range 10 {
		oddities(t, s, path, n+1)
	}
	again, valuesAgain := series(t, s)
	if diff := cmp.Diff(values, valuesAgain); diff != "" || again != count {
		t.Errorf("%d series, then %d: %s", count, again, diff)
	}
	for _, v := range values {
		if name, _, _ := strings.Cut(v, "="); !slices.Contains([]string{"plane", "operation", "status", "outcome", "version", "quantile", "le"}, name) {
			t.Errorf("label %s", v)
		}
	}
}

// One line tells who did what with which outcome.
func TestTheRequestLog(t *testing.T) {
	log := &journalist{}
	s, _ := startWith(t, nil, Options{Logger: log.logger(slog.LevelInfo)})
	arn, path := newStore(t, s, "s", noItems)
	etag := popkv.DataETag(1)
	for _, m := range []message{
		{method: "PUT", target: path + "/keys/a-key-name", body: `{"Value":"v"}`, header: map[string]string{"If-Match": etag, "Content-Type": "application/json"}},
		{method: "PUT", target: path + "/keys/a-key-name", body: `{"Value":"w"}`, header: map[string]string{"If-Match": etag, "Content-Type": "application/json"}},
		{target: path + "/keys/another-key-name"},
		{target: "/2020-05-31/key-value-store/s", service: "cloudfront"},
		{target: "/popkv/v1/access-keys", service: "popkv"},
		{target: path, by: access.Credentials{AccessKeyID: "AKIANONE", Secret: popkv.NewSecret("s")}},
	} {
		send(t, s, m)
	}
	var got []string
	for line := range strings.Lines(log.String()) {
		var l struct {
			Level, Msg, Plane, Operation, Principal, Resource, Error, Remote string
			Status                                                           int
			ID                                                               string   `json:"request_id"`
			Key                                                              string   `json:"access_key_id"`
			Duration                                                         *float64 `json:"duration_ms"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.ID == "" || l.Duration == nil || l.Remote == "" || l.Msg != "request" {
			t.Errorf("line %s", line)
		}
		if strings.Contains(line, "key-name") {
			t.Errorf("a key's name: %s", line)
		}
		got = append(got, strings.Join([]string{l.Level, l.Plane, l.Operation, fmt.Sprint(l.Status), l.Principal, l.Key, l.Resource}, " "))
	}
	id := arn[strings.LastIndex(arn, "/")+1:]
	const root = "arn:aws:iam::000000000000:root test"
	want := []string{
		"INFO data PutKey 200 " + root + " " + id,
		"INFO data PutKey 400 " + root + " " + id,
		"INFO data GetKey 404 " + root + " " + id,
		"INFO control DescribeKeyValueStore 200 " + root + " s",
		"INFO management ListAccessKeys 200 " + root + " ",
		"INFO data unknown 403   ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A client that hangs up is no failure of the server: it must not raise an
// alarm.
func TestAClientThatHasGoneIsNoServerError(t *testing.T) {
	log := &journalist{}
	s, _ := startWith(t, nil, Options{Logger: log.logger(slog.LevelInfo)})
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	interrupted := popkv.Wrap(popkv.Unavailable, context.Canceled, "timed out waiting for earlier writes")
	for want, c := range map[string]struct {
		ctx context.Context
		err error
	}{
		`"level":"INFO".*"status":499`:  {gone, interrupted},
		`"level":"ERROR".*"status":500`: {t.Context(), interrupted},
		`"level":"ERROR".*"status":503`: {gone, popkv.Errorf(popkv.Unavailable, "the disk is full")},
	} {
		status, _ := strconv.Atoi(want[len(want)-3:])
		if status == statusClientGone {
			status = http.StatusInternalServerError
		}
		before := len(log.String())
		s.record(httptest.NewRequest("PUT", "/", nil).WithContext(c.ctx), seen{plane: "data", operation: "PutKey", status: status, err: c.err})
		if line := log.String()[before:]; !regexp.MustCompile(want).MatchString(line) {
			t.Errorf("logged %s, want %s", line, want)
		}
	}
	if _, labels := series(t, s); !slices.Contains(labels, "status=499") {
		t.Errorf("the metrics do not count it: %v", labels)
	}
}
