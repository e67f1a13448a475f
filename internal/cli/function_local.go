package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/cfjs"
	"github.com/popkv/popkv/internal/cfworker"
	"github.com/popkv/popkv/internal/config"
	"github.com/popkv/popkv/internal/s3import"
)

// localFlags are the flags of commands that run a function on this machine.
type localFlags struct {
	app     *app
	runtime string
	kvs     string
}

// addLocal defines the flags of commands that run a function on this machine.
func (a *app) addLocal(cmd *cobra.Command) *localFlags {
	f := &localFlags{app: a}
	addRuntime(cmd, &f.runtime)
	cmd.Flags().StringVar(&f.kvs, "kvs", "", "store of the function: FILE, or ID=FILE to bind the store's id")
	return f
}

// A localFunction is a function that runs on this machine, in a worker process
// unless the settings say otherwise.
type localFunction struct {
	runner  cfworker.Runner
	program *cfworker.Program
	store   cfjs.Store // nil without --kvs
}

// open reads function and store and makes ready to run. Code that AWS would not
// take is an error.
func (f *localFlags) open(cmd *cobra.Command, file string) (*localFunction, error) {
	version, err := checkRuntime(cmd, f.runtime)
	if err != nil {
		return nil, err
	}
	loaded, err := config.Load(config.Source{Command: config.Dev, Environ: f.app.environ, File: f.app.getenv(config.FileEnv)})
	if err != nil {
		return nil, codedError{exitUsage, err}
	}
	code, err := f.app.readFile(file)
	if err != nil {
		return nil, err
	}
	if limit := loaded.Config.Limits.FunctionBytes; len(code) > limit {
		return nil, codedError{exitQuota, fmt.Errorf("%s has %d bytes, and a function may have %d: CloudFront refuses it", file, len(code), limit)}
	}
	local := &localFunction{program: cfworker.NewProgram(code, version)}
	if f.kvs != "" {
		if local.store, err = openStore(cmd, f.kvs, loaded.Config.Limits); err != nil {
			return nil, err
		}
	}
	local.runner = newRunner(loaded.Config.Functions)
	return local, nil
}

func newRunner(c config.Functions) cfworker.Runner {
	o := cfworker.Options{HardLimit: c.HardLimit, WallLimit: c.WallLimit, MemoryBytes: c.MemoryBytes}
	if c.Mode == config.FunctionInProcess {
		return cfworker.InProcess(o)
	}
	return cfworker.NewPool(o)
}

func (l *localFunction) call(event *cfjs.Event) cfworker.Call {
	return cfworker.Call{Program: l.program, Event: event, Store: l.store}
}

func (l *localFunction) close() { l.runner.Close() }

// openStore reads what --kvs names: an import document or a plain map. Without
// an id the store answers to any.
func openStore(cmd *cobra.Command, arg string, limits popkv.Limits) (cfjs.Store, error) {
	file, id := arg, ""
	if name, rest, found := strings.Cut(arg, "="); found {
		if parsed, ok := popkv.ParseStoreID(name); ok {
			file, id = rest, parsed.String()
		} else if _, err := os.Stat(arg); err != nil {
			return nil, usagef(cmd, "--kvs %s: %s is not the id of a store", arg, name)
		}
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	store := &cfjs.MapStore{
		Items: map[string]string{},
		About: cfjs.StoreMeta{ID: id, Created: info.ModTime(), LastUpdated: info.ModTime()},
	}
	_, err = s3import.ReadAny(f, limits, func(key, value []byte) error {
		if _, twice := store.Items[string(key)]; twice {
			return fmt.Errorf("the key %s is there twice", printable(string(key)))
		}
		store.Items[string(key)] = string(value)
		return nil
	})
	return store, during(err, "read %s", file)
}
