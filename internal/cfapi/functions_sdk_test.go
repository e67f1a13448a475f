package cfapi

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv/internal/controlplane"
)

// The whole life of a function through the SDK for Go, errors by their types.
// Update and publish go on with the ETag of the answer before, as Terraform
// does.
func TestFunctionsWithSDKForGo(t *testing.T) {
	r := newRig(t, drivers()["memjournal"], controlplane.Options{Runner: fakeRunner{}})
	client := sdk(r)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	store, err := client.CreateKeyValueStore(ctx, &cloudfront.CreateKeyValueStoreInput{Name: aws.String("s")})
	must(err)
	config := &types.FunctionConfig{
		Comment: aws.String(""), Runtime: types.FunctionRuntimeCloudfrontJs20,
		KeyValueStoreAssociations: &types.KeyValueStoreAssociations{Quantity: aws.Int32(1), Items: []types.KeyValueStoreAssociation{
			{KeyValueStoreARN: store.KeyValueStore.ARN},
		}},
	}
	name := aws.String("f")
	created, err := client.CreateFunction(ctx, &cloudfront.CreateFunctionInput{
		Name: name, FunctionConfig: config, FunctionCode: []byte("echo 1"),
		Tags: &types.Tags{Items: []types.Tag{{Key: aws.String("k")}}},
	})
	must(err)
	if *created.ETag != "ETVPDKIKX0DER" || created.Location == nil || *created.FunctionSummary.Status != "UNPUBLISHED" {
		t.Errorf("created %+v", created)
	}
	_, err = client.CreateFunction(ctx, &cloudfront.CreateFunctionInput{Name: name, FunctionConfig: config, FunctionCode: []byte("x")})
	is[*types.FunctionAlreadyExists](t, err)
	_, err = client.DescribeFunction(ctx, &cloudfront.DescribeFunctionInput{Name: name, Stage: types.FunctionStageLive})
	is[*types.NoSuchFunctionExists](t, err)
	tested, err := client.TestFunction(ctx, &cloudfront.TestFunctionInput{Name: name, IfMatch: created.ETag, EventObject: []byte(`{"version":"1.0"}`)})
	must(err)
	if diff := cmp.Diff([]string{"cloudfront-js-2.0", "READY with 0 items", "<&>"}, tested.TestResult.FunctionExecutionLogs); diff != "" ||
		*tested.TestResult.ComputeUtilization != "8" || *tested.TestResult.FunctionOutput != `{"version":"1.0"}` || *tested.TestResult.FunctionErrorMessage != "" {
		t.Errorf("tested %+v\n%s", tested.TestResult, diff)
	}
	updated, err := client.UpdateFunction(ctx, &cloudfront.UpdateFunctionInput{Name: name, IfMatch: created.ETag, FunctionConfig: config, FunctionCode: []byte("throw")})
	must(err)
	if *updated.ETag != "E3UN6WX5RRO2AG" {
		t.Fatalf("update answers %v", updated.ETag)
	}
	published, err := client.PublishFunction(ctx, &cloudfront.PublishFunctionInput{Name: name, IfMatch: updated.ETag})
	must(err)
	meta := published.FunctionSummary.FunctionMetadata
	if meta.Stage != types.FunctionStageLive || meta.CreatedTime == nil || *published.FunctionSummary.Status != "UNASSOCIATED" {
		t.Errorf("published %+v", published.FunctionSummary)
	}
	got, err := client.GetFunction(ctx, &cloudfront.GetFunctionInput{Name: name, Stage: types.FunctionStageLive})
	must(err)
	if string(got.FunctionCode) != "throw" || *got.ETag != "E3UN6WX5RRO2AG" || *got.ContentType != "application/octet-stream" {
		t.Errorf("got %+v", got)
	}
	list, err := client.ListFunctions(ctx, &cloudfront.ListFunctionsInput{})
	must(err)
	if *list.FunctionList.Quantity != 2 || len(list.FunctionList.Items) != 2 {
		t.Errorf("listed %+v", list.FunctionList)
	}
	_, err = client.DeleteKeyValueStore(ctx, &cloudfront.DeleteKeyValueStoreInput{Name: aws.String("s"), IfMatch: store.ETag})
	is[*types.CannotDeleteEntityWhileInUse](t, err)
	_, err = client.UpdateFunction(ctx, &cloudfront.UpdateFunctionInput{Name: name, IfMatch: updated.ETag, FunctionConfig: config, FunctionCode: make([]byte, 10_241)})
	is[*types.FunctionSizeLimitExceeded](t, err)
	_, err = client.PublishFunction(ctx, &cloudfront.PublishFunctionInput{Name: name, IfMatch: created.ETag})
	is[*types.PreconditionFailed](t, err)
	_, err = client.TestFunction(ctx, &cloudfront.TestFunctionInput{Name: name, IfMatch: created.ETag, EventObject: []byte(`{}`)})
	is[*types.InvalidIfMatchVersion](t, err)
	_, err = client.DeleteFunction(ctx, &cloudfront.DeleteFunctionInput{Name: name, IfMatch: updated.ETag})
	must(err)
	_, err = client.DeleteKeyValueStore(ctx, &cloudfront.DeleteKeyValueStoreInput{Name: aws.String("s"), IfMatch: store.ETag})
	must(err)
}
