package cfjs

import (
	"strings"

	"github.com/grafana/sobek"
)

// Built-in functions of our engine cannot be interrupted, so a guard looks at
// the sizes before one starts and stops the run if they are out of all
// proportion to the 2 MB that a function has. A guard is an amendment: only a
// program that can name the function has it.
const (
	maxStringLength = 2 << 20  // characters of a text that a function may make
	maxArrayLength  = 1 << 18  // elements of an array that a function may walk
	maxWork         = 64 << 20 // characters that a replacement or search may touch
	maxApplied      = 1 << 16  // arguments of one call
	maxNested       = 1 << 10  // calls of guarded functions within each other
)

// A guard returns whether a call may go ahead.
type guard func(inv *invocation, c sobek.FunctionCall) bool

// arrayWalkers are the methods that walk an array by its length without
// looking whether there is anything.
const arrayWalkers = "concat copyWithin every fill filter find findIndex forEach includes indexOf lastIndexOf map " +
	"reduce reduceRight reverse shift slice some sort splice toString unshift"

func guardAmendments() []amendment {
	list := []amendment{
		jsonAmendment(),
		guarded("String.prototype", "repeat", func(inv *invocation, c sobek.FunctionCall) bool {
			n := c.Argument(0).ToInteger()
			return inv.possible(n) && product(length(c.This), n) <= maxStringLength
		}),
		guarded("String.prototype", "padStart", guardPad),
		guarded("String.prototype", "padEnd", guardPad),
		guarded("String.prototype", "replace", guardReplace),
		guarded("String.prototype", "replaceAll", guardReplace),
		guarded("String.prototype", "split", guardSearch),
		guarded("String.prototype", "includes", guardSearch),
		guarded("String.prototype", "indexOf", guardSearch),
		guarded("String.prototype", "lastIndexOf", guardSearch),
		guarded("Array.prototype", "join", guardJoin),
		guarded("TypedArray.prototype", "join", guardJoin),
		guarded("Function.prototype", "apply", func(_ *invocation, c sobek.FunctionCall) bool {
			return length(c.Argument(1)) <= maxApplied
		}),
	}
	list = append(list, groupAmendments()...)
	for _, name := range strings.Fields(arrayWalkers) {
		list = append(list, guarded("Array.prototype", name, guardWalk))
	}
	for _, name := range []string{"all", "allSettled", "any", "race"} {
		list = append(list, guarded("Promise", name, func(_ *invocation, c sobek.FunctionCall) bool {
			return length(c.Argument(0)) <= maxArrayLength
		}))
	}
	for _, name := range []string{"ArrayBuffer", "Uint8Array", "Uint8ClampedArray", "Int8Array", "Uint16Array", "Int16Array",
		"Uint32Array", "Int32Array", "Float32Array", "Float64Array"} {
		list = append(list, amendment{[]string{name}, func(inv *invocation) { inv.guardConstructor(name) }})
	}
	return list
}

func guarded(object, member string, ok guard) amendment {
	return amendment{[]string{member}, func(inv *invocation) {
		o := inv.intrinsic(object)
		if o == nil {
			return
		}
		f, isObject := o.Get(member).(*sobek.Object)
		if !isObject {
			return
		}
		original, isNative := f.Export().(func(sobek.FunctionCall) sobek.Value)
		if !isNative {
			return
		}
		wrapper := inv.function(func(c sobek.FunctionCall) sobek.Value {
			if inv.over.Load() || !ok(inv, c) {
				return inv.exceeded()
			}
			inv.nested++
			defer func() { inv.nested-- }()
			return original(c)
		})
		hidden(wrapper, "name", inv.vm.ToValue(member))
		define(o, member, wrapper)
	}}
}

// length is that of a text or of anything with a length; 0 for the rest.
func length(v sobek.Value) int64 {
	switch v := v.(type) {
	case sobek.String:
		return int64(v.Length())
	case *sobek.Object:
		if n := v.Get("length"); n != nil {
			return n.ToInteger()
		}
	}
	return 0
}

