package controlplane

import (
	"context"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// A Runner runs functions for TestFunction.
type Runner interface {
	// Run runs one function against one event. A function that does not load,
	// throws, runs too long or returns something invalid is a result with an
	// ErrorMessage. An error means that it was not run: [popkv.Invalid] for an
	// event that is none; anything else is reported as [popkv.TestFailed].
	Run(ctx context.Context, r FunctionRun) (FunctionResult, error)
}

// A FunctionRun is what a [Runner] is to run.
type FunctionRun struct {
	Code    []byte
	Runtime string        // Runtime1 or Runtime2
	Event   []byte        // JSON
	Store   *journal.Head // the one version that the function reads; nil without association
}

// A FunctionResult is what a run came to.
type FunctionResult struct {
	Output             string   // JSON; empty if the function failed
	Logs               []string // lines of console.log
	ErrorMessage       string   // empty unless the function failed
	ComputeUtilization int      // percent, 0 to 100
}

// TestFunction runs a stage of a function against an event. ifMatch must be the
// ETag of that stage; one that is not current is [popkv.BadETag], because
// TestFunction has no error of its own for it (assumed).
//
// Failures, in order: [popkv.Invalid], [popkv.FunctionNotFound],
// [popkv.BadETag], [popkv.Unsupported] (nothing runs functions here),
// [popkv.Invalid] (the event), [popkv.TestFailed].
//
// Source: CloudFront TestFunction (documented).
func (s *Service) TestFunction(ctx context.Context, t Target, ifMatch string, stage Stage, event []byte) (Function, FunctionResult, error) {
	if len(event) > maxEvent {
		return Function{}, FunctionResult{}, popkv.Errorf(popkv.Invalid, "the EventObject is longer than %d bytes", maxEvent)
	}
	var tested Function
	var c code
	err := s.j.Catalog(ctx, func(tx *journal.Tx) error {
		f, err := t.function(tx)
		if err != nil {
			return err
		}
		if f.at(stage) == nil {
			return noSuchFunction()
		}
		c = *f.at(stage)
		if err := c.matches(ifMatch); err != nil {
			return popkv.Wrap(popkv.BadETag, err, "the If-Match value is not the ETag of the stage")
		}
		tested, err = s.showFunction(tx, t.ARN.Account, t.Name, f, stage)
		return err
	})
	if err != nil {
		return Function{}, FunctionResult{}, err
	}
	result, err := s.run(ctx, c, event)
	return tested, result, err
}

func (s *Service) run(ctx context.Context, c code, event []byte) (FunctionResult, error) {
	if s.o.Runner == nil {
		return FunctionResult{}, popkv.Errorf(popkv.Unsupported, "this server runs no functions")
	}
	r := FunctionRun{Code: c.Code, Runtime: c.Runtime, Event: event}
	if id, ok := popkv.ParseStoreID(c.Store); ok {
		head, err := s.j.Head(ctx, id)
		if err != nil {
			return FunctionResult{}, popkv.Wrap(popkv.TestFailed, err, "the function's key value store cannot be read")
		}
		r.Store = head
	}
	result, err := s.o.Runner.Run(ctx, r)
	if err != nil && popkv.KindOf(err) != popkv.Invalid {
		err = popkv.Wrap(popkv.TestFailed, err, "the function could not be run")
	}
	return result, err
}
