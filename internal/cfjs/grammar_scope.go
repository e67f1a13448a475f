package cfjs

type scopeKind int

const (
	globalScope scopeKind = iota
	functionScope
	blockScope
)

type variableKind int

const (
	varVariable variableKind = iota
	letVariable              // let and const
	functionVariable
	catchVariable
)

type grammarVariable struct {
	kind     variableKind
	scope    *grammarScope
	original *grammarScope
	self     bool // the name of a function expression, which parameters and variables may hide
}

// A grammarScope holds what the engine knows of names while it parses.
type grammarScope struct {
	parent    *grammarScope
	kind      scopeKind
	variables map[string]*grammarVariable
	labels    map[string]bool
	async     bool
	arrow     bool
	inArgs    bool // between the parentheses of a call
	loops     int  // enclosing loops of this function
	switches  int  // enclosing switches of this function
}

func newGrammarScope(parent *grammarScope, kind scopeKind) *grammarScope {
	return &grammarScope{parent: parent, kind: kind}
}

// function returns the scope of the innermost function, or the global one.
func (s *grammarScope) function() *grammarScope {
	for s.kind == blockScope {
		s = s.parent
	}
	return s
}

func (s *grammarScope) insideFunction() bool { return s.function().kind == functionScope }

// hasArguments reports whether a function other than an arrow encloses s.
func (s *grammarScope) hasArguments() bool {
	f := s.function()
	for f.arrow && f.parent != nil {
		f = f.parent.function()
	}
	return f.kind == functionScope && !f.arrow
}

func (s *grammarScope) label(name string) bool {
	for ; s != nil; s = s.parent {
		if s.labels[name] {
			return true
		}
	}
	return false
}

func (s *grammarScope) setLabel(name string, set bool) {
	if s.labels == nil {
		s.labels = map[string]bool{}
	}
	s.labels[name] = set
}

// find returns the scope a name belongs to, and the variable if there is one.
func (s *grammarScope) find(name string, kind variableKind) (*grammarScope, *grammarVariable) {
	for ; ; s = s.parent {
		if v := s.variables[name]; v != nil && (v.kind != catchVariable || kind != varVariable) {
			return s, v
		}
		if s.kind != blockScope {
			return s, nil
		}
	}
}

// declare adds a variable by the engine's rules, which differ from the
// standard's in a few corners; false means "has already been declared".
func (s *grammarScope) declare(name string, kind variableKind) bool {
	root, v := s.find(name, kind)
	switch kind {
	case letVariable:
		if s.kind == globalScope && name == "undefined" {
			return false
		}
		if root == s && v != nil && v.scope == root && !v.self {
			return false
		}
		root = s
	case catchVariable:
		root = s
	default:
		if kind == functionVariable {
			root = s
		}
		if v == nil {
			break
		}
		touchesFunction := kind == functionVariable || v.kind == functionVariable
		if v.kind == letVariable || v.original.kind == blockScope && touchesFunction && v.original == root {
			return false
		}
		if !touchesFunction {
			root = v.scope
		}
	}
	root.add(name, kind, s)
	return true
}

func (s *grammarScope) add(name string, kind variableKind, original *grammarScope) *grammarVariable {
	if v := s.variables[name]; v != nil {
		if v.self {
			v.kind, v.self = kind, false
		}
		if kind == functionVariable {
			v.kind = kind
		}
		return v
	}
	if s.variables == nil {
		s.variables = map[string]*grammarVariable{}
	}
	v := &grammarVariable{kind: kind, scope: s, original: original}
	s.variables[name] = v
	return v
}
