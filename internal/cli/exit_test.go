package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
)

func TestExitCodeOfAnAnswer(t *testing.T) {
	const stale = "Pre-Condition failed during update of Key-Value-Store"
	cases := []struct {
		status        int
		code, message string
		want          int
	}{
		{400, "ValidationException", stale, exitConflict},
		{409, "ConflictException", stale, exitConflict},
		{409, "ConflictException", "Key-Value-Store was not in expected state", exitConflict},
		{412, "PreconditionFailed", "", exitConflict},
		{400, "InvalidIfMatchVersion", "", exitConflict},
		{409, "EntityAlreadyExists", "", exitConflict},
		{409, "CannotDeleteEntityWhileInUse", "", exitConflict},
		{400, "ValidationException", "other", exitFailed},
		{403, "AccessDeniedException", "", exitAuth},
		{403, "SignatureDoesNotMatch", "", exitAuth},
		{400, "IncompleteSignature", "", exitAuth},
		{404, "ResourceNotFoundException", "", exitNotFound},
		{404, "EntityNotFound", "", exitNotFound},
		{402, "ServiceQuotaExceededException", "", exitQuota},
		{413, "EntitySizeLimitExceeded", "", exitQuota},
		{400, "EntityLimitExceeded", "", exitQuota},
		{429, "ThrottlingException", "", exitUnreachable},
		{400, "Throttling", "Rate exceeded", exitUnreachable},
		{503, "ServiceUnavailable", "", exitUnreachable},
		{500, "InternalServerException", "", exitFailed},
	}
	for _, c := range cases {
		if got := exitCodeOf(c.status, c.code, c.message); got != c.want {
			t.Errorf("%d %s %q: exit code %d, want %d", c.status, c.code, c.message, got, c.want)
		}
	}
}

func TestExitCodeOfOtherErrors(t *testing.T) {
	for want, err := range map[int]error{
		exitFailed:      errors.New("x"),
		exitQuota:       fmt.Errorf("wrapped: %w", codedError{exitQuota, errors.New("x")}),
		exitUnreachable: during(&net.OpError{Op: "dial", Err: errors.New("refused")}, "get key"),
	} {
		if got := exitCode(err); got != want {
			t.Errorf("%v: exit code %d, want %d", err, got, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr strings.Builder
	a := &app{stderr: &stderr}
	if got := a.exit(ctx, fmt.Errorf("x: %w", context.Cause(ctx))); got != exitInterrupted {
		t.Errorf("after a cancel: exit code %d", got)
	}
}

func TestErrorsNameTheActionAndTheAnswer(t *testing.T) {
	err := during(fmt.Errorf("operation error: %w", &smithy.GenericAPIError{Code: "EntityNotFound", Message: "no such store"}), "describe store %s", "demo")
	if got, want := explain(err), "describe store demo: EntityNotFound: no such store"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	err = during(&net.DNSError{Name: "nowhere.example", Err: "no such host"}, "list stores")
	if got := explain(err); !strings.HasPrefix(got, "list stores: cannot resolve nowhere.example") {
		t.Errorf("got %q", got)
	}
	err = during(fmt.Errorf("operation error: request send failed: %w", &tls.CertificateVerificationError{Err: errors.New("unknown authority")}), "list stores")
	if got := explain(err); !strings.HasPrefix(got, "list stores: tls: failed to verify certificate: unknown authority (for a certificate of your own, export AWS_CA_BUNDLE") {
		t.Errorf("got %q", got)
	}
}
