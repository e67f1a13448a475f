package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// A policyRow is one policy of a user.
type policyRow struct {
	User string `json:"User"`
	Name string `json:"Name"`
}

func (policyRow) header() []string  { return []string{"User", "Name"} }
func (r policyRow) cells() []string { return []string{r.User, r.Name} }

func (decision) header() []string { return []string{"Decision", "Reason"} }

func (d decision) cells() []string {
	if d.Allowed {
		return []string{"allowed", d.Reason}
	}
	return []string{"denied", d.Reason}
}

// A policyCommand holds what the verbs of `popkv policy` share.
type policyCommand struct {
	app *app
	on  *keeperFlags
	out *output
}

func (a *app) policyCommand() *cobra.Command {
	p := &policyCommand{app: a}
	cmd := a.group("policy", "Manage the policies of users", p.put(), p.get(), p.ls(), p.rm(), p.simulate())
	cmd.Long = `Manage the policies of users: AWS JSON documents that say what a user may do.
They belong to the user, so a rotated access key keeps them.`
	p.on, p.out = a.addKeeper(cmd), a.addOutput(cmd)
	p.on.offline.addKeys(cmd)
	return cmd
}

func (p *policyCommand) put() *cobra.Command {
	return &cobra.Command{
		Use: "put USER NAME [DOCUMENT]", Short: "Set a policy", Args: between(2, 3),
		Long: "Set a policy. DOCUMENT is the JSON itself, @FILE to read it from a file, or - (the default) to read it from stdin.",
		RunE: func(cmd *cobra.Command, args []string) error {
			document, err := p.app.value(cmd, append(args, "-")[2])
			if err != nil {
				return err
			}
			what := fmt.Sprintf("putting policy %s of user %s", args[1], args[0])
			return p.on.with(cmd, what, func(ctx context.Context, keep keeper) error {
				return during(keep.putPolicy(ctx, args[0], args[1], []byte(document)), "put policy %s of user %s", args[1], args[0])
			})
		},
	}
}

func (p *policyCommand) get() *cobra.Command {
	return &cobra.Command{
		Use: "get USER NAME", Short: "Print a policy document", Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.on.with(cmd, "", func(ctx context.Context, keep keeper) error {
				document, err := keep.policy(ctx, args[0], args[1])
				if err != nil {
					return during(err, "get policy %s of user %s", args[1], args[0])
				}
				_, err = fmt.Fprintln(p.app.stdout, strings.TrimSpace(string(document)))
				return err
			})
		},
	}
}

func (p *policyCommand) ls() *cobra.Command {
	return &cobra.Command{
		Use: "ls USER", Short: "List the policies of a user", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.on.with(cmd, "", func(ctx context.Context, keep keeper) error {
				names, err := keep.policies(ctx, args[0])
				if err != nil {
					return during(err, "list policies of user %s", args[0])
				}
				rows := make([]policyRow, len(names))
				for i, name := range names {
					rows[i] = policyRow{args[0], name}
				}
				return list(p.out, rows)
			})
		},
	}
}

func (p *policyCommand) rm() *cobra.Command {
	return &cobra.Command{
		Use: "rm USER NAME", Short: "Remove a policy", Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			what := fmt.Sprintf("removing policy %s of user %s", args[1], args[0])
			return p.on.with(cmd, what, func(ctx context.Context, keep keeper) error {
				return during(keep.removePolicy(ctx, args[0], args[1]), "remove policy %s of user %s", args[1], args[0])
			})
		},
	}
}

func (p *policyCommand) simulate() *cobra.Command {
	var s simulation
	cmd := &cobra.Command{
		Use: "simulate USER ACTION RESOURCE", Short: "Ask whether a user's policies allow an action", Args: exactly(3),
		Long: `Ask whether a user's policies allow an action, without doing it. Denied ends
with exit code 5.

  popkv policy simulate alice cloudfront-keyvaluestore:PutKey 'arn:aws:cloudfront::000000000000:key-value-store/*' --context aws:SourceIp=10.0.0.1`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s.User, s.Action, s.Resource = args[0], args[1], args[2]
			return p.on.with(cmd, "", func(ctx context.Context, keep keeper) error {
				d, err := keep.simulate(ctx, s)
				if err != nil {
					return during(err, "simulate")
				}
				if err := one(p.out, d); err != nil || d.Allowed {
					return err
				}
				return codedError{exitAuth, fmt.Errorf("user %s may not do %s on %s", s.User, s.Action, s.Resource)}
			})
		},
	}
	cmd.Flags().StringToStringVar(&s.Context, "context", nil, "condition key of the request, KEY=VALUE; may be repeated (aws:SecureTransport is true unless given)")
	return cmd
}
