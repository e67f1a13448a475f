package cli

import (
	"fmt"
	"log/slog"

	"github.com/lmittmann/tint"

	"github.com/popkv/popkv/internal/config"
)

// logger makes a server's logger: lines for people on a terminal, JSON for
// programs elsewhere, unless the settings choose.
func (a *app) logger(c config.Log) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	terminal := isTerminal(a.stderr)
	if c.Format == "json" || c.Format == "auto" && !terminal {
		return slog.New(slog.NewJSONHandler(a.stderr, &slog.HandlerOptions{Level: level})), nil
	}
	return slog.New(tint.NewHandler(a.stderr, &tint.Options{Level: level, NoColor: !terminal || a.getenv("NO_COLOR") != ""})), nil
}
