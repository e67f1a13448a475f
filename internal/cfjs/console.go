package cfjs

import (
	"strings"
	"unicode/utf8"

	"github.com/grafana/sobek"
)

// consoleMethods: log is all there is.
func consoleMethods() map[string]hostMethod {
	return map[string]hostMethod{"log": (*invocation).consoleLog}
}

func (inv *invocation) console() sobek.Value {
	return inv.install(inv.vm.NewObject(), inv.program.tables.console)
}

// consoleLog joins its arguments with spaces. AWS documents one argument; its
// engine takes several.
func (inv *invocation) consoleLog(c sobek.FunctionCall) sobek.Value {
	if len(c.Arguments) == 0 || inv.log.full {
		return sobek.Undefined()
	}
	parts := make([]string, len(c.Arguments))
	for i, v := range c.Arguments {
		parts[i] = inv.inspect(v)
	}
	inv.log.add(strings.Join(parts, " "))
	return sobek.Undefined()
}

// A logBuffer holds the lines of one run up to [MaxLogBytes].
type logBuffer struct {
	lines []string
	bytes int
	full  bool
}

func (b *logBuffer) add(line string) {
	if b.full {
		return
	}
	if rest := MaxLogBytes - b.bytes; len(line) >= rest {
		b.full = true
		for rest > 0 && rest < len(line) && !utf8.RuneStart(line[rest]) {
			rest--
		}
		line = line[:min(rest, len(line))]
	}
	b.bytes += len(line)
	b.lines = append(b.lines, line)
}
