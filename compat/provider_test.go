package compat

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// TestCallsOfTheTerraformProvider repeats, with the SDK that the provider is
// made of, the calls that TestTerraform was seen to cause, in their order. It
// runs where there is no Terraform, and says which of them broke.
func TestCallsOfTheTerraformProvider(t *testing.T) {
	s := startServer(t)
	p := provider{newGoSDK(t, s.target(s.root))}
	identity := mustCall(t, p.c, sts, "GetCallerIdentity", nil)
	expect(t, "GetCallerIdentity", identity, map[string]any{"Account": "000000000000"})

	arn, control := p.createStore(t, "redirects")
	p.putKey(t, arn, "/old", "/new")
	p.putKey(t, arn, "k", "one")
	exclusive, exclusiveControl := p.createStore(t, "exclusive")
	p.updateKeys(t, exclusive, map[string]string{"a": "1", "b": "2"}, nil)
	p.createFunction(t, "router", arn)

	// A refresh: what it reads must be what the create or the last change gave,
	// or the plan has a change.
	refreshed := mustCall(t, p.c, controlPlane, "DescribeKeyValueStore", map[string]any{"Name": "redirects"})
	expect(t, "DescribeKeyValueStore after data was written", refreshed, map[string]any{"ETag": control})
	wantItems(t, p.c, arn, map[string]string{"/old": "/new", "k": "one"})
	p.wantFunction(t, "router", "ETVPDKIKX0DER", "ETVPDKIKX0DER")

	p.putKey(t, arn, "k", "two")
	p.updateKeys(t, exclusive, map[string]string{"b": "2", "c": "3"}, nil)
	p.updateKeys(t, exclusive, nil, []string{"a"})
	wantItems(t, p.c, exclusive, map[string]string{"b": "2", "c": "3"})
	p.updateFunction(t, "router", arn)
	p.wantFunction(t, "router", "E3UN6WX5RRO2AG", "E3UN6WX5RRO2AG")

	// Gone behind the provider's back: it takes these two answers for "make it
	// again", and every other one for a failure.
	mustCall(t, p.c, controlPlane, "DeleteKeyValueStore", map[string]any{"Name": "exclusive", "IfMatch": exclusiveControl})
	p.wantError(t, controlPlane, "DescribeKeyValueStore", map[string]any{"Name": "exclusive"}, "EntityNotFound", "")
	p.wantError(t, dataPlane, "DescribeKeyValueStore", map[string]any{"KvsARN": exclusive}, "ConflictException", "Key-Value-Store was not in expected state")
	p.wantError(t, dataPlane, "GetKey", map[string]any{"KvsARN": arn, "Key": "absent"}, "ResourceNotFoundException", "")

	// Destroy: the function first, because it holds its store.
	mustCall(t, p.c, controlPlane, "DeleteFunction", map[string]any{"Name": "router", "IfMatch": "E3UN6WX5RRO2AG"})
	p.wantError(t, controlPlane, "DescribeFunction", map[string]any{"Name": "router", "Stage": "DEVELOPMENT"}, "NoSuchFunctionExists", "")
	for _, key := range []string{"/old", "k"} {
		mustCall(t, p.c, dataPlane, "DeleteKey", map[string]any{"KvsARN": arn, "Key": key, "IfMatch": p.etag(t, arn)})
	}
	mustCall(t, p.c, controlPlane, "DeleteKeyValueStore", map[string]any{"Name": "redirects", "IfMatch": control})
}

// A provider is the Terraform provider's side of the API.
type provider struct{ c client }

func (p provider) createStore(t *testing.T, name string) (arn, controlETag string) {
	t.Helper()
	created := mustCall(t, p.c, controlPlane, "CreateKeyValueStore", map[string]any{"Name": name})
	expect(t, "CreateKeyValueStore", created, map[string]any{"ETag": "ETVPDKIKX0DER"})
	described := waitReady(t, p.c, name)
	expect(t, "DescribeKeyValueStore", described, map[string]any{"ETag": "E3UN6WX5RRO2AG"})
	return created["KeyValueStore"].(map[string]any)["ARN"].(string), described["ETag"].(string)
}

