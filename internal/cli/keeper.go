package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/popkv/popkv"
)

// A keeper keeps access keys and policies: a running server, or a data
// directory that no server has open.
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

// keeperFlags choose between a server and a data directory.
type keeperFlags struct {
	on      *targetFlags
	offline dataDirFlags
}

// addKeeper defines the flags that choose on cmd and its children.
func (a *app) addKeeper(cmd *cobra.Command) *keeperFlags {
	f := &keeperFlags{on: &targetFlags{app: a}}
	cmd.PersistentFlags().StringVar(&f.on.endpoint, "endpoint", "", "URL of a running server (or POPKV_ENDPOINT)")
	cmd.PersistentFlags().StringVar(&f.on.profile, "profile", "", "profile of the AWS configuration to take credentials from")
	f.offline.add(cmd)
	return f
}

// isOffline reports whether the flags name a data directory.
func (f *keeperFlags) isOffline(cmd *cobra.Command) (bool, error) {
	if f.offline.dir != "" && f.on.endpoint != "" {
		return false, usagef(cmd, "--endpoint and --data-dir exclude each other")
	}
	return f.offline.dir != "", nil
}

// open returns the keeper that the flags name.
func (f *keeperFlags) open(cmd *cobra.Command) (keeper, error) {
	if account := f.offline.account; account != "" && !popkv.IsAccount(account) {
		return nil, usagef(cmd, "--account %s is not 12 digits", account)
	}
	offline, err := f.isOffline(cmd)
	if err != nil {
		return nil, err
	}
	if offline {
		mayMake := cmd.Name() == "create" || cmd.Name() == "put"
		return f.offline.open(cmd.Context(), f.on.app, mayMake)
	}
	if f.offline.account != "" && cmd.Name() != "create" || f.offline.keyFile != "" {
		return nil, usagef(cmd, "a running server knows your account and its secrets key file: give --account and --secrets-key-file with --data-dir only")
	}
	return f.server(cmd)
}

// server returns the management API of the server that the flags name.
func (f *keeperFlags) server(cmd *cobra.Command) (*management, error) {
	data, _, source := f.on.endpoints()
	if data == "" {
		return nil, usagef(cmd, "no target: give --endpoint URL of a running server, set POPKV_ENDPOINT, or give --data-dir DIR when none is running")
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
	defer func() { err = errors.Join(err, k.close()) }()
	if what != "" {
		fmt.Fprintf(f.on.app.stderr, "%s on %s\n", what, k)
	}
	return do(cmd.Context(), k)
}
