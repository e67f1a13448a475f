package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/spf13/cobra"
)

// stages are the values of --stage.
func stages() []string {
	return []string{string(cftypes.FunctionStageDevelopment), string(cftypes.FunctionStageLive)}
}

// addStage defines --stage on cmd; an empty value is the service's default.
func addStage(cmd *cobra.Command, stage *string, usage string) {
	cmd.Flags().StringVar(stage, "stage", "", usage)
	cmd.RegisterFlagCompletionFunc("stage", cobra.FixedCompletions(stages(), cobra.ShellCompDirectiveNoFileComp))
}

func checkStage(cmd *cobra.Command, stage string) error {
	if stage != "" && !slices.Contains(stages(), stage) {
		return usagef(cmd, "--stage %s is not one of %s", stage, strings.Join(stages(), ", "))
	}
	return nil
}

func (a *app) functionListCommand() *cobra.Command {
	var stage string
	cmd := &cobra.Command{
		Use: "ls", Short: "List the functions of the account", Args: exactly(0),
	}
	on, out := a.addTarget(cmd), a.addOutput(cmd)
	addStage(cmd, &stage, "only this stage: DEVELOPMENT or LIVE")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkStage(cmd, stage); err != nil {
			return err
		}
		c, err := on.clients(cmd)
		if err != nil {
			return err
		}
		rows, err := c.functions(cmd.Context(), stage)
		if err != nil {
			return during(err, "list functions")
		}
		return list(out, rows)
	}
	return cmd
}

func (c *clients) functions(ctx context.Context, stage string) ([]functionRow, error) {
	in := &cloudfront.ListFunctionsInput{Stage: cftypes.FunctionStage(stage)}
	var rows []functionRow
	for {
		page, err := c.cf.ListFunctions(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, item := range page.FunctionList.Items {
			rows = append(rows, newFunctionRow(&item))
		}
		if in.Marker = page.FunctionList.NextMarker; aws.ToString(in.Marker) == "" {
			return rows, nil
		}
	}
}

func (a *app) functionGetCommand() *cobra.Command {
	var stage string
	cmd := &cobra.Command{
		Use: "get NAME", Short: "Print the code of a function", Args: exactly(1),
		Long: "Print the code of a function, and with -o json everything else that is known of\nit.",
	}
	on, out := a.addTarget(cmd), a.addOutput(cmd)
	addStage(cmd, &stage, "DEVELOPMENT (the default) or LIVE")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkStage(cmd, stage); err != nil {
			return err
		}
		c, err := on.clients(cmd)
		if err != nil {
			return err
		}
		found, err := c.function(cmd.Context(), args[0], stage)
		if err != nil {
			return during(err, "get function %s", args[0])
		}
		if out.String() == "table" {
			_, err := a.stdout.Write([]byte(found.Code))
			return err
		}
		return one(out, found)
	}
	return cmd
}

// function reads a stage of a function. The ETag is not newer than the code:
// a write that it allows knows all of what it replaces.
func (c *clients) function(ctx context.Context, name, stage string) (functionCode, error) {
	about, err := c.cf.DescribeFunction(ctx, &cloudfront.DescribeFunctionInput{Name: &name, Stage: cftypes.FunctionStage(stage)})
	if err != nil {
		return functionCode{}, err
	}
	code, err := c.cf.GetFunction(ctx, &cloudfront.GetFunctionInput{Name: &name, Stage: cftypes.FunctionStage(stage)})
	if err != nil {
		return functionCode{}, err
	}
	return functionCode{functionChange{newFunctionRow(about.FunctionSummary), aws.ToString(about.ETag)}, string(code.FunctionCode)}, nil
}

// functionFlags say what a function is to be.
type functionFlags struct {
	code    string
	runtime string
	comment string
	store   string
}

func (s *functionFlags) define(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.code, "code", "", "file with the code, - for stdin")
	addRuntime(cmd, &s.runtime)
	cmd.Flags().StringVar(&s.comment, "comment", "", "comment of the function")
	cmd.Flags().StringVar(&s.store, "store", "", "name or ARN of the store that the function reads")
}

