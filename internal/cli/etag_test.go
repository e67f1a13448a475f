package cli

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/smithy-go"
)

// staleAfter is a store that another writer changes before each of our first n writes.
func TestWritesFollowTheETag(t *testing.T) {
	stale := &smithy.GenericAPIError{Code: "ValidationException", Message: "Pre-Condition failed during update of Key-Value-Store"}
	cases := []struct {
		name     string
		given    string
		others   int // how many of our writes another writer beats
		failure  error
		attempts int
		ok       bool
	}{
		{"the first write meets nobody", "", 0, nil, 1, true},
		{"another writer is faster twice", "", 2, nil, 3, true},
		{"other writers are always faster", "", 1000, nil, maxAttempts, false},
		{"an ETag that the user gave is not replaced", "KV1", 1000, nil, 1, false},
		{"another failure is not retried", "", 0, errors.New("x"), 1, false},
		{"a store in the wrong state is not retried", "", 0, &smithy.GenericAPIError{Code: "ConflictException", Message: "Key-Value-Store was not in expected state"}, 1, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := &app{pause: func(ctx context.Context, _ int) error { return ctx.Err() }}
			attempts := 0
			err := a.withETag(t.Context(), c.given, func() (string, error) { return "KV2", nil }, func(etag string) error {
				attempts++
				if want := c.given; want != "" && etag != want || want == "" && etag != "KV2" {
					t.Errorf("wrote with ETag %s", etag)
				}
				if attempts <= c.others {
					return stale
				}
				return c.failure
			})
			if attempts != c.attempts || (err == nil) != c.ok {
				t.Errorf("%d attempts, error %v", attempts, err)
			}
		})
	}
}

func TestWaitingBetweenAttemptsEndsWithTheCommand(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := jitter(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
