package s3import

import (
	"errors"
	"fmt"
)

// A Reason is the sentence that a failed store shows as its FailureReason.
type Reason string

// Every reason. The first is documented (an example of the service model), the
// others are assumed.
const (
	TooLarge      Reason = "Datasource size exceeds the allowed limit"
	NotJSON       Reason = "Datasource is not valid JSON"
	DuplicateKeys Reason = "Datasource contains duplicate keys"
	ItemTooLarge  Reason = "Datasource contains a key or value that exceeds the allowed size"
	Unreadable    Reason = "Datasource could not be read"
)

// A Failure says why a document cannot be imported. Reason may be shown to the
// client; Offset and Err are for the log and hold no keys and no values.
type Failure struct {
	Reason Reason
	Offset int64 // bytes into the document, -1 where that means nothing
	Err    error // nil where the reason says it all
}

// Error returns the reason, the place and the cause.
func (f *Failure) Error() string {
	s := string(f.Reason)
	if f.Offset >= 0 {
		s = fmt.Sprintf("%s at byte %d", s, f.Offset)
	}
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// ReasonOf returns the reason of the first [Failure] in err's chain, and
// Unreadable for anything else.
func ReasonOf(err error) Reason {
	var f *Failure
	if errors.As(err, &f) {
		return f.Reason
	}
	return Unreadable
}

func fail(reason Reason, offset int64, err error) error {
	return &Failure{Reason: reason, Offset: offset, Err: err}
}