// config is the configuration of the function in the API's terms.
func (c *clients) functionConfig(ctx context.Context, version, comment string, stores ...string) (*cftypes.FunctionConfig, error) {
	config := &cftypes.FunctionConfig{Runtime: cftypes.FunctionRuntime(version), Comment: &comment}
	for _, store := range stores {
		arn, err := c.arn(ctx, store)
		if err != nil {
			return nil, err
		}
		config.KeyValueStoreAssociations = &cftypes.KeyValueStoreAssociations{
			Quantity: aws.Int32(1), Items: []cftypes.KeyValueStoreAssociation{{KeyValueStoreARN: &arn}},
		}
	}
	return config, nil
}

func (a *app) functionCreateCommand() *cobra.Command {
	var flags functionFlags
	var tags map[string]string
	cmd := &cobra.Command{
		Use: "create NAME --code FILE", Short: "Create a function", Args: exactly(1),
		Long: `Create a function, in the stage DEVELOPMENT. As on AWS its code is not looked at:
run "popkv function lint" before.`,
	}
	on, out := a.addTarget(cmd), a.addOutput(cmd)
	flags.define(cmd)
	cmd.Flags().StringToStringVar(&tags, "tag", nil, "tag of the function, KEY=VALUE; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := checkRuntime(cmd, flags.runtime); err != nil {
			return err
		}
		if flags.code == "" {
			return usagef(cmd, "--code names no file")
		}
		code, err := a.readFile(flags.code)
		if err != nil {
			return err
		}
		in := &cloudfront.CreateFunctionInput{Name: &args[0], FunctionCode: code, Tags: newTags(tags)}
		c, err := on.clients(cmd)
		if err != nil {
			return err
		}
		if in.FunctionConfig, err = c.functionConfig(cmd.Context(), flags.runtime, flags.comment, given(flags.store)...); err != nil {
			return err
		}
		a.announce(c.target, "creating function %s", args[0])
		made, err := c.cf.CreateFunction(cmd.Context(), in)
		if err != nil {
			return during(err, "create function %s", args[0])
		}
		return one(out, functionChange{newFunctionRow(made.FunctionSummary), aws.ToString(made.ETag)})
	}
	return cmd
}

