package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/smithy-go"
	"github.com/spf13/cobra"
)

// Exit codes. 3 is kept for commands that compare.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitConflict    = 4
	exitAuth        = 5
	exitNotFound    = 6
	exitQuota       = 7
	exitUnreachable = 8
	exitInterrupted = 130
)

const exitHelp = `Exit codes:
  0  done                     6  no such store, key or name
  1  failed                   7  a quota is exceeded
  2  wrong usage              8  unreachable, throttled or unavailable
  4  conflict: stale ETag,  130  interrupted
     name taken, in use
  5  not authenticated or
     not allowed`

// A usageError is a command line that cannot be run.
type usageError struct {
	cmd *cobra.Command
	err error
}

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(cmd *cobra.Command, format string, args ...any) error {
	return usageError{cmd, fmt.Errorf(format, args...)}
}

// A codedError is an error whose exit code its maker knows.
type codedError struct {
	code int
	err  error
}

func (e codedError) Error() string { return e.err.Error() }
func (e codedError) Unwrap() error { return e.err }

// exit prints err and returns the exit code for it.
func (a *app) exit(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.stderr, "popkv: interrupted")
		return exitInterrupted
	}
	fmt.Fprintln(a.stderr, "popkv: "+explain(err))
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(a.stderr, "Run `%s --help` for usage.\n", usage.cmd.CommandPath())
	}
	return exitCode(err)
}

func exitCode(err error) int {
	var (
		usage  usageError
		coded  codedError
		api    smithy.APIError
		answer interface{ HTTPStatusCode() int }
	)
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &api):
		status := 0
		if errors.As(err, &answer) {
			status = answer.HTTPStatusCode()
		}
		return exitCodeOf(status, api.ErrorCode(), api.ErrorMessage())
	case unreachable(err):
		return exitUnreachable
	}
	if code, ok := kindCode(err); ok {
		return code
	}
	return exitFailed
}

// exitCodeOf maps what a server answered. Both planes and the management API
// give one kind of failure different names, so the status decides where it can.
func exitCodeOf(status int, code, message string) int {
	switch {
	case isStale(code, message), code == "InvalidIfMatchVersion", status == http.StatusConflict:
		return exitConflict
	case strings.HasPrefix(code, "Throttl"), status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return exitUnreachable
	case status == http.StatusUnauthorized, status == http.StatusForbidden, strings.HasPrefix(code, "IncompleteSignature"):
		return exitAuth
	case status == http.StatusNotFound:
		return exitNotFound
	case status == http.StatusPaymentRequired, status == http.StatusRequestEntityTooLarge,
		code == "EntityLimitExceeded", code == "TooManyFunctions":
		return exitQuota
	}
	return exitFailed
}

// isStale reports whether an answer says that the ETag is not current. The
// data plane says so by this message, whether as ValidationException
// (observed) or as ConflictException (documented).
func isStale(code, message string) bool {
	return code == "PreconditionFailed" || strings.Contains(message, "Pre-Condition failed")
}

// unreachable reports whether err is a failure to talk to a server at all.
// (net.Error would not do: the errors of files satisfy it too.)
func unreachable(err error) bool {
	var (
		operation *net.OpError
		name      *net.DNSError
		request   *url.Error
	)
	return errors.As(err, &operation) && operation.Op != "listen" || errors.As(err, &name) || errors.As(err, &request) || errors.Is(err, context.DeadlineExceeded)
}

// explain turns err into one line: the server's own words where it answered,
// and the innermost cause where it could not be asked.
func explain(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return prefixOf(err) + api.ErrorCode() + ": " + api.ErrorMessage()
	}
	var dns *net.DNSError
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		return prefixOf(err) + certificate.Error() + " (for a certificate of your own, export AWS_CA_BUNDLE and SSL_CERT_FILE, both naming its CA)"
	case errors.As(err, &dns):
		return prefixOf(err) + "cannot resolve " + dns.Name + " (`popkv doctor` checks the way to the server)"
	case errors.As(err, &op) && op.Op == "dial":
		return prefixOf(err) + op.Error() + " (is the server running? `popkv doctor` checks the way to it)"
	}
	return err.Error()
}

// An actionError says what a command was doing, to which object.
type actionError struct {
	action string
	err    error
}

func (e actionError) Error() string { return e.action + ": " + e.err.Error() }
func (e actionError) Unwrap() error { return e.err }

// during names the action that err ended; it returns nil for nil.
func during(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return actionError{fmt.Sprintf(format, args...), err}
}

func prefixOf(err error) string {
	var action actionError
	if errors.As(err, &action) {
		return action.action + ": "
	}
	return ""
}
