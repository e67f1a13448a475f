package cfjs

import (
	"github.com/grafana/sobek"
)

// kvsMethods: the methods of the handle that cf.kvs() returns.
func kvsMethods() map[string]hostMethod {
	return map[string]hostMethod{
		"get":    (*invocation).kvsGet,
		"exists": (*invocation).kvsExists,
		"count":  (*invocation).kvsCount,
		"meta":   (*invocation).kvsMeta,
	}
}

// Messages of the store's errors (the first observed, the second from one
// typings project; that both are plain Errors is assumed).
const (
	errNamespaceNotFound = "KVSNamespaceNotFound"
	errKeyNotFound       = "KeyNotFound"
)

// openKVS is cf.kvs(id). The id is the associated store's UUID and may be left
// out; anything else throws at once.
func (inv *invocation) openKVS(c sobek.FunctionCall) sobek.Value {
	if inv.store == nil || !inv.isStore(c.Argument(0)) {
		panic(inv.newError("Error", errNamespaceNotFound))
	}
	return inv.install(inv.vm.NewObject(), inv.program.tables.kvs)
}

func (inv *invocation) isStore(id sobek.Value) bool {
	if sobek.IsUndefined(id) {
		return true
	}
	own := inv.store.Meta().ID
	return own == "" || sobek.IsString(id) && id.String() == own
}

// read asks the store.
func (inv *invocation) read(key string) (string, bool) {
	if inv.options.FreeReads {
		before := inv.options.Thread.Used()
		defer func() { inv.reading += inv.options.Thread.Used() - before }()
	}
	return inv.store.Get(key)
}

// A promiseMaker makes promises that are settled already: the store is at hand.
// It calls the built-in functions as the engine does, without the detour that
// calls from outside take.
type promiseMaker struct {
	class           sobek.Value
	resolve, reject func(sobek.FunctionCall) sobek.Value
}

func (inv *invocation) newPromiseMaker() promiseMaker {
	class := inv.global("Promise")
	resolve, _ := class.Get("resolve").Export().(func(sobek.FunctionCall) sobek.Value)
	reject, _ := class.Get("reject").Export().(func(sobek.FunctionCall) sobek.Value)
	return promiseMaker{class, resolve, reject}
}

func (inv *invocation) fulfilled(v sobek.Value) sobek.Value {
	return inv.promises.resolve(sobek.FunctionCall{This: inv.promises.class, Arguments: []sobek.Value{v}})
}

func (inv *invocation) rejected(reason *sobek.Object) sobek.Value {
	return inv.promises.reject(sobek.FunctionCall{This: inv.promises.class, Arguments: []sobek.Value{reason}})
}

func (inv *invocation) kvsGet(c sobek.FunctionCall) sobek.Value {
	key := c.Argument(0)
	if !sobek.IsString(key) {
		return inv.rejected(inv.typeError("key must be a string"))
	}
	format := "string"
	if options, ok := c.Argument(1).(*sobek.Object); ok {
		if f := options.Get("format"); present(f) {
			format = f.String()
		}
	}
	text, ok := inv.read(key.String())
	if !ok {
		return inv.rejected(inv.newError("Error", errKeyNotFound))
	}
	switch format {
	case "string":
		return inv.fulfilled(inv.vm.ToValue(text))
	case "bytes":
		return inv.fulfilled(inv.bufferClass().make([]byte(text)))
	case "json":
		return inv.kvsJSON(text)
	}
	return inv.rejected(inv.typeError(`unknown format "` + format + `"`))
}

func (inv *invocation) kvsJSON(text string) sobek.Value {
	v, fault := parseJSON(inv.vm, text)
	if fault != "" {
		return inv.rejected(inv.newError("SyntaxError", fault))
	}
	return inv.fulfilled(v)
}

func (inv *invocation) kvsExists(c sobek.FunctionCall) sobek.Value {
	key := c.Argument(0)
	if !sobek.IsString(key) {
		return inv.rejected(inv.typeError("key must be a string"))
	}
	_, ok := inv.read(key.String())
	return inv.fulfilled(inv.vm.ToValue(ok))
}

func (inv *invocation) kvsCount(sobek.FunctionCall) sobek.Value {
	return inv.fulfilled(inv.vm.ToValue(inv.store.Count()))
}

func (inv *invocation) kvsMeta(sobek.FunctionCall) sobek.Value {
	const isoMillis = "2006-01-02T15:04:05.000Z"
	meta := inv.store.Meta()
	o := inv.vm.NewObject()
	set(o, "creationDateTime", meta.Created.UTC().Format(isoMillis))
	set(o, "lastUpdatedDateTime", meta.LastUpdated.UTC().Format(isoMillis))
	set(o, "keyCount", inv.store.Count())
	return inv.fulfilled(o)
}
