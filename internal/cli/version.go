package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// A versionRow says what this binary was built from.
type versionRow struct {
	Version  string `json:"Version"`
	Revision string `json:"Revision,omitempty"`
	Go       string `json:"Go"`
	Platform string `json:"Platform"`
}

func (versionRow) header() []string  { return []string{"Version", "Revision", "Go", "Platform"} }
func (r versionRow) cells() []string { return []string{r.Version, r.Revision, r.Go, r.Platform} }

func (a *app) versionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print the version", Args: exactly(0)}
	out := a.addOutput(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		v := versionRow{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
		if info, ok := debug.ReadBuildInfo(); ok {
			v.Version = info.Main.Version
			for _, s := range info.Settings {
				if s.Key == "vcs.revision" {
					v.Revision = s.Value
				}
			}
		}
		return one(out, v)
	}
	return cmd
}
