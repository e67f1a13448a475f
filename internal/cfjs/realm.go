package cfjs

import (
	"strings"
	"sync"

	"github.com/grafana/sobek"
)

// An amendment makes one difference between our engine's built-in objects and
// the real engine's. It is applied to a fresh VM the first time that the
// program can reach one of its names: before the program starts if its text
// has the name, else when the name is first computed. So a program pays only
// for what it could notice.
type amendment struct {
	names []string
	apply func(*invocation)
}

// absent lists the members that our engine has and the real one lacks (N:
// observed on njs 0.7.12; Array.from and the copying array methods came later,
// and AWS does not list them).
var absent = map[string]string{
	"global": "BigInt BigInt64Array BigUint64Array GoError Map Proxy Reflect Set WeakMap WeakRef WeakSet " +
		"FinalizationRegistry escape unescape",
	"Array":                "from",
	"Array.prototype":      "at findLast findLastIndex flat flatMap toLocaleString toReversed toSorted toSpliced with",
	"Object":               "fromEntries groupBy hasOwn",
	"Object.prototype":     "toLocaleString",
	"Number.prototype":     "toLocaleString",
	"RegExp.prototype":     "compile dotAll hasIndices unicode unicodeSets",
	"String":               "raw",
	"String.prototype":     "at isWellFormed localeCompare matchAll normalize toLocaleLowerCase toLocaleUpperCase toWellFormed trimLeft trimRight",
	"TypedArray.prototype": "at findLast findLastIndex toLocaleString toReversed toSorted with",
	"DataView.prototype":   "getBigInt64 getBigUint64 setBigInt64 setBigUint64",
	"Promise":              "try withResolvers",
}

// absentIn10 lists what runtime 1.0 lacks beyond that (documented).
var absentIn10 = map[string]string{
	"global":               "AggregateError",
	"Promise":              "all allSettled any race",
	"String.prototype":     "replaceAll",
	"TypedArray.prototype": "every filter find findIndex forEach includes indexOf join lastIndexOf map reduce reduceRight reverse some",
	"DataView.prototype": "getFloat32 getFloat64 getInt16 getInt32 getInt8 getUint16 getUint32 getUint8 " +
		"setFloat32 setFloat64 setInt16 setInt32 setInt8 setUint16 setUint32 setUint8",
}

// An amendmentTable is every amendment of a runtime, with an index of their
// names.
type amendmentTable struct {
	list  []amendment
	index map[string][]int
}

func newAmendments(runtime Runtime) *amendmentTable {
	if runtime == Runtime10 {
		return newAmendmentTable(absentAmendments(absent), absentAmendments(absentIn10), mendings(), restrictions(), byteStringAmendments(), guardAmendments())
	}
	return newAmendmentTable(absentAmendments(absent), mendings(), restrictions(), guardAmendments())
}

func newAmendmentTable(parts ...[]amendment) *amendmentTable {
	t := &amendmentTable{index: map[string][]int{}}
	for _, part := range parts {
		for _, a := range part {
			for _, name := range a.names {
				t.index[name] = append(t.index[name], len(t.list))
			}
			t.list = append(t.list, a)
		}
	}
	return t
}

func absentAmendments(members map[string]string) []amendment {
	var list []amendment
	for object, names := range members {
		for _, name := range strings.Fields(names) {
			list = append(list, amendment{[]string{name}, func(inv *invocation) {
				if o := inv.intrinsic(object); o != nil {
					_ = o.Delete(name)
				}
			}})
		}
	}
	return list
}

// pick returns the amendments whose names a program spells out.
func (t *amendmentTable) pick(f *features) []int {
	seen := make([]bool, len(t.list))
	var picked []int
	for name, indices := range t.index {
		if !f.reaches(name) && !(f.builds && name == "join") {
			continue
		}
		for _, i := range indices {
			if !seen[i] {
				seen[i] = true
				picked = append(picked, i)
			}
		}
	}
	return picked
}

// restrictions are what the real runtime forbids (documented).
func restrictions() []amendment {
	return []amendment{
		{[]string{"eval"}, func(inv *invocation) {
			inv.setGlobal("eval", func(sobek.FunctionCall) sobek.Value {
				panic(inv.newError("InternalError", "Not implemented"))
			})
		}},
		{[]string{"Function", "constructor"}, forbidFunction},
	}
}

// forbidFunction replaces the constructors of functions by ones that throw.
func forbidFunction(inv *invocation) {
	thrower := inv.vm.ToValue(func(sobek.ConstructorCall) *sobek.Object {
		panic(inv.typeError(`function constructor is disabled in "safe" mode`))
	}).(*sobek.Object)
	for _, proto := range []*sobek.Object{inv.intrinsic("Function.prototype"), inv.intrinsic("AsyncFunction.prototype")} {
		_ = proto.DefineDataProperty("constructor", thrower, sobek.FLAG_TRUE, sobek.FLAG_TRUE, sobek.FLAG_FALSE)
	}
	_ = thrower.DefineDataProperty("prototype", inv.intrinsic("Function.prototype"), sobek.FLAG_FALSE, sobek.FLAG_FALSE, sobek.FLAG_FALSE)
	inv.setGlobal("Function", thrower)
}

var asyncFunction = sync.OnceValue(func() *sobek.Program {
	return sobek.MustCompile("", "(async function () {})", true)
})

// intrinsic returns a built-in object, wherever possible from a fresh value:
// the program may have put something else under the global name.
func (inv *invocation) intrinsic(name string) *sobek.Object {
	vm := inv.vm
	switch name {
	case "global":
		return vm.GlobalObject()
	case "Function.prototype":
		return inv.wrapper.Prototype()
	case "AsyncFunction.prototype":
		v, err := vm.RunProgram(asyncFunction())
		if err != nil {
			panic(err) // the run was stopped
		}
		return v.(*sobek.Object).Prototype()
	case "Object.prototype":
		return vm.NewObject().Prototype()
	case "Array.prototype":
		return vm.NewArray().Prototype()
	case "String.prototype":
		return vm.ToValue("").ToObject(vm).Prototype()
	case "Number.prototype":
		return vm.ToValue(0).ToObject(vm).Prototype()
	case "ArrayBuffer.prototype":
		return vm.ToValue(vm.NewArrayBuffer(nil)).(*sobek.Object).Prototype()
	case "TypedArray.prototype":
		if proto, ok := inv.global("Uint8Array").Get("prototype").(*sobek.Object); ok {
			return proto.Prototype()
		}
		return nil
	}
	if object, ok := strings.CutSuffix(name, ".prototype"); ok {
		proto, _ := inv.global(object).Get("prototype").(*sobek.Object)
		return proto
	}
	return inv.global(name)
}

// global returns the object under a global name, or an empty one.
func (inv *invocation) global(name string) *sobek.Object {
	if o, ok := inv.vm.Get(name).(*sobek.Object); ok {
		return o
	}
	return inv.vm.NewObject()
}

func (inv *invocation) setGlobal(name string, value any) {
	_ = inv.vm.GlobalObject().DefineDataProperty(name, inv.vm.ToValue(value), sobek.FLAG_TRUE, sobek.FLAG_TRUE, sobek.FLAG_FALSE)
}
