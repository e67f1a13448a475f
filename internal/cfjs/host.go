package cfjs

import "github.com/grafana/sobek"

// A hostMethod is one member of an object that the host provides.
type hostMethod func(*invocation, sobek.FunctionCall) sobek.Value

// A hostTable lists the methods of one kind of object, and which of them a
// program names: the others are made only when a name is computed.
type hostTable struct {
	methods map[string]hostMethod
	used    []string
}

// tables are what a program needs to know of the host. Every program has its
// own, cut to its text.
type tables struct {
	console, cloudfront, kvs, crypto, hash, querystring    *hostTable
	bufferStatics, bufferMethods, textEncoder, textDecoder *hostTable

	amendments *amendmentTable
	amends     []int // amendments that the program's names ask for
}

func newTables(f *features, runtime Runtime) *tables {
	table := func(methods map[string]hostMethod) *hostTable {
		t := &hostTable{methods: methods}
		for name := range methods {
			// Conversions call these two without their names.
			if f.reaches(name) || name == "toString" || name == "toJSON" {
				t.used = append(t.used, name)
			}
		}
		return t
	}
	t := &tables{
		console: table(consoleMethods()), cloudfront: table(cloudfrontMethods()), kvs: table(kvsMethods()),
		crypto: table(cryptoMethods()), hash: table(hashMethods()), querystring: table(querystringMethods()),
		bufferStatics: table(bufferStatics()), bufferMethods: table(bufferMethods()),
		textEncoder: table(textEncoderMethods()), textDecoder: table(textDecoderMethods()),
		amendments: newAmendments(runtime),
	}
	t.amends = t.amendments.pick(f)
	return t
}

// A hostObject is an object of the host with the members made so far.
type hostObject struct {
	object *sobek.Object
	table  *hostTable
}

// install gives an object the methods of a table that the program can reach.
func (inv *invocation) install(object *sobek.Object, table *hostTable) *sobek.Object {
	h := hostObject{object, table}
	for _, name := range table.used {
		h.make(inv, name)
	}
	if len(inv.program.features.reads) > 0 {
		inv.objects = append(inv.objects, h)
	}
	return object
}

// define makes a member whose name was computed, unless the program has put
// something of its own there.
func (h hostObject) define(inv *invocation, name string) {
	if _, ok := h.table.methods[name]; !ok || inv.program.features.reaches(name) {
		return
	}
	if own := h.object.Get(name); own == nil {
		h.make(inv, name)
	}
}

func (h hostObject) make(inv *invocation, name string) {
	method := h.table.methods[name]
	f := inv.function(func(c sobek.FunctionCall) sobek.Value { return method(inv, c) })
	if inv.program.features.reaches("name") {
		_ = f.DefineDataProperty("name", inv.vm.ToValue(name), sobek.FLAG_FALSE, sobek.FLAG_TRUE, sobek.FLAG_FALSE)
	}
	_ = h.object.DefineDataProperty(name, f, sobek.FLAG_TRUE, sobek.FLAG_TRUE, sobek.FLAG_FALSE)
}

// reaches reports whether the program's text gives it access to a name.
func (f *features) reaches(name string) bool { return f.reflects || f.names[name] }
