package cfjs

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/grafana/sobek"
	"github.com/popkv/popkv"
)

// Run runs the function once, in a VM of its own. store is the associated
// store, nil without one. A function that fails is not an error: the result
// says what it did. The error is ctx's cause, or of kind [popkv.Internal] for
// a defect of this package.
//
// Run blocks until the function ends or is stopped. A function that is slow is
// run again, with its processor time measured, and one that may have been wronged
// by having to wait, too, so store may be asked several times for the same; see
// [Options.Thread].
func (p *Program) Run(ctx context.Context, event *Event, store Store, options Options) (Result, error) {
	result, err := p.runOnce(ctx, event, store, &options)
	for range options.Repeat {
		if err != nil || result.Failure != NoFailure || result.CPU > maxRepeated {
			break
		}
		again, repeatErr := p.runOnce(ctx, event, store, &options)
		if repeatErr != nil {
			return result, repeatErr
		}
		if again.CPU < result.CPU {
			result.CPU, result.ComputeUtilization = again.CPU, again.ComputeUtilization
		}
	}
	return result, err
}

// maxRepeated is the time above which it makes no difference that a run was the
// first.
const maxRepeated = 5 * time.Millisecond

func (p *Program) runOnce(ctx context.Context, event *Event, store Store, options *Options) (Result, error) {
	if p.fault != nil {
		return executionError(p.fault.Error()), nil
	}
	if err := ctx.Err(); err != nil {
		return Result{}, context.Cause(ctx)
	}
	o := options.withDefaults()
	if o.Thread == nil {
		result, err := p.runWatched(ctx, event, store, &o, time.Now())
		if err != errSlow {
			return result, err
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread := CurrentThread()
		o.Thread = &thread
	}
	for began := time.Now(); ; {
		result, err := p.runWatched(ctx, event, store, &o, began)
		if err != errWaited {
			return result, err
		}
	}
}

// runWatched runs the function once. began is when its first such run did.
func (p *Program) runWatched(ctx context.Context, event *Event, store Store, o *Options, began time.Time) (Result, error) {
	inv := &invocation{vm: sobek.New(), program: p, event: event, store: store, options: o}
	w := startWatch(ctx, inv, began)
	result, err := inv.run()
	result.Charge(w.stop()-inv.reading, o.Budget)
	result.Logs = inv.log.lines
	result.Origin = inv.origin
	if err == nil && p.features.regexps && time.Since(w.start) >= o.patience {
		// A regular expression may have given up and said "no match".
		switch {
		case o.Thread == nil:
			err = errSlow
		case result.CPU >= regexpPatience || time.Since(began) >= o.WallLimit:
			err = errExceeded
		default:
			err = errWaited
		}
	}
	if err == nil {
		return result, nil
	}
	return inv.stopped(result, err)
}

// stopped turns the error of a run that did not end by itself into a result.
func (inv *invocation) stopped(r Result, err error) (Result, error) {
	failed := Result{CPU: r.CPU, Logs: r.Logs, Failure: ExecutionError, ComputeUtilization: r.ComputeUtilization}
	var overflow *sobek.StackOverflowError
	switch {
	case errors.Is(err, errExceeded):
		failed.Exceeded = true
		failed.ComputeUtilization = 100
		failed.ErrorMessage = errCouldNotRun + "Error: execution exceeded the time or memory limit"
	case errors.As(err, &overflow):
		failed.ErrorMessage = errCouldNotRun + "RangeError: Maximum call stack size exceeded"
	case errors.Is(err, errDefect):
		if log := inv.options.Logger; log != nil {
			log.Error("function runtime defect", "error", err)
		}
		return Result{}, popkv.Wrap(popkv.Internal, err, "the function runtime failed")
	default:
		return Result{}, err // errSlow, errWaited, or the context's cause
	}
	return failed, nil
}

// errDefect marks a panic of the engine or of this package.
var errDefect = errors.New("panic in the function runtime")

// run executes the program and reads its result. The error is for runs that
// were stopped; a function's own failure is part of the result.
func (inv *invocation) run() (r Result, err error) {
	defer func() {
		if v := recover(); v != nil {
			r, err = Result{}, inv.recovered(v)
		}
	}()
	value, err := inv.call()
	if err == nil {
		value, err = settled(value)
	}
	if err == nil && inv.originFault != "" {
		return Result{Failure: ValidationError, ErrorMessage: inv.originFault}, nil
	}
	if err == nil {
		return inv.readResult(value), nil
	}
	switch err := err.(type) {
	case *sobek.Exception:
		return executionError(inv.describe(err.Value())), nil
	case *rejectedError:
		return executionError(inv.describe(err.reason)), nil
	case *runError:
		return executionError(err.text), nil
	}
	return Result{}, interruptCause(err)
}

// A rejectedError is the reason of the promise that a handler returned.
type rejectedError struct{ reason sobek.Value }

func (e *rejectedError) Error() string { return "promise rejected" }

// recovered makes an error of a panic. The engine panics with its own kinds
// where a value is read from outside a running function.
func (inv *invocation) recovered(v any) error {
	if err, ok := v.(error); ok {
		var interrupted *sobek.InterruptedError
		var overflow *sobek.StackOverflowError
		if errors.As(err, &interrupted) || errors.As(err, &overflow) {
			return interruptCause(err)
		}
	}
	return fmt.Errorf("%w: %v\n%s", errDefect, v, debug.Stack())
}

func interruptCause(err error) error {
	var interrupted *sobek.InterruptedError
	if errors.As(err, &interrupted) {
		if cause, ok := interrupted.Value().(error); ok {
			return cause
		}
	}
	return err
}

// A runError is a failure of the function that the engine has no exception for.
type runError struct{ text string }

func (e *runError) Error() string { return e.text }

// call runs the top level and then the handler. Promise jobs are done when it
// returns.
func (inv *invocation) call() (sobek.Value, error) {
	wrapper, err := inv.vm.RunProgram(inv.program.compiled)
	if err != nil {
		return nil, err
	}
	inv.wrapper = wrapper.(*sobek.Object)
	inv.prepare()
	top, _ := sobek.AssertFunction(wrapper)
	handler, err := top(inv.vm.GlobalObject(), inv.arguments()...)
	if err != nil {
		return nil, err
	}
	handle, ok := sobek.AssertFunction(handler)
	if !ok {
		return nil, &runError{`ReferenceError: "handler" is not defined`}
	}
	return handle(sobek.Undefined(), inv.eventObject())
}

// settled waits for no promise: jobs have run, so one that is pending stays so.
func settled(v sobek.Value) (sobek.Value, error) {
	promise, ok := exportPromise(v)
	if !ok {
		return v, nil
	}
	switch promise.State() {
	case sobek.PromiseStateFulfilled:
		return promise.Result(), nil
	case sobek.PromiseStateRejected:
		return nil, &rejectedError{promise.Result()}
	}
	return nil, &runError{"Error: the promise that handler returned was never settled"}
}

var promiseType = reflect.TypeFor[*sobek.Promise]()

func exportPromise(v sobek.Value) (*sobek.Promise, bool) {
	if obj, ok := v.(*sobek.Object); !ok || obj.ExportType() != promiseType {
		return nil, false
	}
	p, ok := v.Export().(*sobek.Promise)
	return p, ok
}
