package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// Flags are the settings as command-line flags.
type Flags struct{ values []*flagValue }

// AddFlags defines a flag for every setting on fs. The help shows the
// defaults of command.
func AddFlags(fs *pflag.FlagSet, command Command) *Flags {
	f := &Flags{}
	for _, s := range inputs() {
		v := &flagValue{setting: s, shown: s.DefaultFor(command)}
		f.values = append(f.values, v)
		flag := fs.VarPF(v, s.Flag(), "", flagHelp(s))
		if s.Kind == KindBool {
			flag.NoOptDefVal = "true"
		}
		if s.Alias != "" {
			fs.VarPF(v, s.Alias, "", "The same as --"+s.Flag()).Hidden = true
		}
	}
	return f
}

// flagHelp is the help line: back quotes would be taken as the value's name.
func flagHelp(s Setting) string {
	help := strings.ReplaceAll(s.Help, "`", "")
	if s.Secret() {
		help += "; other users of this machine can see it here, prefer " + s.Env() + " or --" + s.companion().Flag()
	}
	return help
}

// Given returns the values that were given on the command line, by key.
func (f *Flags) Given() map[string]string {
	given := map[string]string{}
	for _, v := range f.values {
		if v.given {
			given[v.setting.Key] = v.text
		}
	}
	return given
}

// A flagValue keeps a flag's text; [Load] parses it like every other layer's.
// A list grows with each use of the flag, any other value is replaced.
type flagValue struct {
	setting Setting
	shown   string // the default, for the help
	text    string
	given   bool
}

// Set takes one use of the flag.
func (v *flagValue) Set(text string) error {
	if v.setting.field != nil { // a companion has none
		if err := v.setting.set(new(Config), text); err != nil {
			return err
		}
	}
	if v.setting.Kind == KindList && v.given {
		text = v.text + "," + text
	}
	v.text, v.given = text, true
	return nil
}

// String is the default, as pflag asks for it before parsing.
func (v *flagValue) String() string {
	if v.given || v.setting.Secret() {
		return v.text
	}
	return v.shown
}

// Type names the value in the help.
func (v *flagValue) Type() string {
	switch {
	case v.setting.Kind == KindBool:
		return "bool"
	case v.setting.Kind.choices() != nil:
		return strings.Join(v.setting.Kind.choices(), "|")
	}
	return string(v.setting.Kind)
}
