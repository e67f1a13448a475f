package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/popkv/popkv/internal/config"
	"github.com/popkv/popkv/internal/server"
)

func (a *app) devCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dev", Short: "Run a server for development, without configuration", Args: exactly(0),
		Long: `Run a server for development: on localhost, with its data in .popkv, account
000000000000 and the access key test with secret test. The files seed/NAME.json
become stores, if they do not exist. Every setting of "popkv serve" can change
that.`,
	}
	s := a.addSettings(cmd, config.Dev)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), s, config.Dev) }
	return cmd
}

func (a *app) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Run a server", Args: exactly(0),
		Long: `Run a server. It needs an account (POPKV_ACCOUNT_ID). The first start makes the
root access key and shows it once on the terminal; without a terminal, give one
in the settings or make one with "popkv access-key create --data-dir DIR".

SIGTERM and interrupt stop it gracefully: requests in progress are finished.`,
	}
	s := a.addSettings(cmd, config.Serve)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), s, config.Serve) }
	return cmd
}

// serve runs a server until ctx ends.
func (a *app) serve(ctx context.Context, s *settings, command config.Command) (err error) {
	loaded, err := s.load(command)
	if err != nil {
		return err
	}
	cfg := loaded.Config
	if err := cfg.Validate(); err != nil {
		return codedError{exitUsage, err}
	}
	log, err := a.logger(cfg.Log)
	if err != nil {
		return err
	}
	origin, err := server.New(ctx, cfg, server.Options{Logger: log, Terminal: a.terminal()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, origin.Close()) }()
	if err := origin.Listen(ctx); err != nil {
		return err
	}
	made, err := origin.Seed(ctx)
	if err != nil {
		return err
	}
	if len(made) > 0 {
		log.Info("stores were seeded", "stores", strings.Join(made, ","))
	}
	if command == config.Dev {
		err = a.banner(origin.URL(), origin.AdminURL(), cfg).write(a.stdout)
	} else {
		log.Info("listening", "api", origin.URL(), "admin", origin.AdminURL())
	}
	if err != nil {
		return err
	}
	return origin.Serve(ctx)
}

// terminal is where a secret may be shown, nil if there is no terminal.
func (a *app) terminal() io.Writer {
	for _, w := range []io.Writer{a.stderr, a.stdout} {
		if isTerminal(w) {
			return w
		}
	}
	return nil
}

// A banner is what `popkv dev` says once it takes requests.
type banner struct {
	program string // how to call popkv in the lines to paste
	api     string // URL
	admin   string // URL
	config  config.Config
	exports []string
}

func (a *app) banner(api, admin string, cfg config.Config) banner {
	b := banner{program: ownName(), api: api, admin: admin, config: cfg}
	endpoint, err := parseEndpoint(api)
	if err != nil {
		return b
	}
	for _, v := range a.variables(localServer{endpoint, cfg.AccountID, cfg}, false) {
		b.exports = append(b.exports, v.line("sh"))
	}
	return b
}

// ownName is how this program is called from another terminal: a popkv on the
// path, or through the go command that built it for this run.
func ownName() string {
	if _, err := exec.LookPath("popkv"); err == nil {
		return "popkv"
	}
	path, err := os.Executable()
	if err != nil {
		return "popkv"
	}
	if strings.Contains(path, "go-build") {
		return "go run ./cmd/popkv"
	}
	return path
}

// write prints the banner. Of secrets it shows only the sample one; its lines
// can be pasted as they are.
func (b banner) write(w io.Writer) error {
	data := "data in " + b.config.DataDir
	if b.config.InMemory {
		data = "data in memory, lost on exit"
	}
	key := b.config.RootAccessKeyID + " with the secret you gave"
	if b.config.RootSecretAccessKey.Reveal() == sampleSecret() {
		key = b.config.RootAccessKeyID + " / " + sampleSecret()
	}
	_, err := fmt.Fprintf(w, `popkv dev (not for production): %[1]s
  API      %[2]s
  Admin    %[3]s  /livez /readyz /metrics
  Account  %[4]s  access key %[5]s

Paste into another terminal:
  %[6]s
  aws cloudfront create-key-value-store --name demo
  %[7]s key put demo hello world
  %[7]s key get demo hello

If an SDK cannot resolve %[4]s.localhost:
  %[7]s doctor
`, data, b.api, b.admin, b.config.AccountID, key, strings.Join(b.exports, "\n  "), b.program)
	return err
}
