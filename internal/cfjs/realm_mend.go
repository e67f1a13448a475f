package cfjs

import (
	"slices"
	"time"

	"github.com/grafana/sobek"
)

// mendings make built-in members that both engines have do what the real one's
// do (observed on njs).
func mendings() []amendment {
	return []amendment{
		{[]string{"then", "catch", "finally", "allSettled"}, rewordRejections},
		{[]string{"Date"}, writeDates},
		{[]string{"asyncIterator"}, func(inv *invocation) {
			symbol := inv.vm.ToValue(sobek.NewSymbol("Symbol.asyncIterator"))
			_ = inv.global("Symbol").DefineDataProperty("asyncIterator", symbol, sobek.FLAG_FALSE, sobek.FLAG_FALSE, sobek.FLAG_FALSE)
		}},
	}
}

// rewordRejections lets the handlers of a rejection see errors with the real
// engine's message, as a catch clause does. The built-in catch, finally and
// allSettled call then.
func rewordRejections(inv *invocation) {
	proto := inv.intrinsic("Promise.prototype")
	then, ok := proto.Get("then").Export().(func(sobek.FunctionCall) sobek.Value)
	if !ok {
		return
	}
	reworded := inv.function(func(c sobek.FunctionCall) sobek.Value {
		if onRejected := c.Argument(1); isCallable(onRejected) {
			c.Arguments = slices.Clone(c.Arguments)
			c.Arguments[1] = inv.function(func(r sobek.FunctionCall) sobek.Value {
				inv.caught(r)
				return inv.call2(onRejected, sobek.Undefined(), r.Arguments...)
			})
		}
		return then(c)
	})
	_ = reworded.DefineDataProperty("name", inv.vm.ToValue("then"), sobek.FLAG_FALSE, sobek.FLAG_TRUE, sobek.FLAG_FALSE)
	_ = proto.DefineDataProperty("then", reworded, sobek.FLAG_TRUE, sobek.FLAG_TRUE, sobek.FLAG_FALSE)
}

func isCallable(v sobek.Value) bool {
	o, ok := v.(*sobek.Object)
	return ok && isFunction(o)
}

// writeDates gives dates the text of the real engine, which does not name the
// time zone and knows no locale.
func writeDates(inv *invocation) {
	const day, clock = "Mon Jan 02 2006", "15:04:05 GMT-0700"
	proto := inv.intrinsic("Date.prototype")
	valueOf, ok := proto.Get("valueOf").Export().(func(sobek.FunctionCall) sobek.Value)
	if !ok {
		return
	}
	for name, layout := range map[string]string{
		"toString": day + " " + clock, "toTimeString": clock,
		"toLocaleString": day + " " + clock, "toLocaleDateString": day, "toLocaleTimeString": clock,
	} {
		f := inv.function(func(c sobek.FunctionCall) sobek.Value {
			ms := valueOf(c) // throws if this is no date
			if ms.ToFloat() != ms.ToFloat() {
				return inv.vm.ToValue("Invalid Date")
			}
			return inv.vm.ToValue(time.UnixMilli(ms.ToInteger()).UTC().Format(layout))
		})
		_ = f.DefineDataProperty("name", inv.vm.ToValue(name), sobek.FLAG_FALSE, sobek.FLAG_TRUE, sobek.FLAG_FALSE)
		_ = proto.DefineDataProperty(name, f, sobek.FLAG_TRUE, sobek.FLAG_TRUE, sobek.FLAG_FALSE)
	}
}
