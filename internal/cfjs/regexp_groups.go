package cfjs

import (
	"fmt"
	"strings"

	"github.com/grafana/sobek"
	"github.com/grafana/sobek/ast"
)

// Our engine numbers named groups behind the unnamed ones, and does not name
// them in results and replacements. So patterns lose their names before it sees
// them, and the names are kept here. A number of empty groups at the end of
// such a pattern tells it from others: (?<a>x) becomes (x)(?:).

// A groupTable holds the names of the groups of patterns that lost them.
type groupTable map[string][]string

// strip takes the names out of a pattern, if it has any, and keeps them.
func (t groupTable) strip(pattern string) string {
	names, plain := groupNames(pattern)
	if strings.Join(names, "") == "" {
		return pattern
	}
	for n, name := range names {
		if name != "" {
			plain = strings.ReplaceAll(plain, `\k<`+name+`>`, fmt.Sprintf(`(?:\%d)`, n))
		}
	}
	plain += strings.Repeat("(?:)", len(t)+1)
	t[groupKey(plain)] = names
	return plain
}

// groupKey is a pattern as it is kept. The property source has slashes escaped,
// in one way or, inside brackets, another.
func groupKey(pattern string) string {
	return strings.ReplaceAll(strings.ReplaceAll(pattern, `\u002f`, "/"), `\/`, "/")
}

// groupNames lists the names of a pattern's capturing groups by number, "" for
// one without a name and for the whole match, and returns the pattern without
// them.
func groupNames(pattern string) (names []string, plain string) {
	names = []string{""}
	var b strings.Builder
	class := false
	for i := 0; i < len(pattern); i++ {
		b.WriteByte(pattern[i])
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			i++
			b.WriteByte(pattern[i])
		case c == '[':
			class = true
		case c == ']':
			class = false
		case c == '(' && !class:
			rest := pattern[i+1:]
			if !strings.HasPrefix(rest, "?") {
				names = append(names, "")
			} else if strings.HasPrefix(rest, "?<") && !strings.HasPrefix(rest, "?<=") && !strings.HasPrefix(rest, "?<!") {
				name, _, _ := strings.Cut(rest[2:], ">")
				names = append(names, name)
				i += len(name) + 3
			}
		}
	}
	return names, b.String()
}

// stripGroups takes the names out of every literal of a program.
func stripGroups(program *ast.Program) groupTable {
	t := groupTable{}
	walk(program, func(n ast.Node, _ []ast.Node) {
		if r, ok := n.(*ast.RegExpLiteral); ok {
			if plain := t.strip(r.Pattern); plain != r.Pattern {
				r.Pattern, r.Literal = plain, "/"+plain+"/"+r.Flags
			}
		}
	})
	return t
}

// namesOf returns the names of a regular expression's groups, nil without any.
func (inv *invocation) namesOf(v sobek.Value) []string {
	o, ok := v.(*sobek.Object)
	if !ok || o.ClassName() != "RegExp" {
		return nil
	}
	source := groupKey(o.Get("source").String())
	if names := inv.program.groups[source]; names != nil {
		return names
	}
	return inv.groups[source]
}

// numberGroups writes each $<name> of a replacement as the group's number.
func numberGroups(replacement string, names []string) string {
	var b strings.Builder
	for i := 0; i < len(replacement); i++ {
		rest := replacement[i:]
		switch {
		case strings.HasPrefix(rest, "$$"):
			b.WriteString("$$")
			i++
		case strings.HasPrefix(rest, "$<") && strings.Contains(rest, ">"):
			name, _, _ := strings.Cut(rest[2:], ">")
			for n, candidate := range names {
				if candidate == name && name != "" {
					fmt.Fprintf(&b, "$%02d", n)
				}
			}
			i += len(name) + 2
		default:
			b.WriteByte(replacement[i])
		}
	}
	return b.String()
}

// groupAmendments give the result of exec its groups, and take the names out of
// patterns that are made while the program runs.
func groupAmendments() []amendment {
	return []amendment{
		{[]string{"groups"}, func(inv *invocation) {
			proto := inv.intrinsic("RegExp.prototype")
			original, ok := proto.Get("exec").Export().(func(sobek.FunctionCall) sobek.Value)
			if !ok {
				return
			}
			define(proto, "exec", inv.function(func(c sobek.FunctionCall) sobek.Value {
				result := original(c)
				if match, ok := result.(*sobek.Object); ok {
					set(match, "groups", inv.groupsOf(match, inv.namesOf(c.This)))
				}
				return result
			}))
		}},
		{[]string{"RegExp"}, func(inv *invocation) {
			inv.replaceConstructor("RegExp", func(args []sobek.Value) {
				if len(args) > 0 && sobek.IsString(args[0]) {
					if inv.groups == nil {
						inv.groups = groupTable{}
					}
					args[0] = inv.vm.ToValue(inv.groups.strip(args[0].String()))
				}
			})
		}},
	}
}

func (inv *invocation) groupsOf(match *sobek.Object, names []string) sobek.Value {
	if names == nil {
		return sobek.Undefined()
	}
	groups := inv.vm.CreateObject(nil)
	for n, name := range names {
		if name != "" {
			set(groups, name, match.Get(fmt.Sprint(n)))
		}
	}
	return groups
}
