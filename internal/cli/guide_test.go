package cli

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/popkv/popkv/internal/config"
)

var update = flag.Bool("update", false, "rewrite generated files")

func TestGuideIsCurrent(t *testing.T) {
	const path = "../../docs/guide/cli.md"
	want := guide((&app{}).root())
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, read(t, path)); diff != "" {
		t.Errorf("the guide is stale: run go test -run TestGuide -update\n%s", diff)
	}
}

const guideIntro = `# Commands

<!-- Generated from internal/cli; run ` + "`go test ./internal/cli -run TestGuide -update`" + ` after a change. -->

` + "`popkv NOUN VERB`" + `. Results go to stdout, everything else to stderr. ` + "`-o json`" + ` prints one
document, ` + "`-o jsonl`" + ` one object per line, ` + "`-o csv`" + ` a line of names and then the cells; their
fields are stable. ` + "`-o table`" + `, the default, is for people: control characters are escaped,
and colours appear on a terminal only, unless ` + "`NO_COLOR`" + ` is set.

` + "```" + `
%s
` + "```" + `

Commands for stores, keys and functions work against popkv and AWS. Their target is ` + "`--endpoint`" + `, or else
` + "`POPKV_ENDPOINT`" + `, or else ` + "`AWS_ENDPOINT_URL_CLOUDFRONT_KEYVALUESTORE`, `AWS_ENDPOINT_URL_CLOUDFRONT`" + `
and ` + "`AWS_ENDPOINT_URL`" + `; ` + "`--aws`" + ` is the real service. There is no default, and every write names its
target on stderr. Credentials come from the AWS variables, files and profiles, and for popkv from
` + "`POPKV_ACCESS_KEY_ID`, `POPKV_SECRET_ACCESS_KEY` and `POPKV_SESSION_TOKEN`" + ` if they are set.
`

// guide writes docs/guide/cli.md from the command tree.
func guide(root *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, guideIntro, exitHelp)
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" && cmd.Name() != "help" {
			describe(&b, cmd, "##")
		}
	}
	return b.String()
}

func describe(b *strings.Builder, cmd *cobra.Command, level string) {
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	title := cmd.CommandPath()
	if !cmd.HasSubCommands() {
		title = strings.TrimSuffix(cmd.UseLine(), " [flags]")
	}
	fmt.Fprintf(b, "\n%s `%s`\n\n%s\n", level, title, paragraphs(text))
	if rows := flagRows(cmd); rows != "" {
		fmt.Fprintf(b, "\n| flag | meaning |\n|---|---|\n%s", rows)
	}
	for _, child := range cmd.Commands() {
		describe(b, child, level+"#")
	}
}

// paragraphs keeps indented lines as code.
func paragraphs(text string) string {
	var b strings.Builder
	code := false
	for line := range strings.Lines(text) {
		if indented := strings.HasPrefix(line, "  "); indented != code {
			b.WriteString("```\n")
			code = indented
		}
		b.WriteString(strings.TrimPrefix(line, "  "))
	}
	if code {
		b.WriteString("\n```")
	}
	return b.String()
}

// flagRows lists the flags that cmd adds. The settings have a page of their own.
func flagRows(cmd *cobra.Command) string {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.AddFlags(fs, config.Serve)
	var rows []string
	settings := false
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		switch {
		case f.Name == "help" || f.Hidden:
		case fs.Lookup(f.Name) != nil && cmd.Flags().Lookup("config") != nil:
			settings = true
		default:
			name := "`--" + f.Name + "`"
			if f.Shorthand != "" {
				name = "`-" + f.Shorthand + "`, " + name
			}
			rows = append(rows, fmt.Sprintf("| %s | %s |\n", name, f.Usage))
		}
	})
	if settings {
		rows = append(rows, "| every setting | see [Configuration](configuration.md) |\n")
	}
	slices.Sort(rows)
	return strings.Join(rows, "")
}
