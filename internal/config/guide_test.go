package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite generated files")

func TestGuideIsCurrent(t *testing.T) {
	const path = "../../docs/guide/configuration.md"
	if *update {
		if err := os.WriteFile(path, []byte(guide()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(guide(), string(text)); diff != "" {
		t.Errorf("the guide is stale: run go test -run TestGuide -update\n%s", diff)
	}
}

const guideIntro = `# Configuration

<!-- Generated from internal/config; run ` + "`go test ./internal/config -run TestGuide -update`" + ` after a change. -->

Every setting has one key. Its environment variable is the key in upper case
after ` + "`POPKV_`" + `, with ` + "`_`" + ` for ` + "`.`" + `; its flag is the key with ` + "`-`" + ` for ` + "`.`" + ` and ` + "`_`" + `:
` + "`s3.endpoint`, `POPKV_S3_ENDPOINT`, `--s3-endpoint`" + `.

` + "`popkv dev` and `popkv serve`" + ` take all of them. A flag wins over the environment,
the environment over the file, the file over the default. The file is YAML, named
by ` + "`--config`" + ` or ` + "`POPKV_CONFIG`" + `; keys may be nested or written with dots:

` + "```yaml" + `
account_id: 123456789012
listen: 0.0.0.0:8080
public_hosts: [kvs.example.com]
limits:
  stores: 500
` + "```" + `

Unknown flags and unknown keys in the file are refused. An unknown ` + "`POPKV_`" + `
variable is a warning, and an empty one counts as not set. ` + "`popkv config show --origin`" + `
prints what is in effect and where each value came from.

A secret can also be read from a file: add ` + "`_file`" + ` to its key (` + "`_FILE`, `-file`" + ` for the
variable and the flag) and give the file's name. Secrets are never printed.

Sizes are bytes: ` + "`512B`, `64KiB` (1024), `5MB`" + ` (1000). Durations are ` + "`250ms`, `1m30s`, `7d`" + `.
Lists are separated by commas.
`

// guide writes docs/guide/configuration.md from the table.
func guide() string {
	var b strings.Builder
	b.WriteString(guideIntro)
	section := "-"
	for _, s := range Settings() {
		name := ""
		if before, _, ok := strings.Cut(s.Key, "."); ok {
			name = before
		}
		if name != section {
			section = name
			fmt.Fprintf(&b, "\n## %s\n\n| key | variable, flag | value | default | meaning |\n|---|---|---|---|---|\n", sectionTitle(name))
		}
		fmt.Fprintf(&b, "| `%s` | `%s` `--%s` | %s | %s | %s |\n", s.Key, s.Env(), s.Flag(), s.Kind, guideDefault(s), guideHelp(s))
	}
	return b.String()
}

func sectionTitle(name string) string {
	if name == "" {
		return "Server"
	}
	return "`" + name + "`"
}

func guideDefault(s Setting) string {
	quote := func(text string) string {
		if text == "" {
			return "none"
		}
		return "`" + text + "`"
	}
	if s.DefaultFor(Dev) == s.DefaultFor(Serve) {
		return quote(s.Default)
	}
	return quote(s.Default) + "; `dev`: " + quote(s.Dev)
}

func guideHelp(s Setting) string {
	help := s.Help
	if s.Zero != "" {
		help += "; 0: " + s.Zero
	}
	if s.Alias != "" {
		help += "; also `--" + s.Alias + "`"
	}
	return help
}
