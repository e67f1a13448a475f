package server

import (
	"context"

	"github.com/popkv/popkv/internal/cfjs"
	"github.com/popkv/popkv/internal/cfworker"
	"github.com/popkv/popkv/internal/config"
	"github.com/popkv/popkv/internal/controlplane"
	"github.com/popkv/popkv/internal/journal"
)

// openFunctions makes what functions run in. Worker processes start with the
// first function, so a server that runs none has none.
func (s *Server) openFunctions() controlplane.Runner {
	o := cfworker.Options{
		Logger:      s.log,
		Now:         s.o.Now,
		HardLimit:   s.cfg.Functions.HardLimit,
		WallLimit:   s.cfg.Functions.WallLimit,
		MemoryBytes: s.cfg.Functions.MemoryBytes,
	}
	var runner cfworker.Runner
	if s.cfg.Functions.Mode == config.FunctionInProcess {
		runner = cfworker.InProcess(o)
	} else {
		runner = cfworker.NewPool(o)
	}
	s.closers = append(s.closers, runner.Close)
	return functions{runner}
}

// functions run TestFunction's functions.
type functions struct {
	runner cfworker.Runner
}

// Run implements [controlplane.Runner]. TestFunction is never throttled, so
// the call names no function.
func (f functions) Run(ctx context.Context, r controlplane.FunctionRun) (controlplane.FunctionResult, error) {
	event, err := cfjs.ParseEvent(r.Event)
	if err != nil {
		return controlplane.FunctionResult{}, err
	}
	call := cfworker.Call{Program: cfworker.NewProgram(r.Code, cfjs.Runtime(r.Runtime)), Event: &event}
	if r.Store != nil {
		call.Store = pinned{r.Store}
	}
	result, err := cfworker.Measure(ctx, f.runner, call)
	if err != nil {
		return controlplane.FunctionResult{}, err
	}
	return controlplane.FunctionResult{
		Output:             result.Output(),
		Logs:               result.Logs,
		ErrorMessage:       result.ErrorMessage,
		ComputeUtilization: result.ComputeUtilization,
	}, nil
}

// A pinned store is the one version that a run reads.
type pinned struct {
	head *journal.Head
}

func (p pinned) Get(key string) (string, bool) { return p.head.Items.Get(key) }
func (p pinned) Count() int                    { return p.head.Items.Len() }

func (p pinned) Meta() cfjs.StoreMeta {
	return cfjs.StoreMeta{ID: p.head.Store.String(), Created: p.head.Created, LastUpdated: p.head.LastModified}
}
