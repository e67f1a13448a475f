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

// settledPromise makes a promise that is settled already: the store is at hand.
func (inv *invocation) fulfilled(v sobek.Value) sobek.Value {
	p, resolve, _ := inv.vm.NewPromise()
	_ = resolve(v)
	return inv.vm.ToValue(p)
}

func (inv *invocation) rejected(reason *sobek.Object) sobek.Value {
	p, _, reject := inv.vm.NewPromise()
	_ = reject(reason)
	return inv.vm.ToValue(p)
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
	text, ok := inv.store.Get(key.String())
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
	_, ok := inv.store.Get(key.String())
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
