package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// A checkRow is what one check of `popkv doctor` found. Mend is the one line
// that puts it right.
type checkRow struct {
	Check  string `json:"Check"`
	Status status `json:"Status"`
	Found  string `json:"Found"`
	Mend   string `json:"Mend,omitempty"`
}

// A status is the outcome of a check.
type status string

const (
	fine    status = "ok"
	warning status = "warning"
	problem status = "problem"
	skipped status = "skipped"
)

func (checkRow) header() []string  { return []string{"Status", "Check", "Found", "Mend"} }
func (r checkRow) cells() []string { return []string{string(r.Status), r.Check, r.Found, r.Mend} }

// A doctor looks at one server from this machine.
type doctor struct {
	app    *app
	server localServer
	hosts  string // path of the hosts file
	now    func() time.Time
}

func (a *app) doctorCommand() *cobra.Command {
	var endpoint, hosts string
	var add, remove bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check the way from AWS clients to popkv", Args: exactly(0),
		Long: `Check the way from AWS clients to popkv: the port, the clock, the resolution of
the host name that SDKs make by putting the account id in front, and whether
the installed AWS CLI, boto3 and JavaScript SDK can sign with SigV4A. For each
problem the line that mends it is printed; nothing is changed unless asked.`,
	}
	out := a.addOutput(cmd)
	cmd.Flags().StringVar(&endpoint, "endpoint", "", "URL of the server (or POPKV_ENDPOINT; default: where \"popkv dev\" listens)")
	cmd.Flags().BoolVar(&add, "add-hosts-line", false, "add the labelled host name to the hosts file")
	cmd.Flags().BoolVar(&remove, "remove-hosts-line", false, "remove what --add-hosts-line added")
	cmd.Flags().StringVar(&hosts, "hosts-file", systemHosts(), "hosts file to change")
	cmd.MarkFlagsMutuallyExclusive("add-hosts-line", "remove-hosts-line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		server, err := a.localServer(endpoint)
		if err != nil {
			return usagef(cmd, "%v", err)
		}
		d := &doctor{app: a, server: server, hosts: hosts, now: time.Now}
		switch {
		case add:
			return d.addLine(cmd.Context())
		case remove:
			return d.removeLines()
		}
		return d.report(out, d.checks(cmd.Context()))
	}
	return cmd
}

func (d *doctor) report(out *output, rows []checkRow) error {
	if err := d.print(out, rows); err != nil {
		return err
	}
	problems := 0
	for _, r := range rows {
		if r.Status == problem {
			problems++
		}
	}
	if problems > 0 {
		return fmt.Errorf("%d of %d checks found a problem", problems, len(rows))
	}
	return nil
}

// print writes one paragraph per check, because the mending lines are long and
// are there to be copied; the other formats print rows.
func (d *doctor) print(out *output, rows []checkRow) error {
	if out.String() != "table" {
		return list(out, rows)
	}
	for _, r := range rows {
		fmt.Fprintf(out.w, "%-8s %s: %s\n", r.Status, r.Check, printable(r.Found))
		if r.Mend != "" {
			fmt.Fprintf(out.w, "         %s\n", printable(r.Mend))
		}
	}
	return nil
}

func (d *doctor) checks(ctx context.Context) []checkRow {
	rows := d.checkServer(ctx)
	rows = append(rows, d.checkName(ctx))
	return append(rows, d.checkAWSCLI(ctx), d.checkBoto3(ctx), d.checkJavaScript(ctx))
}

// checkServer asks the server for anything and looks at the answer's headers:
// popkv names every request, and its clock must agree with ours, because
// signatures are valid for five minutes.
func (d *doctor) checkServer(ctx context.Context) []checkRow {
	port, clock := checkRow{Check: "server"}, checkRow{Check: "clock", Status: skipped, Found: "no answer to compare with"}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.server.endpoint.String()+"/key-value-stores/", nil)
	if err != nil {
		port.Status, port.Found = problem, err.Error()
		return []checkRow{port, clock}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(req)
	if err != nil {
		port.Status, port.Found = problem, errors.Unwrap(err).Error() // without its URL, which was given
		port.Mend = "popkv dev"
		if d.server.endpoint.Scheme == "https" {
			port.Mend = "export AWS_CA_BUNDLE=/path/to/ca.pem SSL_CERT_FILE=/path/to/ca.pem  # if the certificate is not trusted"
		}
		return []checkRow{port, clock}
	}
	answer.Body.Close()
	if answer.Header.Get("x-amzn-RequestId") == "" {
		port.Status, port.Found = problem, "something at "+d.server.endpoint.String()+" answers that is not popkv"
		port.Mend = "popkv dev --listen localhost:8090  # and POPKV_ENDPOINT=http://localhost:8090"
		return []checkRow{port, clock}
	}
	port.Status, port.Found = fine, "popkv answers at "+d.server.endpoint.String()
	return []checkRow{port, d.checkClock(answer.Header.Get("Date"))}
}

