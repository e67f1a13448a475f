package cfjs

import (
	"strconv"
	"strings"

	"github.com/grafana/sobek"
)

// errCouldNotRun starts the message of every function that failed to run
// (observed).
const errCouldNotRun = "The CloudFront function associated with the CloudFront distribution is invalid or could not run. "

func executionError(text string) Result {
	return Result{Failure: ExecutionError, ErrorMessage: errCouldNotRun + text}
}

// A phrase pairs our engine's message with the real one's. One % stands for
// any text, which takes the place of % on the other side; {nullish} and {type}
// are found from the program, see blame.go.
type phrase struct{ ours, theirs string }

var phrases = []phrase{
	{"Cannot read property '%' of undefined or null", `cannot get property "%" of {nullish}`},
	{"Cannot read property '%' of undefined", `cannot get property "%" of {nullish}`},
	{"Object has no member '%'", `(intermediate value)["%"] is not a function`},
	{"% is not defined", `"%" is not defined`},
	{"Assignment to constant variable.", "assignment to constant variable"},
	{"Cannot access a variable before initialization", "cannot access variable before initialization"},
	{"Value is not a constructor", "function is not a constructor"},
	{"Constructor % requires 'new'", "the % constructor must be called with new"},
	{"Cannot add property %, object is not extensible", `Cannot add property "%", object is not extensible`},
	{"Cannot assign to read only property '%'", `Cannot assign to read-only property "%" of object`},
	{"Cannot delete property '%' of [object Object]", `Cannot delete property "%" of object`},
	{"Cannot delete property '%' of [object Array]", `Cannot delete property "%" of array`},
	{"Cannot redefine property: %", `Cannot redefine property: "%"`},
	{"Receiver is not an object: %", "property set on primitive {type} type"},
	{"Object.defineProperty called on non-object", "Object.defineProperty is called on non-object"},
	{"Property description must be an object: %", "descriptor is not an object"},
	{"Invalid property descriptor. Cannot both specify %", "Cannot both specify accessors and a value or writable attribute"},
	{"Object prototype may only be an Object or null: %", "prototype may only be an object or null: {type}"},
	{"Expecting a function in instanceof check, but got %", "right argument is not callable"},
	{"No initial value", "Reduce of empty object with no initial value"},
	{"The comparison function must be either a function or undefined", "comparefn must be callable or undefined"},
	{"% is not a symbol", "is not a symbol"},
	{"Malformed URI", "malformed URI"},
	{"Invalid count value", ""},
	{"Invalid code point %", ""},
	{"Invalid index %", "invalid index"},
	{"Invalid flags supplied to RegExp constructor '%'", `Invalid RegExp flags "%"`},
	{"toString() radix argument must be between 2 and 36", ""},
	{"toPrecision() precision must be between 1 and 100", "precision argument must be between 1 and 100"},
	{"toFixed() precision must be between 0 and 100", "digits argument must be between 0 and 100"},
	{"toExponential() precision must be between 0 and 100", "digits argument must be between 0 and 100"},
	{"String.prototype.replaceAll called with a non-global RegExp argument", "replaceAll called with a non-global RegExp argument"},
	{"First argument to DataView constructor must be an ArrayBuffer", "buffer is not an ArrayBuffer"},
	{"Value is not object coercible", "cannot convert undefined to object"},
	{"Method Date.prototype.% is called on incompatible receiver", "cannot convert {type} to date"},
	{"Could not convert % to primitive", "Cannot convert object to primitive value"},
	{"Super constructor %", "function is not a constructor"},
}

// callbackMethods report a callback that is no function with one text.
const callbackMethods = " every filter find findIndex forEach map reduce reduceRight some findLast findLastIndex "

