package server

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	kvs "github.com/aws/aws-sdk-go-v2/service/cloudfrontkeyvaluestore"

	"github.com/popkv/popkv/internal/config"
)

const readsStore = `import cf from 'cloudfront';
const store = cf.kvs();
async function handler(event) {
    const request = event.request;
    request.uri = await store.get(request.uri);
    console.log('redirected');
    return request;
}
`

const indexEvent = `{"version":"1.0","context":{"eventType":"viewer-request"},"viewer":{"ip":"203.0.113.1"},` +
	`"request":{"method":"GET","uri":"/old","querystring":{},"headers":{},"cookies":{}}}`

// TestFunction reads the associated store as it stands at the call.
func TestAFunctionReadsItsStore(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Functions.Mode = config.FunctionInProcess })
	control, data := clients(t, s, "test", "test")
	ctx := t.Context()
	store, err := control.CreateKeyValueStore(ctx, &cloudfront.CreateKeyValueStoreInput{Name: aws.String("redirects")})
	if err != nil {
		t.Fatal(err)
	}
	arn := store.KeyValueStore.ARN
	function, err := control.CreateFunction(ctx, &cloudfront.CreateFunctionInput{
		Name: aws.String("redirect"), FunctionCode: []byte(readsStore),
		FunctionConfig: &types.FunctionConfig{
			Comment: aws.String(""), Runtime: types.FunctionRuntimeCloudfrontJs20,
			KeyValueStoreAssociations: &types.KeyValueStoreAssociations{
				Quantity: aws.Int32(1), Items: []types.KeyValueStoreAssociation{{KeyValueStoreARN: arn}},
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	test := func() *types.TestResult {
		t.Helper()
		tested, err := control.TestFunction(ctx, &cloudfront.TestFunctionInput{
			Name: aws.String("redirect"), IfMatch: function.ETag, EventObject: []byte(indexEvent),
		})
		if err != nil {
			t.Fatal(err)
		}
		return tested.TestResult
	}
	if r := test(); *r.FunctionErrorMessage == "" || *r.FunctionOutput != "" {
		t.Errorf("without the key: error %q, output %q", *r.FunctionErrorMessage, *r.FunctionOutput)
	}
	described, err := data.DescribeKeyValueStore(ctx, &kvs.DescribeKeyValueStoreInput{KvsARN: arn})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := data.PutKey(ctx, &kvs.PutKeyInput{KvsARN: arn, Key: aws.String("/old"), Value: aws.String("/new"), IfMatch: described.ETag}); err != nil {
		t.Fatal(err)
	}
	r := test()
	if !strings.Contains(*r.FunctionOutput, `"uri":"/new"`) || *r.FunctionErrorMessage != "" {
		t.Errorf("with the key: output %q, error %q", *r.FunctionOutput, *r.FunctionErrorMessage)
	}
	if len(r.FunctionExecutionLogs) != 1 || r.FunctionExecutionLogs[0] != "redirected" {
		t.Errorf("logs %q", r.FunctionExecutionLogs)
	}
	_, err = control.TestFunction(ctx, &cloudfront.TestFunctionInput{
		Name: aws.String("redirect"), IfMatch: function.ETag, EventObject: []byte("{"),
	})
	if err == nil || !strings.Contains(err.Error(), "InvalidArgument") {
		t.Errorf("an event that is no JSON: %v", err)
	}
}
