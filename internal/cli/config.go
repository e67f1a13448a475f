package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/popkv/popkv/internal/config"
)

// settings are the flags of a command that takes a server's settings.
type settings struct {
	app   *app
	flags *config.Flags
	file  string
}

// addSettings defines a flag for every setting, and --config, on cmd.
func (a *app) addSettings(cmd *cobra.Command, command config.Command) *settings {
	s := &settings{app: a, flags: config.AddFlags(cmd.Flags(), command)}
	cmd.Flags().StringVar(&s.file, "config", "", "settings file in YAML (or "+config.FileEnv+")")
	return s
}

// load reads the settings from all layers and shows what is odd about them.
func (s *settings) load(command config.Command) (*config.Loaded, error) {
	file := s.file
	if file == "" {
		file = s.app.getenv(config.FileEnv)
	}
	loaded, err := config.Load(config.Source{Command: command, Flags: s.flags.Given(), Environ: s.app.environ, File: file})
	if err != nil {
		return nil, codedError{exitUsage, err}
	}
	for _, warning := range loaded.Warnings {
		fmt.Fprintln(s.app.stderr, "popkv: warning: "+warning)
	}
	return loaded, nil
}

// A settingRow is one setting in effect.
type settingRow config.Value

func (settingRow) header() []string  { return []string{"key", "value"} }
func (r settingRow) cells() []string { return []string{r.Key, r.Text} }

// An originRow is a setting and where its value came from.
type originRow config.Value

func (originRow) header() []string  { return []string{"key", "value", "origin"} }
func (r originRow) cells() []string { return []string{r.Key, r.Text, string(r.Origin)} }

func (a *app) configCommand() *cobra.Command {
	return a.group("config", "Show the settings of a server", a.configShowCommand())
}

func (a *app) configShowCommand() *cobra.Command {
	var origin, dev bool
	cmd := &cobra.Command{
		Use: "show", Short: "Print the settings in effect", Args: exactly(0),
		Long: `Print the settings that "popkv serve" would run with, given the same flags,
environment and file. Secrets are shown as ***. Settings that do not fit
together are printed all the same, followed by what is wrong with them.`,
	}
	s, out := a.addSettings(cmd, config.Serve), a.addOutput(cmd)
	cmd.Flags().BoolVar(&origin, "origin", false, "print also where each value comes from")
	cmd.Flags().BoolVar(&dev, "dev", false, "the settings of \"popkv dev\"")
	cmd.RunE = func(*cobra.Command, []string) error {
		command := config.Serve
		if dev {
			command = config.Dev
		}
		loaded, err := s.load(command)
		if err != nil {
			return err
		}
		if err := listSettings(out, loaded.Values(), origin); err != nil {
			return err
		}
		if err := loaded.Config.Validate(); err != nil {
			return codedError{exitUsage, err}
		}
		return nil
	}
	return cmd
}

func listSettings(out *output, values []config.Value, origin bool) error {
	if origin {
		rows := make([]originRow, len(values))
		for i, v := range values {
			rows[i] = originRow(v)
		}
		return list(out, rows)
	}
	rows := make([]settingRow, len(values))
	for i, v := range values {
		rows[i] = settingRow(v)
	}
	return list(out, rows)
}
