package journal

import (
	"errors"
	"fmt"

	"github.com/popkv/popkv"
)

// Damage is stored data that is not what was written: an error names the
// record, and nothing of it is ever served.
type Damage struct {
	Record  string // its key, with numbers in decimal; it begins with the kind and the store
	Problem string
	key     string
}

// Error names the record and what is wrong with it.
func (d *Damage) Error() string { return "damaged record " + d.Record + ": " + d.Problem }

// damaged is a [Damage] as callers get it. The client learns that the data is
// damaged, the log which record and how.
func damaged(key, problem string) error {
	return popkv.Wrap(popkv.Internal, &Damage{keyText(key), problem, key},
		"stored data is damaged: run popkv verify")
}

func isDamage(err error) bool {
	var d *Damage
	return errors.As(err, &d)
}

func storeNotFound() error {
	return popkv.Errorf(popkv.StoreNotFound, "Key-Value-Store not found")
}

func wrongState() error {
	return popkv.Errorf(popkv.WrongState, "Key-Value-Store was not in expected state")
}

// unavailable tells a client plainly what a driver's answer means for it.
func unavailable(cause error) error {
	var e *popkv.Error
	if errors.As(cause, &e) {
		return cause
	}
	message := "storage did not answer in time: whether the change was made is unknown"
	switch {
	case errors.Is(cause, errInDoubt) && errors.Is(cause, ErrFailed):
		message = "storage has failed: whether the change was made is unknown until the server is restarted"
	case errors.Is(cause, errInDoubt):
	case errors.Is(cause, ErrRefused):
		message = "storage refuses writes (full, sealed or overloaded): nothing was changed"
	case errors.Is(cause, ErrGuard):
		message = "too many concurrent changes: nothing was changed, try again"
	case errors.Is(cause, ErrFailed):
		message = "storage has failed: the server must be restarted"
	}
	return popkv.Wrap(popkv.Unavailable, cause, message)
}

// unreadable is for a view that could not be had or read.
func unreadable(cause error) error {
	var e *popkv.Error
	if errors.As(cause, &e) {
		return cause
	}
	return popkv.Wrap(popkv.Unavailable, cause, "storage cannot be read")
}

var errClosed = fmt.Errorf("%w: the journal is closed", ErrRefused)
