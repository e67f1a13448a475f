package cfjs

import (
	"sync"

	"github.com/grafana/sobek"
)

// importable lists the modules of each runtime. Runtime 1.0 has no import; its
// modules are for require.
var importable = map[Runtime]map[string]bool{
	Runtime10: {"crypto": true, "querystring": true},
	Runtime20: {"cloudfront": true, "crypto": true, "querystring": true, "buffer": true},
}

// The globals that the host provides, each for a program that names it.
var (
	globalsOf20 = []string{"Buffer", "InternalError", "TextDecoder", "TextEncoder", "atob", "btoa", "console", "require"}
	globalsOf10 = []string{"InternalError", "MemoryError", "console", "require"}
)

// environmentNames picks the globals of the host that a program names.
func environmentNames(f *features, runtime Runtime) []string {
	all := globalsOf20
	if runtime == Runtime10 {
		all = globalsOf10
	}
	var names []string
	// A computed name of globalThis may be any of them.
	computed := f.names["globalThis"] && len(f.reads) > 0
	for _, name := range all {
		if f.names[name] || computed {
			names = append(names, name)
		}
	}
	return names
}

// environment makes one of these globals.
func (inv *invocation) environment(name string) sobek.Value {
	switch name {
	case "Buffer":
		return inv.bufferClass().constructor
	case "TextDecoder":
		return inv.textDecoder()
	case "TextEncoder":
		return inv.textEncoder()
	case "atob":
		return inv.function(inv.atob)
	case "btoa":
		return inv.function(inv.btoa)
	case "console":
		return inv.console()
	case "require":
		return inv.require()
	}
	return inv.errorClass(name)
}

// module returns a module of the host, the same object each time.
func (inv *invocation) module(name string) sobek.Value {
	if m, ok := inv.modules[name]; ok {
		return m
	}
	var m sobek.Value
	switch name {
	case "cloudfront":
		m = inv.cloudfront()
	case "crypto":
		m = inv.install(inv.vm.NewObject(), inv.program.tables.crypto)
	case "querystring":
		m = inv.install(inv.vm.NewObject(), inv.program.tables.querystring)
	case "buffer":
		m = inv.bufferModule()
	}
	if inv.modules == nil {
		inv.modules = map[string]sobek.Value{}
	}
	inv.modules[name] = m
	return m
}

// require is the function of that name: modules by name, cloudfront excepted.
func (inv *invocation) require() sobek.Value {
	return inv.function(func(c sobek.FunctionCall) sobek.Value {
		name := c.Argument(0).String()
		if name == "cloudfront" || !importable[inv.program.runtime][name] {
			panic(inv.newError("Error", `Cannot find module "`+name+`"`))
		}
		return inv.module(name)
	})
}

var errorClassProgram = sync.OnceValue(func() *sobek.Program {
	return sobek.MustCompile("", `(function (name) {
		var C = class extends Error {};
		Object.defineProperty(C, "name", {value: name, configurable: true});
		Object.defineProperty(C.prototype, "name", {value: name, writable: true, configurable: true});
		return C;
	})`, true)
})

// errorClass makes a class of errors that the language does not have.
func (inv *invocation) errorClass(name string) *sobek.Object {
	key := "\x01" + name
	if c, ok := inv.modules[key]; ok {
		return c.(*sobek.Object)
	}
	make, err := inv.vm.RunProgram(errorClassProgram())
	if err != nil {
		panic(err)
	}
	call, _ := sobek.AssertFunction(make)
	c, err := call(sobek.Undefined(), inv.vm.ToValue(name))
	if err != nil {
		panic(err)
	}
	if inv.modules == nil {
		inv.modules = map[string]sobek.Value{}
	}
	inv.modules[key] = c
	return c.(*sobek.Object)
}
