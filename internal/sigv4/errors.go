package sigv4

import "errors"

// A Reason says why a request was refused.
type Reason uint8

// The reasons. Every wire has its own name for each.
const (
	NoCredentials    Reason = iota // the request carries none
	BadAuthorization               // the credentials, or what they need, cannot be read
	BadScope                       // clock, credential scope or region set
	BadPath                        // a path with a dot or empty segment
	Unauthenticated                // unknown key, wrong signature, wrong token: not told apart
)

// An Error is a refusal. Message may be shown to the client: it holds nothing
// that came with the request except names of headers.
type Error struct {
	Reason  Reason
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// ReasonOf returns the reason of the first [Error] in err's chain, and
// Unauthenticated for any other error.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return Unauthenticated
}

func bad(message string) error      { return &Error{BadAuthorization, message} }
func badScope(message string) error { return &Error{BadScope, message} }
func unauthenticated() error        { return &Error{Unauthenticated, "Authentication failed"} }
