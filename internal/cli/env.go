package cli

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/popkv/popkv/internal/config"
)

// shells are the values of `popkv env --shell`.
func shells() []string { return []string{"sh", "fish", "powershell", "dotenv"} }

func (a *app) envCommand() *cobra.Command {
	var endpoint, shell string
	var proxy bool
	cmd := &cobra.Command{
		Use: "env", Short: "Print the variables that point AWS clients at popkv", Args: exactly(0),
		Long: `Print the variables that point AWS clients at popkv:

  eval "$(popkv env)"                              sh, bash, zsh
  popkv env --shell fish | source                  fish
  popkv env --shell powershell | Invoke-Expression PowerShell
  popkv env --shell dotenv > .env                  docker run --env-file

Without settings these are the address and the key of "popkv dev". A secret of
your own is not printed: the lines refer to the variable that holds it.

The SDKs put the account id in front of the host: 000000000000.localhost. Where
that name does not resolve, "popkv doctor" shows the line that mends it;
--proxy sends the clients through popkv instead, which then needs no name.`,
	}
	cmd.Flags().StringVar(&endpoint, "endpoint", "", "URL of the server (or POPKV_ENDPOINT; default: where \"popkv dev\" listens)")
	cmd.Flags().StringVar(&shell, "shell", "", "sh, fish, powershell or dotenv (default: by $SHELL)")
	cmd.Flags().BoolVar(&proxy, "proxy", false, "also set HTTP_PROXY to popkv, for names that do not resolve")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		local, err := a.localServer(endpoint)
		if err != nil {
			return usagef(cmd, "%v", err)
		}
		if shell == "" {
			shell = a.detectShell()
		}
		if !slices.Contains(shells(), shell) {
			return usagef(cmd, "--shell %s is not one of %s", shell, strings.Join(shells(), ", "))
		}
		for _, v := range a.variables(local, proxy) {
			fmt.Fprintln(a.stdout, v.line(shell))
		}
		a.explainEnv(cmd, local, proxy)
		return nil
	}
	return cmd
}

// A localServer is the server that `env` and `doctor` speak of: the endpoint
// that the environment names, or else what `popkv dev` would run.
type localServer struct {
	endpoint *url.URL
	account  string
	config   config.Config
}

func (a *app) localServer(endpoint string) (localServer, error) {
	loaded, err := config.Load(config.Source{Command: config.Dev, Environ: a.environ, File: a.getenv(config.FileEnv)})
	if err != nil {
		return localServer{}, err
	}
	c := loaded.Config
	if endpoint == "" {
		endpoint = a.getenv("POPKV_ENDPOINT")
	}
	if endpoint == "" {
		endpoint = endpointOf(c)
	}
	u, err := parseEndpoint(endpoint)
	return localServer{u, c.AccountID, c}, err
}

