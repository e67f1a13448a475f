package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	kvs "github.com/aws/aws-sdk-go-v2/service/cloudfrontkeyvaluestore"
	kvstypes "github.com/aws/aws-sdk-go-v2/service/cloudfrontkeyvaluestore/types"
	"github.com/spf13/cobra"
)

// An itemRow is one key with its value.
type itemRow struct {
	Key   string `json:"Key"`
	Value string `json:"Value"`
}

func (itemRow) header() []string  { return []string{"Key", "Value"} }
func (r itemRow) cells() []string { return []string{r.Key, r.Value} }

// A writeRow is a store as it stands after a write.
type writeRow struct {
	ETag             string `json:"ETag"`
	ItemCount        int32  `json:"ItemCount"`
	TotalSizeInBytes int64  `json:"TotalSizeInBytes"`
}

func (writeRow) header() []string { return []string{"ETag", "ItemCount", "TotalSizeInBytes"} }

func (r writeRow) cells() []string {
	return []string{r.ETag, strconv.Itoa(int(r.ItemCount)), strconv.FormatInt(r.TotalSizeInBytes, 10)}
}

// A keyCommand holds what the verbs of `popkv key` share.
type keyCommand struct {
	app *app
	on  *targetFlags
	out *output
}

func (a *app) keyCommand() *cobra.Command {
	k := &keyCommand{app: a}
	cmd := a.group("key", "Read and write the keys of a store", k.get(), k.put(), k.rm(), k.ls())
	cmd.Long = "Read and write the keys of a store. STORE is a name or an ARN."
	k.on, k.out = a.addTarget(cmd), a.addOutput(cmd)
	return cmd
}

// open makes the clients and finds the store.
func (k *keyCommand) open(cmd *cobra.Command, store string) (*clients, string, error) {
	c, err := k.on.clients(cmd)
	if err != nil {
		return nil, "", err
	}
	arn, err := c.arn(cmd.Context(), store)
	return c, arn, err
}

func (k *keyCommand) get() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: "get STORE KEY", Short: "Print the value of a key", Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkKeys(cmd, args[1]); err != nil {
				return err
			}
			c, arn, err := k.open(cmd, args[0])
			if err != nil {
				return err
			}
			out, err := c.kvs.GetKey(cmd.Context(), &kvs.GetKeyInput{KvsARN: &arn, Key: &args[1]})
			if err != nil {
				return during(err, "get key %s of store %s", printable(args[1]), args[0])
			}
			value := aws.ToString(out.Value)
			switch {
			case raw:
				_, err = io.WriteString(k.app.stdout, value)
			case k.out.String() == "table":
				if isTerminal(k.app.stdout) {
					value = readable(value)
				}
				_, err = fmt.Fprintln(k.app.stdout, value)
			default:
				err = one(k.out, itemRow{args[1], value})
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "print the bytes of the value and nothing else")
	return cmd
}

func (k *keyCommand) put() *cobra.Command {
	var ifMatch string
	cmd := &cobra.Command{
		Use: "put STORE KEY VALUE", Short: "Set the value of a key", Args: exactly(3),
		Long: `Set the value of a key. VALUE is the value itself, - to read it from stdin, or
@FILE to read it from a file; both are taken byte for byte, with the newline at
the end if there is one.

The store's ETag is read first, and again when another writer was faster;
--if-match writes only if the ETag is the one you saw.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			key := args[1]
			if err := checkKeys(cmd, key); err != nil {
				return err
			}
			value, err := k.app.value(cmd, args[2])
			if err != nil {
				return err
			}
			return k.write(cmd, args[0], ifMatch, "putting key "+printable(key), func(ctx context.Context, c *clients, arn, etag string) (writeRow, error) {
				out, err := c.kvs.PutKey(ctx, &kvs.PutKeyInput{KvsARN: &arn, Key: &key, Value: &value, IfMatch: &etag})
				if err != nil {
					return writeRow{}, err
				}
				return writeRow{aws.ToString(out.ETag), aws.ToInt32(out.ItemCount), aws.ToInt64(out.TotalSizeInBytes)}, nil
			})
		},
	}
	cmd.Flags().StringVar(&ifMatch, "if-match", "", "write only if the store's ETag is this one")
	return cmd
}

// checkKeys refuses what cannot be a key anywhere.
func checkKeys(cmd *cobra.Command, keys ...string) error {
	for _, key := range keys {
		if key == "" {
			return usagef(cmd, "a key is not empty")
		}
		if !utf8.ValidString(key) {
			return usagef(cmd, "the key is not valid UTF-8")
		}
	}
	return nil
}

// value reads the value that a command line names.
func (a *app) value(cmd *cobra.Command, arg string) (string, error) {
	value := arg
	if arg == "-" {
		b, err := readAll(cmd.Context(), a.stdin)
		if err != nil {
			return "", during(err, "read stdin")
		}
		value = string(b)
	} else if path, ok := strings.CutPrefix(arg, "@"); ok {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		value = string(b)
	}
	if !utf8.ValidString(value) {
		return "", usagef(cmd, "the value is not valid UTF-8")
	}
	return value, nil
}

// readAll reads r to its end, or until ctx ends: a terminal may have none. The
// read then goes on for as long as the program does.
func readAll(ctx context.Context, r io.Reader) ([]byte, error) {
	type result struct {
		b   []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		b, err := io.ReadAll(r)
		done <- result{b, err}
	}()
	select {
	case got := <-done:
		return got.b, got.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (k *keyCommand) rm() *cobra.Command {
	var ifMatch string
	cmd := &cobra.Command{
		Use: "rm STORE KEY...", Short: "Delete keys", Args: between(2, -1),
		Long: `Delete keys. Several keys are deleted in one step: all or none. A key that does
not exist is no error.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkKeys(cmd, args[1:]...); err != nil {
				return err
			}
			what := "deleting key " + printable(args[1])
			if len(args) > 2 {
				what = fmt.Sprintf("deleting %d keys", len(args)-1)
			}
			return k.write(cmd, args[0], ifMatch, what, func(ctx context.Context, c *clients, arn, etag string) (writeRow, error) {
				return deleteKeys(ctx, c, arn, etag, args[1:])
			})
		},
	}
	cmd.Flags().StringVar(&ifMatch, "if-match", "", "delete only if the store's ETag is this one")
	return cmd
}

