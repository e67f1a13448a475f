package journal

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// An attempt is a transaction with what is needed to learn its outcome after
// an answer was lost: it guards at least one key that it also changes, so it
// applies at most once however often it is sent, and each value it puts
// carries its stamp.
type attempt struct {
	txn   Txn
	stamp id128
}

// errInDoubt: the attempt may have been applied, or may be later.
var errInDoubt = errors.New("the outcome could not be learned")

// resends is how often an attempt is sent again before its outcome stays open;
// resendPause is the first pause, and each is twice the one before.
const (
	resends     = 4
	resendPause = 5 * time.Millisecond
)

// settle commits a and returns only when its outcome is known, or cannot be
// learned now.
//
//	nil          applied at the returned revision
//	ErrGuard     not applied, and never will be
//	ErrRefused   the same; the driver takes no writes
//	errInDoubt   unknown, and it may still land: call resettle later
//
// A lost answer is resolved by sending the same transaction again under the
// same guards. That is its own fence: if it is applied now, the earlier one
// cannot be, since the guard has moved; if a guard does not hold, either the
// earlier one was applied, which the stamps tell, or it never will be. A plain
// read would not do: the old state may be read and the commit land later.
//
// The end of ctx does not end the wait for the driver: a client that hangs up
// would else leave its store in doubt.
func (j *Journal) settle(ctx context.Context, a attempt) (Rev, error) {
	rev, err := j.send(ctx, a.txn)
	if err == nil || errors.Is(err, ErrGuard) || errors.Is(err, ErrRefused) {
		return rev, err
	}
	return j.resettle(ctx, a, err, resends)
}

// resettle goes on where settle left off: cause is the last unknown answer,
// tries how often to send again.
func (j *Journal) resettle(ctx context.Context, a attempt, cause error, tries int) (Rev, error) {
	pause := resendPause
	for n := range tries {
		if errors.Is(cause, ErrFailed) {
			break
		}
		if n > 0 {
			sleep(ctx, pause)
			pause *= 2
		}
		rev, err := j.send(ctx, a.txn)
		if errors.Is(err, ErrGuard) {
			rev, err = j.evidence(ctx, a)
		}
		if err == nil || errors.Is(err, ErrGuard) {
			j.count.resolved.Add(1)
			return rev, err
		}
		cause = err // even a refusal: it says nothing of the earlier try
	}
	return 0, fmt.Errorf("%w: %w", errInDoubt, cause)
}

// evidence looks for the attempt's stamp after one of its guards did not hold.
// All its values were put at one revision, so any of them tells it.
func (j *Journal) evidence(ctx context.Context, a attempt) (Rev, error) {
	view, err := j.drv.View(ctx)
	if err != nil {
		return 0, err
	}
	defer view.Close()
	for _, op := range a.txn.Ops {
		if op.Kind != Put {
			continue
		}
		value, rev, err := view.Get(op.Key)
		if err != nil {
			return 0, err
		}
		if rev == 0 {
			continue
		}
		stamp, _, problem := unseal(op.Key, value)
		if problem != "" {
			return 0, damaged(op.Key, problem)
		}
		if stamp == a.stamp {
			return rev, nil
		}
	}
	return 0, ErrGuard
}

// send is one call of the driver, which does not end with the client.
func (j *Journal) send(ctx context.Context, t Txn) (Rev, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), j.o.CommitWait)
	defer cancel()
	return j.drv.Commit(ctx, t)
}

// sleep pauses, or returns early when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
