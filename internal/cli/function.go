package cli

import (
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/spf13/cobra"

	"github.com/popkv/popkv/internal/cfjs"
)

func (a *app) functionCommand() *cobra.Command {
	cmd := a.group("function", "Test functions, and keep them on a server",
		a.functionTestCommand(), a.functionLintCommand(), a.functionReplayCommand(),
		a.functionListCommand(), a.functionCreateCommand(), a.functionGetCommand(), a.functionUpdateCommand(),
		a.functionPublishCommand(), a.functionDeleteCommand(),
	)
	cmd.Long = `Test functions, and keep them on a server. test, lint and replay need no
server; the other verbs work against popkv and against AWS.`
	return cmd
}

// A functionRow is one stage of a function.
type functionRow struct {
	Name             string    `json:"Name"`
	Stage            string    `json:"Stage"`
	Status           string    `json:"Status"`
	Runtime          string    `json:"Runtime"`
	Comment          string    `json:"Comment"`
	Stores           []string  `json:"KeyValueStoreARNs"`
	ARN              string    `json:"FunctionARN"`
	LastModifiedTime time.Time `json:"LastModifiedTime"`
}

func (functionRow) header() []string {
	return []string{"Name", "Stage", "Status", "Runtime", "Comment", "KeyValueStoreARNs", "FunctionARN", "LastModifiedTime"}
}

func (r functionRow) cells() []string {
	return []string{r.Name, r.Stage, r.Status, r.Runtime, r.Comment, strings.Join(r.Stores, " "), r.ARN, timestamp(r.LastModifiedTime)}
}

func newFunctionRow(s *cftypes.FunctionSummary) functionRow {
	r := functionRow{Name: aws.ToString(s.Name), Status: aws.ToString(s.Status), Stores: []string{}}
	if c := s.FunctionConfig; c != nil {
		r.Runtime, r.Comment = string(c.Runtime), aws.ToString(c.Comment)
		if c.KeyValueStoreAssociations != nil {
			for _, association := range c.KeyValueStoreAssociations.Items {
				r.Stores = append(r.Stores, aws.ToString(association.KeyValueStoreARN))
			}
		}
	}
	if m := s.FunctionMetadata; m != nil {
		r.Stage, r.ARN, r.LastModifiedTime = string(m.Stage), aws.ToString(m.FunctionARN), aws.ToTime(m.LastModifiedTime)
	}
	return r
}

// A functionChange is a stage of a function after a write, with its ETag.
type functionChange struct {
	functionRow
	ETag string `json:"ETag"`
}

func (c functionChange) header() []string { return append(c.functionRow.header(), "ETag") }
func (c functionChange) cells() []string  { return append(c.functionRow.cells(), c.ETag) }

// A functionCode is a stage of a function with its code.
type functionCode struct {
	functionChange
	Code string `json:"FunctionCode"`
}

func (c functionCode) header() []string { return append(c.functionChange.header(), "FunctionCode") }
func (c functionCode) cells() []string  { return append(c.functionChange.cells(), c.Code) }

// runtimes are the values of --runtime.
func runtimes() []string { return []string{string(cfjs.Runtime20), string(cfjs.Runtime10)} }

func addRuntime(cmd *cobra.Command, version *string) {
	cmd.Flags().StringVar(version, "runtime", runtimes()[0], strings.Join(runtimes(), " or "))
	cmd.RegisterFlagCompletionFunc("runtime", cobra.FixedCompletions(runtimes(), cobra.ShellCompDirectiveNoFileComp))
}

func checkRuntime(cmd *cobra.Command, version string) (cfjs.Runtime, error) {
	if !slices.Contains(runtimes(), version) {
		return "", usagef(cmd, "--runtime %s is not one of %s", version, strings.Join(runtimes(), ", "))
	}
	return cfjs.Runtime(version), nil
}

// readFile reads a file that a command line names; - is stdin.
func (a *app) readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(a.stdin)
	}
	return os.ReadFile(name)
}