// endpointOf is the URL of a server on this machine with these settings.
func endpointOf(c config.Config) string {
	scheme := "http"
	if c.TLS.Enabled() {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(c.Listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		host = "localhost" // an address cannot carry the account label
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// labelled is the host that SDKs make of the endpoint's.
func (l localServer) labelled() string { return l.account + "." + l.endpoint.Hostname() }

// A variable is one line of `popkv env`: a value, a reference to another
// variable, or, with neither, the removal of the variable.
type variable struct {
	name, value, reference string
	emptyDiffers           bool // for clients, empty is not the same as not set
}

// variables returns what AWS clients need. AWS_DEFAULT_REGION is for boto3 and
// the AWS CLI v1, AWS_REGION for everyone else (observed).
func (a *app) variables(l localServer, proxy bool) []variable {
	endpoint := l.endpoint.String()
	vars := []variable{
		{name: "POPKV_ENDPOINT", value: endpoint},
		{name: "AWS_ENDPOINT_URL_CLOUDFRONT", value: endpoint},
		{name: "AWS_ENDPOINT_URL_CLOUDFRONT_KEYVALUESTORE", value: endpoint},
		{name: "AWS_ENDPOINT_URL_STS", value: endpoint},
		{name: "AWS_REGION", value: signingRegion},
		{name: "AWS_DEFAULT_REGION", value: signingRegion},
	}
	vars = append(vars, a.keyVariables(l.config)...)
	// A profile goes before the key in some clients (JavaScript: measured), and
	// one that does not exist stops the others.
	vars = append(vars, variable{name: "AWS_PROFILE", emptyDiffers: true})
	if proxy {
		vars = append(vars,
			variable{name: "HTTP_PROXY", value: endpoint}, variable{name: "http_proxy", value: endpoint},
			variable{name: "NO_PROXY"}, variable{name: "no_proxy"})
	}
	return vars
}

// keyVariables point the AWS variables at the access key: the client's own if
// it has one, else the server's root key. Only the sample key of `popkv dev`
// is printed.
func (a *app) keyVariables(c config.Config) []variable {
	const id, secret, token = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
	switch {
	case a.getenv("POPKV_ACCESS_KEY_ID") != "":
		vars := []variable{{name: id, reference: "POPKV_ACCESS_KEY_ID"}, {name: secret, reference: "POPKV_SECRET_ACCESS_KEY"}, {name: token}}
		if a.getenv("POPKV_SESSION_TOKEN") != "" {
			vars[2].reference = "POPKV_SESSION_TOKEN"
		}
		return vars
	case a.getenv("POPKV_ROOT_ACCESS_KEY_ID") != "":
		return []variable{{name: id, reference: "POPKV_ROOT_ACCESS_KEY_ID"}, {name: secret, reference: "POPKV_ROOT_SECRET_ACCESS_KEY"}, {name: token}}
	}
	return []variable{{name: id, value: c.RootAccessKeyID}, {name: secret, value: sampleSecret()}, {name: token}}
}

// sampleSecret is the secret that `popkv dev` is born with; it protects nothing.
func sampleSecret() string {
	c := config.Default(config.Dev)
	return c.RootSecretAccessKey.Reveal()
}

// line writes the variable in a shell's language.
func (v variable) line(shell string) string {
	switch shell {
	case "fish":
		switch {
		case v.reference != "":
			return "set -gx " + v.name + " $" + v.reference
		case v.value != "":
			return "set -gx " + v.name + " '" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v.value) + "'"
		}
		return "set -e " + v.name
	case "powershell":
		switch {
		case v.reference != "":
			return "$env:" + v.name + " = $env:" + v.reference
		case v.value != "":
			return "$env:" + v.name + " = '" + strings.ReplaceAll(v.value, "'", "''") + "'"
		}
		return "$env:" + v.name + " = $null"
	case "dotenv":
		if v.reference != "" {
			return "# " + v.name + ": the value of " + v.reference
		}
		if v.value == "" && v.emptyDiffers {
			return "# " + v.name + ": not set"
		}
		return v.name + "=" + v.value
	}
	switch {
	case v.reference != "":
		return "export " + v.name + `="$` + v.reference + `"`
	case v.value != "":
		return "export " + v.name + "='" + strings.ReplaceAll(v.value, "'", `'\''`) + "'"
	}
	return "unset " + v.name
}

func (a *app) detectShell() string {
	switch path.Base(a.getenv("SHELL")) {
	case "fish":
		return "fish"
	case "pwsh":
		return "powershell"
	case ".", "/":
		if runtime.GOOS == "windows" {
			return "powershell"
		}
	}
	return "sh"
}

// explainEnv says on stderr what the variables alone cannot do.
func (a *app) explainEnv(cmd *cobra.Command, l localServer, proxy bool) {
	if proxy && l.endpoint.Scheme == "https" {
		fmt.Fprintln(a.stderr, "popkv: HTTP_PROXY does not apply to https endpoints")
	}
	if proxy || len(lookup(cmd.Context(), l.labelled())) > 0 {
		return
	}
	fmt.Fprintf(a.stderr, "popkv: %s does not resolve here, so SDKs cannot reach the data plane: "+
		"run `popkv doctor` for the line that mends it, or use `popkv env --proxy`\n", l.labelled())
}