// engineText returns the real engine's words for a message that our engine
// made, and whether it has other words at all.
func (inv *invocation) engineText(class, message string, stack string) (string, bool) {
	top := topFrame(stack)
	switch {
	case class != "TypeError" && class != "ReferenceError" && class != "RangeError" && class != "URIError" && class != "SyntaxError":
		return "", false
	case top.native != "" && strings.Contains(callbackMethods, " "+top.native+" ") && isCallbackComplaint(message):
		return "callback argument is not callable", true
	case message == "Cannot convert undefined or null to object":
		return inv.notAnObject(top), true
	case strings.HasPrefix(message, "Value is not an object: "):
		return inv.notCallable(top, typeOfText(strings.TrimPrefix(message, "Value is not an object: "))), true
	case strings.HasPrefix(message, "Not a function: "):
		return inv.notCallable(top, "object"), true
	}
	for _, p := range phrases {
		middle, ok := matchPhrase(p.ours, message)
		if !ok {
			continue
		}
		text := strings.ReplaceAll(p.theirs, "%", middle)
		if strings.Contains(text, "{nullish}") {
			text = strings.ReplaceAll(text, "{nullish}", inv.program.nullish(top, middle, strings.HasSuffix(p.ours, "or null")))
		}
		return strings.ReplaceAll(text, "{type}", typeOfText(middle)), true
	}
	return "", false
}

func isCallbackComplaint(message string) bool {
	return strings.HasPrefix(message, "Value is not an object: ") || strings.HasSuffix(message, " is not a function") ||
		strings.HasPrefix(message, "Not a function: ") || message == "Cannot convert undefined or null to object"
}

// notAnObject tells apart what our engine has one text for: a property set on
// nothing, and a built-in function that was given nothing.
func (inv *invocation) notAnObject(top frame) string {
	switch top.native {
	case "":
		site := inv.program.site(top)
		if site.kind == siteDelete {
			return `cannot get property "` + site.name + `" of ` + site.nullish
		}
		return "property set on primitive " + site.nullish + " type"
	case "keys", "values", "entries", "getOwnPropertyNames", "getPrototypeOf", "getOwnPropertyDescriptor", "getOwnPropertyDescriptors":
		return "cannot convert undefined argument to object"
	}
	return "cannot convert null or undefined to object"
}

// notCallable is about a value of that type which was called, or used as an
// object in another way.
func (inv *invocation) notCallable(top frame, valueType string) string {
	if top.native != "" {
		return "this value is not an object"
	}
	switch site := inv.program.site(top); {
	case site.kind == sitePromise:
		return "unexpected arguments"
	case site.kind == siteIn:
		return `property "in" on primitive ` + valueType + " type"
	case site.kind == siteCall && site.name != "":
		return `(intermediate value)["` + site.name + `"] is not a function`
	}
	return valueType + " is not a function"
}

// typeOfText guesses the type of a primitive from its text.
func typeOfText(s string) string {
	switch s {
	case "undefined", "null":
		return s
	case "true", "false":
		return "boolean"
	case "NaN", "Infinity", "-Infinity":
		return "number"
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return "number"
	}
	return "string"
}

func matchPhrase(pattern, message string) (middle string, ok bool) {
	prefix, suffix, wild := strings.Cut(pattern, "%")
	if !wild {
		return "", pattern == message
	}
	if len(message) < len(prefix)+len(suffix) || !strings.HasPrefix(message, prefix) || !strings.HasSuffix(message, suffix) {
		return "", false
	}
	return message[len(prefix) : len(message)-len(suffix)], true
}

// describe is the text of a value that was thrown and not caught, with the
// engine's words for its own errors.
func (inv *invocation) describe(v sobek.Value) string {
	text := ""
	if ex := inv.vm.Try(func() { text = inv.thrownText(v) }); ex != nil {
		return "Error"
	}
	return text
}

func (inv *invocation) thrownText(v sobek.Value) string {
	obj, ok := v.(*sobek.Object)
	if !ok || obj.ClassName() != "Error" {
		return v.String()
	}
	inv.reword(obj)
	name, message := obj.Get("name").String(), obj.Get("message").String()
	if message == "" {
		return name
	}
	return name + ": " + message
}

// reword gives an error that our engine made the real engine's message, and
// takes away the stack, which the real engine does not have.
func (inv *invocation) reword(obj *sobek.Object) {
	if obj.ClassName() != "Error" {
		return
	}
	message, name := obj.Get("message"), obj.Get("name")
	if message == nil || name == nil {
		return
	}
	if name.String() == "AggregateError" && message.String() == "" {
		_ = obj.Set("message", "All promises were rejected") // of Promise.any
	}
	stack := ""
	if s := obj.Get("stack"); s != nil {
		stack = s.String()
	}
	if text, ok := inv.engineText(name.String(), message.String(), stack); ok {
		_ = obj.Set("message", text)
	}
	_ = obj.Delete("stack")
}
