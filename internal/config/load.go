package config

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"

	"github.com/popkv/popkv"
)

// A Source is where settings are read from.
type Source struct {
	Command Command
	Flags   map[string]string // by key, as [Flags.Given] returns them
	Environ []string          // NAME=value, as os.Environ returns them
	File    string            // path of a YAML file; empty: none
}

// FileEnv names the settings file when no flag does.
const FileEnv = envPrefix + "CONFIG"

// An Origin says which layer a value came from, and in it the exact name:
// `flag --listen`, `environment POPKV_LISTEN`, `file popkv.yaml`, `default`.
type Origin string

// OriginDefault is the origin of a value that nobody gave.
const OriginDefault Origin = "default"

// A Loaded is a configuration and where each value came from.
type Loaded struct {
	Config   Config
	Warnings []string // to be shown once
	origins  map[string]Origin
}

// Origin returns where the value of the setting key came from.
func (l *Loaded) Origin(key string) Origin { return l.origins[key] }

// A Value is one setting as it stands; a secret's Text is ***.
type Value struct {
	Key    string `json:"key"`
	Text   string `json:"value"`
	Origin Origin `json:"origin"`
}

// Values returns every setting in the order of the guide.
func (l *Loaded) Values() []Value {
	var all []Value
	for _, s := range Settings() {
		all = append(all, Value{s.Key, s.text(&l.Config), l.origins[s.Key]})
	}
	return all
}

// Load reads all layers and merges them: flags, environment, file, default.
// Unknown file keys and values that cannot be read are errors, an unknown
// POPKV_ variable is a warning. Load does not check that the settings fit
// together: that is [Config.Validate], so that a configuration which does not
// can still be shown.
func Load(src Source) (*Loaded, error) {
	l := &Loaded{origins: map[string]Origin{}}
	merged := koanf.New(".")
	layers := []func(*Loaded) (*koanf.Koanf, error){src.fileLayer, src.envLayer, src.flagLayer}
	for _, layer := range layers {
		k, err := layer(l)
		if err != nil {
			return nil, err
		}
		if err := resolveSecretFiles(k, l); err != nil {
			return nil, err
		}
		if err := merged.Merge(k); err != nil {
			return nil, err
		}
	}
	l.Config = Default(src.Command)
	l.Config.SecretsKeyFile = ""
	for _, s := range Settings() {
		if !merged.Exists(s.Key) {
			l.origins[s.Key] = OriginDefault
			continue
		}
		if err := s.set(&l.Config, merged.String(s.Key)); err != nil {
			return nil, fmt.Errorf("%s (%s): %w", s.Key, l.origins[s.Key], err)
		}
	}
	l.dropHalfDefaultRoot()
	l.Config.derive()
	return l, nil
}

// dropHalfDefaultRoot keeps the default of one half of the root key from
// joining the half that was given: [Config.Validate] then asks for the other.
func (l *Loaded) dropHalfDefaultRoot() {
	idGiven := l.origins["root.access_key_id"] != OriginDefault
	secretGiven := l.origins["root.secret_access_key"] != OriginDefault
	if idGiven && !secretGiven {
		l.Config.RootSecretAccessKey = popkv.Secret{}
	}
	if secretGiven && !idGiven {
		l.Config.RootAccessKeyID = ""
	}
}

func (src Source) fileLayer(l *Loaded) (*koanf.Koanf, error) {
	k := koanf.New(".")
	if src.File == "" {
		return k, nil
	}
	text, err := os.ReadFile(src.File)
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	flat, err := parseYAML(text)
	if err != nil {
		return nil, fmt.Errorf("settings file %s: %w", src.File, err)
	}
	known := map[string]bool{}
	for _, s := range inputs() {
		known[s.Key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(flat)) {
		if !known[key] {
			return nil, fmt.Errorf("settings file %s: unknown key %s%s; `popkv config show` lists all keys", src.File, key, suggestion(key))
		}
		l.origins[key] = Origin("file " + src.File)
	}
	return k, k.Load(confmap.Provider(flat, "."), nil)
}

func (src Source) envLayer(l *Loaded) (*koanf.Koanf, error) {
	known := map[string]string{}
	for _, s := range inputs() {
		known[s.Env()] = s.Key
	}
	transform := func(name, value string) (string, any) {
		key, ok := known[name]
		if !ok && !slices.Contains(otherVariables(), name) {
			l.Warnings = append(l.Warnings, fmt.Sprintf("the environment variable %s is not a setting and is ignored", name))
		}
		if !ok || value == "" { // an empty variable is one that is not set
			return "", nil
		}
		l.origins[key] = Origin("environment " + name)
		return key, value
	}
	k := koanf.New(".")
	err := k.Load(env.Provider(".", env.Opt{
		Prefix: envPrefix, TransformFunc: transform, EnvironFunc: func() []string { return src.Environ },
	}), nil)
	slices.Sort(l.Warnings)
	return k, err
}

// otherVariables are the POPKV_ variables that are no settings: those of the
// commands that talk to a server, and those of the project's own tests.
func otherVariables() []string {
	return []string{
		FileEnv, "POPKV_ENDPOINT", "POPKV_ACCESS_KEY_ID", "POPKV_SECRET_ACCESS_KEY", "POPKV_SESSION_TOKEN",
		"POPKV_VECTORS", "POPKV_TEST_LONG", "POPKV_SEED",
	}
}

func (src Source) flagLayer(l *Loaded) (*koanf.Koanf, error) {
	flat := map[string]any{}
	for _, s := range inputs() {
		if value, given := src.Flags[s.Key]; given {
			flat[s.Key] = value
			l.origins[s.Key] = Origin("flag --" + s.Flag())
		}
	}
	k := koanf.New(".")
	return k, k.Load(confmap.Provider(flat, "."), nil)
}

// resolveSecretFiles replaces, within one layer, each secret's companion by
// what its file holds.
func resolveSecretFiles(k *koanf.Koanf, l *Loaded) error {
	for _, s := range Settings() {
		companion := s.Key + fileSuffix
		if !s.Secret() || !k.Exists(companion) {
			continue
		}
		if k.Exists(s.Key) {
			return fmt.Errorf("%s and %s are both given (%s): keep one", s.Key, companion, l.origins[s.Key])
		}
		text, err := os.ReadFile(k.String(companion))
		if err != nil {
			return fmt.Errorf("%s (%s): %w", companion, l.origins[companion], err)
		}
		secret := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
		if secret == "" {
			return fmt.Errorf("%s (%s): the file is empty", companion, l.origins[companion])
		}
		k.Delete(companion)
		if err := k.Set(s.Key, secret); err != nil {
			return err
		}
		l.origins[s.Key] = l.origins[companion]
	}
	return nil
}

// suggestion returns a hint at the key that an unknown one was meant to be.
func suggestion(key string) string {
	squash := func(s string) string {
		return strings.NewReplacer(".", "", "_", "", "-", "").Replace(strings.ToLower(s))
	}
	candidates := map[string]string{}
	for _, s := range inputs() {
		candidates[squash(s.Key)] = s.Key
	}
	if near, ok := candidates[squash(key)]; ok {
		return ", did you mean " + near + "?"
	}
	last := key[strings.LastIndexByte(key, '.')+1:]
	for _, name := range slices.Sorted(maps.Values(candidates)) {
		if strings.HasSuffix(name, "."+last) || strings.HasPrefix(name, key+".") {
			return ", did you mean " + name + "?"
		}
	}
	return ""
}
