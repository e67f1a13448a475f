package config

import "strings"

// A Command is the command that a configuration is for; the two differ in
// defaults alone.
type Command string

// The commands that take settings.
const (
	Dev   Command = "dev"
	Serve Command = "serve"
)

// A Setting is one row of the table.
type Setting struct {
	Key     string // as in the file: lower case, sections separated by dots
	Kind    Kind
	Default string // as a user would write it; "" is unset
	Dev     string // the default of dev where it differs
	Zero    string // what 0 means; where empty, a number must be positive
	Help    string // one sentence without a full stop
	Alias   string // a second flag name, without dashes

	field func(*Config) any // pointer to the field that the setting fills
}

// envPrefix begins the name of every variable that popkv reads.
const envPrefix = "POPKV_"

// Env is the setting's environment variable.
func (s Setting) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

// Flag is the setting's flag, without dashes.
func (s Setting) Flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.Key)
}

// DefaultFor is the setting's default for a command, as a user would write it.
func (s Setting) DefaultFor(command Command) string {
	if command == Dev && s.Dev != "" {
		return s.Dev
	}
	return s.Default
}

// Secret reports whether the value must never be shown.
func (s Setting) Secret() bool { return s.Kind == KindSecret }

// fileSuffix makes the companion of a secret: the name of a file that holds it.
const fileSuffix = "_file"

// companion is the setting that names a file holding the secret s.
func (s Setting) companion() Setting {
	return Setting{
		Key: s.Key + fileSuffix, Kind: KindText,
		Help: "File that holds `" + s.Key + "`; one newline at its end is dropped",
	}
}
