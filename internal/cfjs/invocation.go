package cfjs

import (
	"hash"
	"sync/atomic"
	"time"

	"github.com/grafana/sobek"
)

// An invocation is one run: a VM and what the host keeps for it. It belongs to
// the goroutine that runs it.
type invocation struct {
	vm      *sobek.Runtime
	program *Program
	event   *Event
	store   Store
	reading time.Duration // of the thread, spent in the store: see [Options.FreeReads]
	options *Options

	wrapper  *sobek.Object // the compiled program as a function
	amended  []bool        // amendments that were applied, by index; nil until one is asked for
	objects  []hostObject  // objects of the host that show only the members the program names
	modules  map[string]sobek.Value
	buffer   *bufferClass
	hashes   map[*sobek.Object]hash.Hash // crypto objects; nil once digest was called
	promises promiseMaker                // set with the cloudfront module
	log      logBuffer
	origin   *OriginChange
	// originFault is the first rule that an argument of an origin helper broke.
	originFault string
	over        atomic.Bool // a limit was broken: functions of the host do nothing any more
	nested      int         // guarded functions that are running
	groups      groupTable  // of regular expressions made by this run
	joined      int         // characters that nested joins have made
}

// prepare makes the VM a realm of the real runtime, as far as this program can
// tell.
func (inv *invocation) prepare() {
	vm, o := inv.vm, inv.options
	vm.SetMaxCallStackSize(maxCallDepth)
	vm.SetRandSource(o.Random)
	var now time.Time
	vm.SetTimeSource(func() time.Time {
		if now.IsZero() {
			now = o.Now()
		}
		return now
	})
	// Any conversion of a function to text comes to this method, which the real
	// engine does not have.
	_ = inv.wrapper.Prototype().Delete("toString")
	for _, i := range inv.program.tables.amends {
		inv.amend(i)
	}
}

func (inv *invocation) amend(i int) {
	list := inv.program.tables.amendments.list
	if inv.amended == nil {
		inv.amended = make([]bool, len(list))
	}
	if !inv.amended[i] {
		inv.amended[i] = true
		list[i].apply(inv)
	}
}

// reach makes ready what a computed name may lead to.
func (inv *invocation) reach(name string) {
	for _, i := range inv.program.tables.amendments.index[name] {
		inv.amend(i)
	}
	for i := range inv.objects {
		inv.objects[i].define(inv, name)
	}
}

// arguments are the values of the wrapper's parameters.
func (inv *invocation) arguments() []sobek.Value {
	p := inv.program
	values := make([]sobek.Value, 2, 2+len(p.modules)+len(p.env))
	values[0], values[1] = sobek.Undefined(), sobek.Undefined()
	if len(p.features.catches) > 0 {
		values[0] = inv.function(inv.caught)
	}
	if len(p.features.reads) > 0 {
		values[1] = inv.function(inv.key)
	}
	for _, name := range p.modules {
		values = append(values, inv.module(name))
	}
	for _, name := range p.env {
		value := inv.environment(name)
		if p.features.names["globalThis"] {
			inv.setGlobal(name, value)
		}
		values = append(values, value)
	}
	return values
}

func (inv *invocation) caught(c sobek.FunctionCall) sobek.Value {
	if obj, ok := c.Argument(0).(*sobek.Object); ok {
		inv.reword(obj)
	}
	return sobek.Undefined()
}

// key looks at the key of a computed read before the read happens.
func (inv *invocation) key(c sobek.FunctionCall) sobek.Value {
	v := c.Argument(0)
	switch v := v.(type) {
	case sobek.String:
		inv.reach(v.String())
	case *sobek.Object:
		name := v.ToString()
		inv.reach(name.String())
		return name
	}
	return v
}

// function makes a function of the host.
func (inv *invocation) function(f func(sobek.FunctionCall) sobek.Value) *sobek.Object {
	return inv.vm.ToValue(f).(*sobek.Object)
}

// newError makes an error object of a class, "Error" for one that is unknown.
func (inv *invocation) newError(class, message string) *sobek.Object {
	ctor, ok := inv.vm.Get(class).(*sobek.Object)
	if !ok {
		if class == "InternalError" || class == "MemoryError" {
			ctor = inv.errorClass(class)
		} else {
			ctor = inv.global("Error")
		}
	}
	o, err := inv.vm.New(ctor, inv.vm.ToValue(message))
	if err != nil {
		panic(err)
	}
	return o
}

func (inv *invocation) typeError(message string) *sobek.Object {
	return inv.vm.NewTypeError("%s", message)
}

// exceeded stops the run. A call of the host that finds a limit broken calls
// it and returns at once: the VM stops before its next instruction, and the
// program cannot catch that.
func (inv *invocation) exceeded() sobek.Value {
	inv.stop(errExceeded)
	return sobek.Undefined()
}

// stop ends the run with an error, from any goroutine.
func (inv *invocation) stop(err error) {
	inv.over.Store(true)
	inv.vm.Interrupt(err)
}
