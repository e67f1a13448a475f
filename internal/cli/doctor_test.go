package cli

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func doctorFor(t *testing.T, endpoint string) *doctor {
	t.Helper()
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return &doctor{server: localServer{endpoint: u, account: "000000000000"}, hosts: "/etc/hosts", now: time.Now}
}

func TestDoctorLooksAtTheServersAnswer(t *testing.T) {
	cases := []struct {
		name        string
		requestID   string
		clock       time.Duration
		port, shift status
	}{
		{"popkv with the same clock", "id", 0, fine, fine},
		{"popkv two minutes apart", "id", -2 * time.Minute, fine, warning},
		{"popkv an hour ahead", "id", time.Hour, fine, problem},
		{"another program", "", 0, problem, skipped},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.requestID != "" {
					w.Header().Set("x-amzn-RequestId", c.requestID)
				}
				w.Header().Set("Date", time.Now().Add(c.clock).UTC().Format(http.TimeFormat))
				w.WriteHeader(http.StatusForbidden)
			}))
			defer server.Close()
			got := map[string]status{}
			for _, r := range doctorFor(t, server.URL).checkServer(t.Context()) {
				got[r.Check] = r.Status
				if r.Status == problem && r.Mend == "" {
					t.Errorf("%s has a problem and no line that mends it", r.Check)
				}
			}
			if diff := cmp.Diff(map[string]status{"server": c.port, "clock": c.shift}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDoctorWithoutAServer(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	rows := doctorFor(t, server.URL).checkServer(t.Context())
	if rows[0].Status != problem || rows[0].Mend != "popkv dev" || rows[1].Status != skipped {
		t.Errorf("got %+v", rows)
	}
}

func TestDoctorKnowsThatAnAddressTakesNoLabel(t *testing.T) {
	got := doctorFor(t, "http://127.0.0.1:8080").checkName(t.Context())
	if got.Status != problem || got.Mend != "export POPKV_ENDPOINT=http://localhost:8080" {
		t.Errorf("got %+v", got)
	}
}

func TestOverlayRemovesAndReplaces(t *testing.T) {
	got := overlay([]string{"A=1", "B=2", "AB=3"}, []string{"A=", "B=4", "C=5"})
	if diff := cmp.Diff([]string{"AB=3", "B=4", "C=5"}, got); diff != "" {
		t.Error(diff)
	}
}
