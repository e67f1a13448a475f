package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudfrontkeyvaluestore"
	"github.com/spf13/cobra"

	"github.com/popkv/popkv"
)

// A storeRow is a store as `store ls` and `store create` print it.
type storeRow struct {
	Name             string    `json:"Name"`
	Status           string    `json:"Status"`
	ID               string    `json:"Id"`
	ARN              string    `json:"ARN"`
	Comment          string    `json:"Comment"`
	LastModifiedTime time.Time `json:"LastModifiedTime"`
}

func (storeRow) header() []string {
	return []string{"Name", "Status", "Id", "ARN", "Comment", "LastModifiedTime"}
}

func (r storeRow) cells() []string {
	return []string{r.Name, r.Status, r.ID, r.ARN, r.Comment, timestamp(r.LastModifiedTime)}
}

func newStoreRow(s *cftypes.KeyValueStore) storeRow {
	return storeRow{
		Name: aws.ToString(s.Name), Status: aws.ToString(s.Status), ID: aws.ToString(s.Id), ARN: aws.ToString(s.ARN),
		Comment: aws.ToString(s.Comment), LastModifiedTime: aws.ToTime(s.LastModifiedTime),
	}
}

// A storeInfo is what both planes say of one store.
type storeInfo struct {
	storeRow
	ControlETag      string    `json:"ControlETag"`
	ETag             string    `json:"ETag"`
	ItemCount        int32     `json:"ItemCount"`
	TotalSizeInBytes int64     `json:"TotalSizeInBytes"`
	Created          time.Time `json:"Created,omitzero"`
	LastModified     time.Time `json:"LastModified,omitzero"`
	FailureReason    string    `json:"FailureReason,omitempty"`
}

func (i storeInfo) header() []string {
	return append(i.storeRow.header(), "ControlETag", "ETag", "ItemCount", "TotalSizeInBytes", "Created", "LastModified", "FailureReason")
}

func (i storeInfo) cells() []string {
	return append(i.storeRow.cells(), i.ControlETag, i.ETag, strconv.Itoa(int(i.ItemCount)), strconv.FormatInt(i.TotalSizeInBytes, 10),
		timestamp(i.Created), timestamp(i.LastModified), i.FailureReason)
}

// timestamp writes a time as the APIs do; a time that is not known is empty.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// A storeCommand holds what the verbs of `popkv store` share.
type storeCommand struct {
	app *app
	on  *targetFlags
	out *output
}

func (a *app) storeCommand() *cobra.Command {
	s := &storeCommand{app: a}
	cmd := a.group("store", "List, create, inspect and delete stores", s.ls(), s.create(), s.info(), s.rm())
	s.on, s.out = a.addTarget(cmd), a.addOutput(cmd)
	return cmd
}

func (s *storeCommand) ls() *cobra.Command {
	var status string
	cmd := &cobra.Command{
		Use: "ls", Short: "List the stores of the account", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			known := []string{"", string(popkv.Provisioning), string(popkv.Ready), string(popkv.ImportFailure)}
			if !slices.Contains(known, status) {
				return usagef(cmd, "--status %s is not one of %s", status, strings.Join(known[1:], ", "))
			}
			c, err := s.on.clients(cmd)
			if err != nil {
				return err
			}
			rows, err := c.stores(cmd.Context(), status)
			if err != nil {
				return during(err, "list stores")
			}
			return list(s.out, rows)
		},
	}
	cmd.Flags().StringVar(&status, "status", "", "only stores of this status: PROVISIONING, READY or IMPORT_FAILURE")
	return cmd
}

func (c *clients) stores(ctx context.Context, status string) ([]storeRow, error) {
	in := &cloudfront.ListKeyValueStoresInput{}
	if status != "" {
		in.Status = &status
	}
	var rows []storeRow
	for pages := cloudfront.NewListKeyValueStoresPaginator(c.cf, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.KeyValueStoreList.Items {
			rows = append(rows, newStoreRow(&item))
		}
	}
	return rows, nil
}

func (s *storeCommand) create() *cobra.Command {
	var comment, source string
	var tags map[string]string
	var wait bool
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create a store", Args: exactly(1),
		Long: `Create a store, empty or filled from a JSON document in S3:
{"data":[{"key":"k1","value":"v1"}]}`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in := &cloudfront.CreateKeyValueStoreInput{Name: &args[0]}
			if cmd.Flags().Changed("comment") {
				in.Comment = &comment
			}
			if source != "" {
				in.ImportSource = &cftypes.ImportSource{SourceType: cftypes.ImportSourceTypeS3, SourceARN: &source}
			}
			for key, value := range tags {
				if in.Tags == nil {
					in.Tags = &cftypes.Tags{}
				}
				in.Tags.Items = append(in.Tags.Items, cftypes.Tag{Key: aws.String(key), Value: aws.String(value)})
			}
			c, err := s.on.clients(cmd)
			if err != nil {
				return err
			}
			s.app.announce(c.target, "creating store %s", args[0])
			made, err := c.cf.CreateKeyValueStore(cmd.Context(), in)
			if err != nil {
				return during(err, "create store %s", args[0])
			}
			created := newStoreRow(made.KeyValueStore)
			if wait {
				created, err = s.app.awaitReady(cmd.Context(), c, created)
				if err != nil {
					return err
				}
			}
			return one(s.out, created)
		},
	}
	cmd.Flags().StringVar(&comment, "comment", "", "comment of the store")
	cmd.Flags().StringVar(&source, "import", "", "fill the store from this S3 object: arn:aws:s3:::BUCKET/KEY")
	cmd.Flags().StringToStringVar(&tags, "tag", nil, "tag of the store, KEY=VALUE; may be repeated")
	cmd.Flags().BoolVar(&wait, "wait", false, "return when the store is READY")
	return cmd
}