func product(a, b int64) int64 {
	if a > 0 && b > (1<<62)/a {
		return 1 << 62
	}
	return a * b
}

func guardPad(inv *invocation, c sobek.FunctionCall) bool {
	n := c.Argument(0).ToInteger()
	return inv.possible(n) && n <= maxStringLength
}

// possible throws for a length that no text of the engine can have.
func (inv *invocation) possible(length int64) bool {
	if length > 1<<31-2 {
		panic(inv.newError("RangeError", ""))
	}
	return true
}

func guardWalk(_ *invocation, c sobek.FunctionCall) bool { return length(c.This) <= maxArrayLength }

// guardSearch: looking for one text in another takes at most the product of
// their lengths.
func guardSearch(_ *invocation, c sobek.FunctionCall) bool {
	return product(length(c.This), length(c.Argument(0))) <= 1<<30
}

// guardReplace bounds the result: each character may be a match, and each $ in
// the replacement may stand for the whole text. It also writes named groups in
// the replacement as numbers, see regexp_groups.go.
func guardReplace(inv *invocation, c sobek.FunctionCall) bool {
	if !guardSearch(inv, c) {
		return false
	}
	replacement := c.Argument(1)
	if !sobek.IsString(replacement) {
		return true
	}
	if names := inv.namesOf(c.Argument(0)); names != nil && strings.Contains(replacement.String(), "$<") {
		c.Arguments[1] = inv.vm.ToValue(numberGroups(replacement.String(), names))
	}
	size := length(c.This)
	grown := length(replacement)
	if dollars := int64(strings.Count(replacement.String(), "$")); dollars > 0 {
		grown += product(dollars, size)
	}
	matches := size + 1
	if sobek.IsString(c.Argument(0)) {
		matches = int64(strings.Count(c.This.String(), c.Argument(0).String()))
	}
	return size+product(matches, grown) <= maxWork
}

// guardJoin bounds the joints, and the sum of all that nested joins make: the
// same array may appear in another many times.
func guardJoin(inv *invocation, c sobek.FunctionCall) bool {
	n := length(c.This)
	joint := int64(1)
	if sobek.IsString(c.Argument(0)) {
		joint = length(c.Argument(0))
	}
	if n > maxArrayLength || product(n, joint) > maxWork || inv.nested > maxNested {
		return false
	}
	inv.joined += int(n)
	return inv.joined <= maxWork
}

// guardConstructor bounds the size of an ArrayBuffer or typed array.
func (inv *invocation) guardConstructor(name string) {
	inv.replaceConstructor(name, func(args []sobek.Value) {
		if len(args) == 0 {
			return
		}
		if size := args[0]; sobek.IsNumber(size) && size.ToFloat() > maxBufferBytes || length(size) > maxBufferBytes {
			inv.exceeded()
			args[0] = inv.vm.ToValue(0)
		}
	})
}

// replaceConstructor lets adjust look at, and change, the arguments of a
// built-in constructor. The new one has the old one's prototype object and, by
// inheritance, its other members.
func (inv *invocation) replaceConstructor(name string, adjust func(args []sobek.Value)) {
	original := inv.global(name)
	construct, ok := sobek.AssertConstructor(original)
	if !ok {
		return
	}
	proto, ok := original.Get("prototype").(*sobek.Object)
	if !ok {
		return
	}
	class := inv.vm.ToValue(func(c sobek.ConstructorCall) *sobek.Object {
		args := append([]sobek.Value(nil), c.Arguments...)
		adjust(args)
		o, err := construct(c.NewTarget, args...)
		if err != nil {
			panic(err)
		}
		return o
	}).(*sobek.Object)
	_ = class.SetPrototype(original)
	_ = class.DefineDataProperty("prototype", proto, sobek.FLAG_FALSE, sobek.FLAG_FALSE, sobek.FLAG_FALSE)
	hidden(class, "name", inv.vm.ToValue(name))
	define(proto, "constructor", class)
	inv.setGlobal(name, class)
}
