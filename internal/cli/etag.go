package cli

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/aws/smithy-go"
)

// maxAttempts bounds how often a write is tried when others keep changing the
// store between our read of its ETag and our write.
const maxAttempts = 8

// withETag runs write with the ETag it needs: the one that the user gave, or
// the current one, read again and retried when another writer was faster.
func (a *app) withETag(ctx context.Context, given string, current func() (string, error), write func(etag string) error) error {
	if given != "" {
		return write(given)
	}
	for attempt := 1; ; attempt++ {
		etag, err := current()
		if err != nil {
			return err
		}
		err = write(etag)
		var api smithy.APIError
		if !errors.As(err, &api) || !isStale(api.ErrorCode(), api.ErrorMessage()) || attempt == maxAttempts {
			return err
		}
		if err := a.pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// jitter waits 25 to 75 ms after the first attempt and up to eight times that
// later, so that writers who met once do not meet again.
func jitter(ctx context.Context, attempt int) error {
	base := 25 * time.Millisecond << min(attempt-1, 3)
	timer := time.NewTimer(base + rand.N(2*base))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