// etag is read before every write.
func (p provider) etag(t *testing.T, arn string) any {
	t.Helper()
	return mustCall(t, p.c, dataPlane, "DescribeKeyValueStore", map[string]any{"KvsARN": arn})["ETag"]
}

func (p provider) putKey(t *testing.T, arn, key, value string) {
	t.Helper()
	mustCall(t, p.c, dataPlane, "PutKey", map[string]any{"KvsARN": arn, "Key": key, "Value": value, "IfMatch": p.etag(t, arn)})
}

func (p provider) updateKeys(t *testing.T, arn string, puts map[string]string, deletes []string) {
	t.Helper()
	parameters := map[string]any{"KvsARN": arn, "IfMatch": p.etag(t, arn)}
	var putList, deleteList []any
	for key, value := range puts {
		putList = append(putList, map[string]any{"Key": key, "Value": value})
	}
	for _, key := range deletes {
		deleteList = append(deleteList, map[string]any{"Key": key})
	}
	parameters["Puts"], parameters["Deletes"] = putList, deleteList
	mustCall(t, p.c, dataPlane, "UpdateKeys", parameters)
}

func (p provider) createFunction(t *testing.T, name, arn string) {
	t.Helper()
	created := mustCall(t, p.c, controlPlane, "CreateFunction", functionParameters(name, arn, firstCode))
	expect(t, "CreateFunction", created, map[string]any{"ETag": "ETVPDKIKX0DER"})
	mustCall(t, p.c, controlPlane, "PublishFunction", map[string]any{"Name": name, "IfMatch": created["ETag"]})
}

// updateFunction publishes with the ETag that the update answered; the SDK
// reads it from the header ETtag alone.
func (p provider) updateFunction(t *testing.T, name, arn string) {
	t.Helper()
	parameters := functionParameters(name, arn, secondCode)
	parameters["IfMatch"] = "ETVPDKIKX0DER"
	updated := mustCall(t, p.c, controlPlane, "UpdateFunction", parameters)
	mustCall(t, p.c, controlPlane, "PublishFunction", map[string]any{"Name": name, "IfMatch": updated["ETag"]})
}

func (p provider) wantFunction(t *testing.T, name, development, live string) {
	t.Helper()
	for stage, etag := range map[string]string{"DEVELOPMENT": development, "LIVE": live} {
		described := mustCall(t, p.c, controlPlane, "DescribeFunction", map[string]any{"Name": name, "Stage": stage})
		expect(t, "DescribeFunction "+stage, described, map[string]any{"ETag": etag})
	}
	got := mustCall(t, p.c, controlPlane, "GetFunction", map[string]any{"Name": name, "Stage": "DEVELOPMENT"})
	expect(t, "GetFunction", got, map[string]any{"ETag": development})
}

func (p provider) wantError(t *testing.T, service, operation string, parameters map[string]any, code, message string) {
	t.Helper()
	a := p.c.call(t, service, operation, parameters)
	if a.Error == nil || a.Error.Code != code || !strings.Contains(a.Error.Message, message) {
		t.Errorf("%s: %+v, want %s %s", operation, a.Error, code, message)
	}
}

// Older SDKs, the Go SDK v1 among them, create stores at a path that ends in a
// slash.
func TestCreateAtThePathOfOlderSDKs(t *testing.T) {
	s := startServer(t)
	slash := middleware.BuildMiddlewareFunc("slash", func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
		r := in.Request.(*smithyhttp.Request)
		r.URL.Path += "/"
		return next.HandleBuild(ctx, in)
	})
	api := newGoSDK(t, s.target(s.root)).(goSDK).services[controlPlane].Interface().(*cloudfront.Client)
	created, err := api.CreateKeyValueStore(t.Context(), &cloudfront.CreateKeyValueStoreInput{Name: aws.String("older")}, func(o *cloudfront.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error { return stack.Build.Add(slash, middleware.After) })
	})
	if err != nil || aws.ToString(created.KeyValueStore.Name) != "older" {
		t.Errorf("create: %v, %v", created, err)
	}
}