// awaitReady asks until the store has left PROVISIONING. A failed import is an
// error with its reason, which only the data plane knows.
func (a *app) awaitReady(ctx context.Context, c *clients, s storeRow) (storeRow, error) {
	for attempt := 1; s.Status == "PROVISIONING"; attempt++ {
		if err := a.pause(ctx, attempt); err != nil {
			return s, err
		}
		out, err := c.cf.DescribeKeyValueStore(ctx, &cloudfront.DescribeKeyValueStoreInput{Name: &s.Name})
		if err != nil {
			return s, during(err, "wait for store %s", s.Name)
		}
		s = newStoreRow(out.KeyValueStore)
	}
	if s.Status == "READY" {
		return s, nil
	}
	reason := "status " + s.Status
	if data, err := c.kvs.DescribeKeyValueStore(ctx, &cloudfrontkeyvaluestore.DescribeKeyValueStoreInput{KvsARN: &s.ARN}); err == nil {
		reason += ": " + aws.ToString(data.FailureReason)
	}
	return s, fmt.Errorf("store %s was created and did not become READY: %s; delete it with `popkv store rm %s`", s.Name, reason, s.Name)
}

func (s *storeCommand) info() *cobra.Command {
	return &cobra.Command{
		Use: "info STORE", Short: "Show what both planes know of a store", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.on.clients(cmd)
			if err != nil {
				return err
			}
			info, err := c.info(cmd.Context(), args[0])
			if err != nil {
				return during(err, "describe store %s", args[0])
			}
			return one(s.out, info)
		},
	}
}

func (c *clients) info(ctx context.Context, name string) (storeInfo, error) {
	control, err := c.cf.DescribeKeyValueStore(ctx, &cloudfront.DescribeKeyValueStoreInput{Name: &name})
	if err != nil {
		return storeInfo{}, err
	}
	info := storeInfo{storeRow: newStoreRow(control.KeyValueStore), ControlETag: aws.ToString(control.ETag)}
	data, err := c.kvs.DescribeKeyValueStore(ctx, &cloudfrontkeyvaluestore.DescribeKeyValueStoreInput{KvsARN: &info.ARN})
	if err != nil {
		return storeInfo{}, err
	}
	info.ETag = aws.ToString(data.ETag)
	info.ItemCount, info.TotalSizeInBytes = aws.ToInt32(data.ItemCount), aws.ToInt64(data.TotalSizeInBytes)
	info.Created, info.LastModified = aws.ToTime(data.Created), aws.ToTime(data.LastModified)
	info.FailureReason = aws.ToString(data.FailureReason)
	return info, nil
}

func (s *storeCommand) rm() *cobra.Command {
	var ifMatch string
	cmd := &cobra.Command{
		Use: "rm NAME", Short: "Delete a store with all its keys", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.HasPrefix(args[0], "arn:") {
				return usagef(cmd, "a store is deleted by its name, not its ARN")
			}
			c, err := s.on.clients(cmd)
			if err != nil {
				return err
			}
			ctx, name := cmd.Context(), args[0]
			s.app.announce(c.target, "deleting store %s", name)
			err = s.app.withETag(ctx, ifMatch, func() (string, error) {
				out, err := c.cf.DescribeKeyValueStore(ctx, &cloudfront.DescribeKeyValueStoreInput{Name: &name})
				if err != nil {
					return "", err
				}
				return aws.ToString(out.ETag), nil
			}, func(etag string) error {
				_, err := c.cf.DeleteKeyValueStore(ctx, &cloudfront.DeleteKeyValueStoreInput{Name: &name, IfMatch: &etag})
				return err
			})
			return during(err, "delete store %s", name)
		},
	}
	cmd.Flags().StringVar(&ifMatch, "if-match", "", "delete only if the control plane's ETag is this one")
	return cmd
}

// arn returns the ARN of a store that is given by name or by ARN.
func (c *clients) arn(ctx context.Context, store string) (string, error) {
	if strings.HasPrefix(store, "arn:") {
		return store, nil
	}
	out, err := c.cf.DescribeKeyValueStore(ctx, &cloudfront.DescribeKeyValueStoreInput{Name: &store})
	if err != nil {
		return "", during(err, "find store %s", store)
	}
	if arn := aws.ToString(out.KeyValueStore.ARN); arn != "" {
		return arn, nil
	}
	return "", errors.New("the server named no ARN for store " + store)
}