func (d *doctor) checkClock(date string) checkRow {
	r := checkRow{Check: "clock"}
	theirs, err := http.ParseTime(date)
	if err != nil {
		r.Status, r.Found = problem, "the server's answer has no Date header; is a proxy in between?"
		return r
	}
	apart := d.now().Sub(theirs).Abs().Truncate(time.Second)
	r.Status, r.Found = fine, fmt.Sprintf("%s apart from the server's, 5m are allowed", apart)
	if apart > time.Minute {
		r.Status, r.Mend = warning, "sudo timedatectl set-ntp true"
	}
	if apart > 5*time.Minute {
		r.Status = problem
	}
	return r
}

// checkName looks at the name that SDKs make of the endpoint's host.
func (d *doctor) checkName(ctx context.Context) checkRow {
	host, name := d.server.endpoint.Hostname(), d.server.labelled()
	r := checkRow{Check: "name"}
	if net.ParseIP(host) != nil {
		r.Status, r.Found = problem, host+" is an address: SDKs put the account id in front of it, and "+name+" is no name"
		r.Mend = "export POPKV_ENDPOINT=http://localhost:" + d.server.endpoint.Port()
		return r
	}
	found := lookup(ctx, name)
	switch {
	case len(found) == 0:
		r.Status, r.Found = problem, name+" does not resolve, and SDKs use it for the data plane"
		if systemResolves(ctx, name) {
			r.Status, r.Found = warning, name+" resolves for programs that ask the C library, but not for Terraform and other Go programs built without it"
		}
		r.Mend = fmt.Sprintf("echo '%s' | sudo tee -a %s  # or: sudo popkv doctor --add-hosts-line", hostsLine(d.address(ctx), name), d.hosts)
	case !d.connects(ctx, found):
		r.Status, r.Found = warning, fmt.Sprintf("%s resolves to %v, where nothing listens on port %s", name, found, d.port())
	default:
		r.Status, r.Found = fine, fmt.Sprintf("%s resolves to %v", name, found)
	}
	return r
}

func (d *doctor) port() string {
	if port := d.server.endpoint.Port(); port != "" {
		return port
	}
	if d.server.endpoint.Scheme == "https" {
		return "443"
	}
	return "80"
}

// connects reports whether any of the addresses takes connections: clients
// try them one after the other.
func (d *doctor) connects(ctx context.Context, addresses []string) bool {
	dialer := net.Dialer{Timeout: 2 * time.Second}
	for _, address := range addresses {
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(address, d.port()))
		if err == nil {
			conn.Close()
			return true
		}
	}
	return false
}

// address is where the labelled name should lead: where the plain name does.
func (d *doctor) address(ctx context.Context) string {
	for _, address := range lookup(ctx, d.server.endpoint.Hostname()) {
		if net.ParseIP(address).To4() != nil {
			return address
		}
	}
	return "127.0.0.1"
}

// lookup resolves a name without the C library, as the strictest of clients
// do; nil if it does not resolve.
func lookup(ctx context.Context, name string) []string {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	addresses, err := (&net.Resolver{PreferGo: true}).LookupHost(ctx, name)
	if err != nil {
		return nil
	}
	return addresses
}

// systemResolves asks the C library, whose plug-ins know more names.
func systemResolves(ctx context.Context, name string) bool {
	_, err, installed := program{name: "getent", args: []string{"hosts", name}}.run(ctx)
	return installed && err == nil
}

func (d *doctor) addLine(ctx context.Context) error {
	line := hostsLine(d.address(ctx), d.server.labelled())
	added, err := addHostsLine(d.hosts, line)
	if err != nil {
		return err
	}
	if !added {
		fmt.Fprintf(d.app.stderr, "%s already has the line: %s\n", d.hosts, line)
		return nil
	}
	fmt.Fprintf(d.app.stderr, "added to %s: %s\n", d.hosts, line)
	return nil
}

func (d *doctor) removeLines() error {
	removed, err := removeHostsLines(d.hosts)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.app.stderr, "removed %d lines from %s\n", removed, d.hosts)
	return nil
}
