package popkv

import (
	"errors"
	"fmt"
)

// A Kind says what went wrong in the domain's own words. Each wire has one
// table from kinds to its own status and error name; a test proves both
// tables complete.
type Kind int

// The kinds of failure. Unless said otherwise nothing was changed.
const (
	Internal             Kind = iota // a bug in popkv; the cause is logged, not shown
	Invalid                          // the request breaks a rule of the model
	Malformed                        // the body or path cannot be read (JSON, XML, UTF-8)
	UnknownOperation                 // no such route
	UnsupportedMediaType             // the body's declared type is not the protocol's
	NotAcceptable                    // the client refuses the protocol's type
	TooLarge                         // the body is longer than any valid request
	KeyNotFound                      // the store has no such key
	StoreNotFound                    // no such store
	FunctionNotFound                 // no such function, or no such stage of it
	ResourceNotFound                 // an ARN given to the tagging calls names nothing
	StoreExists                      // the account has a store of that name
	FunctionExists                   // the account has a function of that name
	WrongState                       // deleted, provisioning or failed store
	StaleETag                        // If-Match is not the current ETag
	BadETag                          // If-Match is missing or cannot be an ETag
	StoreInUse                       // a function names the store
	FunctionInUse                    // an edge route names the function
	ItemQuota                        // a quota of the data plane
	StoreCountQuota                  // too many stores in the account
	FunctionCountQuota               // too many functions in the account
	FunctionSizeQuota                // the code is too long
	ImportSizeQuota                  // the import document is known to be too long
	Throttled                        // too many requests
	InvalidTag                       // a tag breaks a rule
	Unsupported                      // this server is not set up for that
	TestFailed                       // TestFunction could not run the function at all
	Denied                           // a policy, or the lack of one, refuses
	NoCredentials                    // the request carries none
	BadAuthorization                 // the credentials cannot be parsed
	BadScope                         // clock or credential scope
	Unauthenticated                  // unknown key, wrong signature, bad token: not told apart
	Unavailable                      // storage refuses or cannot say; the outcome may be unknown
	kinds                            // count, not a kind
)

// Kinds returns every kind, for tables that must be complete.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// An Error is a failure in the domain. Message may be shown to the client: it
// never holds paths, other stores' keys, values or secrets. The wrapped cause
// is for the log.
type Error struct {
	Kind    Kind
	Message string
	Err     error
}

// Error returns the message and, for the log, the cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an [Error] without a cause; use [Wrap] to attach one.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an [Error] that shows message to the client and keeps cause for
// the log.
func Wrap(kind Kind, cause error, message string) *Error {
	return &Error{Kind: kind, Message: message, Err: cause}
}

// KindOf returns the kind of the first [Error] in err's chain, and Internal
// for anything else.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Message returns what a client may be told about err: the text of the first
// [Error] in its chain, or a plain sentence for anything else.
func Message(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Message
	}
	return "internal error"
}
