package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// A keeper keeps access keys and policies.
type keeper interface {
	createKey(ctx context.Context, r keyRequest) (accessKey, error)
	keys(ctx context.Context) ([]accessKey, error)
	removeKey(ctx context.Context, id string) error
	rotateKey(ctx context.Context, id string) (accessKey, error)

	policies(ctx context.Context, user string) ([]string, error)
	policy(ctx context.Context, user, name string) ([]byte, error)
	putPolicy(ctx context.Context, user, name string, document []byte) error
	removePolicy(ctx context.Context, user, name string) error
	simulate(ctx context.Context, s simulation) (decision, error)

	String() string // where it is, for announcements
	close() error
}

// keeperFlags choose a keeper.
type keeperFlags struct {
	on *targetFlags
}

// addKeeper defines the flags that choose a keeper on cmd and its children.
func (a *app) addKeeper(cmd *cobra.Command) *keeperFlags {
	f := &keeperFlags{on: &targetFlags{app: a}}
	cmd.PersistentFlags().StringVar(&f.on.endpoint, "endpoint", "", "URL of a running server (or POPKV_ENDPOINT)")
	cmd.PersistentFlags().StringVar(&f.on.profile, "profile", "", "profile of the AWS configuration to take credentials from")
	return f
}

// open returns the keeper that the flags name.
func (f *keeperFlags) open(cmd *cobra.Command) (keeper, error) {
	return f.server(cmd)
}

// server returns the management API of the server that the flags name.
func (f *keeperFlags) server(cmd *cobra.Command) (*management, error) {
	data, _, source := f.on.endpoints()
	if data == "" {
		return nil, usagef(cmd, "no target: give --endpoint URL of a running server, or set POPKV_ENDPOINT")
	}
	base, err := parseEndpoint(data)
	if err != nil {
		return nil, usagef(cmd, "%s: %v", source, err)
	}
	t := target{data: base, control: base, source: source}
	cfg, err := f.on.credentials(cmd.Context(), t)
	if err != nil {
		return nil, err
	}
	return &management{target: t, creds: cfg.Credentials, now: time.Now}, nil
}

// with opens the keeper, says where a change goes, and closes the keeper after do.
func (f *keeperFlags) with(cmd *cobra.Command, what string, do func(context.Context, keeper) error) (err error) {
	k, err := f.open(cmd)
	if err != nil {
		return err
	}
	defer func() {
		if closed := k.close(); err == nil {
			err = closed
		}
	}()
	if what != "" {
		fmt.Fprintf(f.on.app.stderr, "%s on %s\n", what, k)
	}
	return do(cmd.Context(), k)
}