func deleteKeys(ctx context.Context, c *clients, arn, etag string, keys []string) (writeRow, error) {
	if len(keys) == 1 {
		out, err := c.kvs.DeleteKey(ctx, &kvs.DeleteKeyInput{KvsARN: &arn, Key: &keys[0], IfMatch: &etag})
		if err != nil {
			return writeRow{}, err
		}
		return writeRow{aws.ToString(out.ETag), aws.ToInt32(out.ItemCount), aws.ToInt64(out.TotalSizeInBytes)}, nil
	}
	in := &kvs.UpdateKeysInput{KvsARN: &arn, IfMatch: &etag}
	for _, key := range keys {
		in.Deletes = append(in.Deletes, kvstypes.DeleteKeyRequestListItem{Key: aws.String(key)})
	}
	out, err := c.kvs.UpdateKeys(ctx, in)
	if err != nil {
		return writeRow{}, err
	}
	return writeRow{aws.ToString(out.ETag), aws.ToInt32(out.ItemCount), aws.ToInt64(out.TotalSizeInBytes)}, nil
}

// write finds the store, says where the write goes, and does it with the ETag.
func (k *keyCommand) write(cmd *cobra.Command, store, ifMatch, what string,
	do func(ctx context.Context, c *clients, arn, etag string) (writeRow, error)) error {
	c, arn, err := k.open(cmd, store)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	k.app.announce(c.target, "%s in store %s", what, store)
	var after writeRow
	err = k.app.withETag(ctx, ifMatch, func() (string, error) {
		out, err := c.kvs.DescribeKeyValueStore(ctx, &kvs.DescribeKeyValueStoreInput{KvsARN: &arn})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.ETag), nil
	}, func(etag string) (err error) {
		after, err = do(ctx, c, arn, etag)
		return err
	})
	if err != nil {
		return during(err, "%s in store %s", what, store)
	}
	return one(k.out, after)
}

func (k *keyCommand) ls() *cobra.Command {
	var prefix string
	cmd := &cobra.Command{
		Use: "ls STORE", Short: "List keys and values", Args: exactly(1),
		Long: "List keys and values. All pages are read, 50 items each.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, arn, err := k.open(cmd, args[0])
			if err != nil {
				return err
			}
			rows, err := c.items(cmd.Context(), arn, prefix)
			if err != nil {
				return during(err, "list keys of store %s", args[0])
			}
			return list(k.out, rows)
		},
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only keys that begin with this; every page is read all the same")
	return cmd
}

func (c *clients) items(ctx context.Context, arn, prefix string) ([]itemRow, error) {
	var rows []itemRow
	in := &kvs.ListKeysInput{KvsARN: &arn, MaxResults: aws.Int32(50)}
	for pages := kvs.NewListKeysPaginator(c.kvs, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			if key := aws.ToString(item.Key); strings.HasPrefix(key, prefix) {
				rows = append(rows, itemRow{key, aws.ToString(item.Value)})
			}
		}
	}
	return rows, nil
}
