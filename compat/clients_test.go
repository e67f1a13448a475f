package compat

import (
	"fmt"
	"os"
	"testing"
)

// A client is one real AWS client, driven one call at a time. Parameters and
// outputs use the member names of the service model, and blobs are base64, so
// that one table of expectations serves every client.
type client interface {
	call(t *testing.T, service, operation string, parameters map[string]any) answer
}

// An answer is what the client made of a response.
type answer struct {
	Output map[string]any `json:"output"`
	Error  *apiError      `json:"error"`
}

type apiError struct {
	Code    string `json:"code"`
	Status  int    `json:"status"` // 0 where the client does not tell
	Message string `json:"message"`
	Class   string `json:"class"` // the client's own type, where it has one
}

// The services.
const (
	dataPlane    = "cloudfront-keyvaluestore"
	controlPlane = "cloudfront"
	sts          = "sts"
)

// A target is what a client calls, and how.
type target struct {
	Port int         `json:"port"`
	Key  credentials `json:"key"`
	// Plain is set for boto3's plain SigV4 instead of SigV4A on the data plane.
	Plain bool `json:"plain"`
	// Way is how the client gets past the account label in front of the
	// endpoint's host; "" is the one that docs/guide/clients.md puts first.
	Way string `json:"way"`
}

// credentials are what a client signs with.
type credentials struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
	Token  string `json:"token"`
}

// A kind is one of the clients that every test runs with.
type kind struct {
	name  string
	start func(t *testing.T, to target) client
}

func kinds() []kind {
	return []kind{
		{"aws-sdk-go-v2", newGoSDK},
		{"boto3 SigV4A", boto3},
		{"boto3 plain SigV4", func(t *testing.T, to target) client {
			to.Plain = true
			return boto3(t, to)
		}},
		{"JavaScript SDK v3", javascript},
		{"AWS CLI", commandLine},
	}
}

// eachClient runs the test once with every real client of this machine, all at
// the same time, and returns when they are done.
func eachClient(t *testing.T, s *server, key credentials, test func(t *testing.T, c client)) {
	t.Run("with", func(t *testing.T) {
		for _, k := range kinds() {
			t.Run(k.name, func(t *testing.T) {
				t.Parallel()
				test(t, k.start(t, s.target(key)))
			})
		}
	})
}

func mustCall(t *testing.T, c client, service, operation string, parameters map[string]any) map[string]any {
	t.Helper()
	a := c.call(t, service, operation, parameters)
	if a.Error != nil {
		t.Fatalf("%s: %+v", operation, *a.Error)
	}
	return a.Output
}

// notRun records by name what could not run, for the summary of make test-all,
// and skips the test.
func notRun(t *testing.T, what, why string) {
	t.Helper()
	if file := os.Getenv("POPKV_NOT_RUN"); file != "" {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(f, "%s: %s (%s)\n", t.Name(), what, why)
		f.Close()
	}
	t.Skipf("%s did not run: %s", what, why)
}