// newTags is nil for none.
func newTags(tags map[string]string) *cftypes.Tags {
	if len(tags) == 0 {
		return nil
	}
	all := &cftypes.Tags{}
	for key, value := range tags {
		all.Items = append(all.Items, cftypes.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	return all
}

// given is a list of what is not empty.
func given(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func (a *app) functionUpdateCommand() *cobra.Command {
	var flags functionFlags
	var ifMatch string
	var noStore bool
	cmd := &cobra.Command{
		Use: "update NAME", Short: "Change a function", Args: exactly(1),
		Long: `Change a function in the stage DEVELOPMENT. What no flag names stays as it is.

The function's ETag is read first, and again when another writer was faster;
--if-match writes only if the ETag is the one you saw.`,
	}
	on, out := a.addTarget(cmd), a.addOutput(cmd)
	flags.define(cmd)
	cmd.Flags().BoolVar(&noStore, "no-store", false, "let the function read no store")
	cmd.Flags().StringVar(&ifMatch, "if-match", "", "write only if the function's ETag is this one")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := checkRuntime(cmd, flags.runtime); err != nil {
			return err
		}
		if noStore && flags.store != "" {
			return usagef(cmd, "--store and --no-store exclude each other")
		}
		var code []byte
		var err error
		if flags.code != "" {
			if code, err = a.readFile(flags.code); err != nil {
				return err
			}
		}
		c, err := on.clients(cmd)
		if err != nil {
			return err
		}
		ctx, name := cmd.Context(), args[0]
		a.announce(c.target, "updating function %s", name)
		var after functionChange
		err = a.withFunction(ctx, c, name, ifMatch, func(now functionCode, etag string) error {
			if code != nil {
				now.Code = string(code)
			}
			if cmd.Flags().Changed("runtime") {
				now.Runtime = flags.runtime
			}
			if cmd.Flags().Changed("comment") {
				now.Comment = flags.comment
			}
			if noStore || flags.store != "" {
				now.Stores = given(flags.store)
			}
			config, err := c.functionConfig(ctx, now.Runtime, now.Comment, now.Stores...)
			if err != nil {
				return err
			}
			updated, err := c.cf.UpdateFunction(ctx, &cloudfront.UpdateFunctionInput{
				Name: &name, IfMatch: &etag, FunctionConfig: config, FunctionCode: []byte(now.Code),
			})
			if err == nil {
				after = functionChange{newFunctionRow(updated.FunctionSummary), aws.ToString(updated.ETag)}
			}
			return err
		})
		if err != nil {
			return during(err, "update function %s", name)
		}
		return one(out, after)
	}
	return cmd
}

// withFunction runs write on the stage DEVELOPMENT as it is now, again when
// another writer was faster.
func (a *app) withFunction(ctx context.Context, c *clients, name, ifMatch string, write func(now functionCode, etag string) error) error {
	var now functionCode
	read := func() (etag string, err error) {
		now, err = c.function(ctx, name, "")
		return now.ETag, err
	}
	if ifMatch != "" {
		if _, err := read(); err != nil {
			return err
		}
	}
	return a.withETag(ctx, ifMatch, read, func(etag string) error { return write(now, etag) })
}

func (a *app) functionPublishCommand() *cobra.Command {
	var ifMatch string
	cmd := &cobra.Command{
		Use: "publish NAME", Short: "Copy the stage DEVELOPMENT of a function to LIVE", Args: exactly(1),
	}
	on, out := a.addTarget(cmd), a.addOutput(cmd)
	cmd.Flags().StringVar(&ifMatch, "if-match", "", "publish only if the ETag of DEVELOPMENT is this one")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := on.clients(cmd)
		if err != nil {
			return err
		}
		ctx, name := cmd.Context(), args[0]
		a.announce(c.target, "publishing function %s", name)
		var live functionRow
		err = a.withETag(ctx, ifMatch, c.functionETag(ctx, name), func(etag string) error {
			published, err := c.cf.PublishFunction(ctx, &cloudfront.PublishFunctionInput{Name: &name, IfMatch: &etag})
			if err == nil {
				live = newFunctionRow(published.FunctionSummary)
			}
			return err
		})
		if err != nil {
			return during(err, "publish function %s", name)
		}
		return one(out, live)
	}
	return cmd
}

func (a *app) functionDeleteCommand() *cobra.Command {
	var ifMatch string
	cmd := &cobra.Command{
		Use: "rm NAME", Short: "Delete a function, both stages", Args: exactly(1),
	}
	on := a.addTarget(cmd)
	cmd.Flags().StringVar(&ifMatch, "if-match", "", "delete only if the ETag of DEVELOPMENT is this one")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := on.clients(cmd)
		if err != nil {
			return err
		}
		ctx, name := cmd.Context(), args[0]
		a.announce(c.target, "deleting function %s", name)
		err = a.withETag(ctx, ifMatch, c.functionETag(ctx, name), func(etag string) error {
			_, err := c.cf.DeleteFunction(ctx, &cloudfront.DeleteFunctionInput{Name: &name, IfMatch: &etag})
			return err
		})
		return during(err, "delete function %s", name)
	}
	return cmd
}

// functionETag reads the ETag of the stage DEVELOPMENT.
func (c *clients) functionETag(ctx context.Context, name string) func() (string, error) {
	return func() (string, error) {
		out, err := c.cf.DescribeFunction(ctx, &cloudfront.DescribeFunctionInput{Name: &name})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.ETag), nil
	}
}
