package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/config"
)

func (accessKey) header() []string {
	return []string{"AccessKeyId", "Account", "User", "Created", "Expires", "PublicKeyOnly"}
}

func (k accessKey) cells() []string {
	return []string{k.AccessKeyID, k.Account, k.User, timestamp(k.Created), timestamp(k.Expires), strconv.FormatBool(k.PublicKeyOnly)}
}

// A newAccessKey is an access key with its secret, printed once.
type newAccessKey struct{ accessKey }

func (k newAccessKey) header() []string {
	return append(k.accessKey.header(), "SecretAccessKey", "SessionToken")
}

func (k newAccessKey) cells() []string {
	return append(k.accessKey.cells(), k.SecretAccessKey, k.SessionToken)
}

// An accessKeyCommand holds what the verbs of `popkv access-key` share.
type accessKeyCommand struct {
	on  *keeperFlags
	out *output
}

func (a *app) accessKeyCommand() *cobra.Command {
	k := &accessKeyCommand{}
	cmd := a.group("access-key", "Create, list, rotate and remove access keys", k.create(), k.list(), k.rotate(), k.rm())
	cmd.Long = `Create, list, rotate and remove access keys, of a running server or, with
--data-dir, of one that is not running. A secret is printed once, when it is
made, and cannot be shown again.`
	k.on, k.out = a.addKeeper(cmd), a.addOutput(cmd)
	k.on.offline.addKeys(cmd)
	return cmd
}

func (k *accessKeyCommand) create() *cobra.Command {
	var r keyRequest
	var expires string
	cmd := &cobra.Command{
		Use: "create", Short: "Create an access key and print it with its secret", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r.Account = k.on.offline.account
			if expires != "" {
				life, err := config.ParseDuration(expires)
				if err != nil || life < time.Second {
					return usagef(cmd, "--expires %s is not a duration such as 15m or 12h", expires)
				}
				r.ExpiresInSeconds = int64(life / time.Second)
			}
			return k.on.with(cmd, "creating an access key of user "+r.User, func(ctx context.Context, keep keeper) error {
				key, err := keep.createKey(ctx, r)
				if err != nil {
					return during(err, "create access key")
				}
				return one(k.out, newAccessKey{key})
			})
		},
	}
	cmd.Flags().StringVar(&r.User, "user", popkv.RootUser, "user of the key; root may do everything, others what their policies allow")
	cmd.Flags().BoolVar(&r.PublicKeyOnly, "public-key-only", false, "let the server keep only the public key: the key then signs with SigV4A alone")
	cmd.Flags().StringVar(&expires, "expires", "", "make a temporary key with a session token, valid this long: 1h")
	return cmd
}

func (k *accessKeyCommand) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List access keys, without secrets", Args: exactly(0), Aliases: []string{"ls"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.on.with(cmd, "", func(ctx context.Context, keep keeper) error {
				keys, err := keep.keys(ctx)
				if err != nil {
					return during(err, "list access keys")
				}
				return list(k.out, keys)
			})
		},
	}
}

func (k *accessKeyCommand) rotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate ID", Short: "Replace an access key by a new one of the same user", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.on.with(cmd, "rotating access key "+args[0], func(ctx context.Context, keep keeper) error {
				key, err := keep.rotateKey(ctx, args[0])
				if err != nil {
					return during(err, "rotate access key %s", args[0])
				}
				return one(k.out, newAccessKey{key})
			})
		},
	}
}

func (k *accessKeyCommand) rm() *cobra.Command {
	return &cobra.Command{
		Use: "rm ID", Short: "Remove an access key", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.on.with(cmd, "removing access key "+args[0], func(ctx context.Context, keep keeper) error {
				return during(keep.removeKey(ctx, args[0]), "remove access key %s", args[0])
			})
		},
	}
}
