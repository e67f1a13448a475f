package cfapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/controlplane"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestObserve(t *testing.T) {
	r := newRig(t, drivers()["memjournal"], controlplane.Options{})
	r.user(account, "nobody", "")
	const create = "<CreateKeyValueStoreRequest><Name>s</Name><Comment>SECRET</Comment></CreateKeyValueStoreRequest>"
	for _, c := range []struct {
		name, raw, user string
		want            Observation
		kind            popkv.Kind // of Err; popkv.Internal: none
	}{
		{"a create", "POST /2020-05-31/key-value-store HTTP/1.1\n\n" + create, "root",
			Observation{Operation: "CreateKeyValueStore", Resource: "s", Status: 201, RequestBytes: len(create)}, popkv.Internal},
		{"a create again", "POST /2020-05-31/key-value-store HTTP/1.1\n\n" + create, "root",
			Observation{Operation: "CreateKeyValueStore", Resource: "s", Status: 409, ErrorCode: "EntityAlreadyExists", RequestBytes: len(create)}, popkv.StoreExists},
		{"a refusal", "GET /2020-05-31/key-value-store/s HTTP/1.1\n\n", "nobody",
			Observation{Operation: "DescribeKeyValueStore", Resource: "s", Status: 403, ErrorCode: "AccessDenied"}, popkv.Denied},
		{"an untag", "POST /2020-05-31/tagging?Operation=Untag&Resource=x HTTP/1.1\n\n", "root",
			Observation{Operation: "UntagResource", Resource: "x", Status: 400, ErrorCode: "InvalidArgument"}, popkv.Invalid},
		{"an unknown path", "GET /2020-05-31/distribution HTTP/1.1\n\n", "root",
			Observation{Status: 404, ErrorCode: "UnknownOperationException"}, popkv.UnknownOperation},
		{"an unknown action", "POST / HTTP/1.1\n\nAction=GetSessionToken", "root",
			Observation{Status: 400, ErrorCode: "InvalidAction", RequestBytes: 22}, popkv.UnknownOperation},
		{"nobody in particular", "GET /2020-05-31/key-value-store/s HTTP/1.1\n\n", unsigned,
			Observation{Status: 403, ErrorCode: "MissingAuthenticationToken"}, popkv.NoCredentials},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.seen = nil
			w := r.send(c.raw, c.user)
			if len(r.seen) != 1 {
				t.Fatalf("%d observations", len(r.seen))
			}
			got := r.seen[0]
			if popkv.KindOf(got.Err) != c.kind || (got.Err == nil) != (c.kind == popkv.Internal) {
				t.Errorf("error %v", got.Err)
			}
			if got.Err != nil && strings.Contains(got.Err.Error(), "SECRET") {
				t.Errorf("the error quotes the request: %v", got.Err)
			}
			c.want.RequestID, c.want.ResponseBytes = requestID, w.Body.Len()
			if c.user != unsigned {
				c.want.Caller = popkv.Caller{Account: account, User: c.user}
			}
			ignore := cmpopts.IgnoreFields(Observation{}, "Err", "Duration", "Caller.AccessKeyID")
			if diff := cmp.Diff(c.want, got, ignore); diff != "" {
				t.Errorf("observation (-want +got):\n%s", diff)
			}
		})
	}
}

// When storage takes no writes, writes say so with a status that clients try
// again, and reads go on.
func TestStorageThatRefuses(t *testing.T) {
	var full atomic.Bool
	r := newRig(t, func(testing.TB) journal.Driver {
		return memjournal.New(memjournal.Options{Fault: func(c memjournal.Call) memjournal.Fault {
			if full.Load() && (c.Method == "Commit" || c.Method == "Stage") {
				return memjournal.Refused
			}
			return memjournal.NoFault
		}})
	}, controlplane.Options{})
	const create = "POST /2020-05-31/key-value-store HTTP/1.1\n\n<CreateKeyValueStoreRequest><Name>s</Name></CreateKeyValueStoreRequest>"
	if w := r.send(create, "root"); w.Code != 201 {
		t.Fatal(w.Body)
	}
	full.Store(true)
	for _, raw := range []string{
		strings.Replace(create, "<Name>s", "<Name>t", 1),
		"PUT /2020-05-31/key-value-store/s HTTP/1.1\nIf-Match: E3UN6WX5RRO2AG\n\n<UpdateKeyValueStoreRequest><Comment/></UpdateKeyValueStoreRequest>",
		"DELETE /2020-05-31/key-value-store/s HTTP/1.1\nIf-Match: E3UN6WX5RRO2AG\n\n",
	} {
		w := r.send(raw, "root")
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "<Type>Receiver</Type><Code>ServiceUnavailable</Code>") || !strings.Contains(w.Body.String(), "nothing was changed") {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
	}
	if w := r.send("GET /2020-05-31/key-value-store/s HTTP/1.1\n\n", "root"); w.Code != 200 || w.Header()["ETag"][0] != "E3UN6WX5RRO2AG" {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
	full.Store(false)
	if w := r.send("DELETE /2020-05-31/key-value-store/s HTTP/1.1\nIf-Match: E3UN6WX5RRO2AG\n\n", "root"); w.Code != 204 {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

// Divergence 20: If-Match counts only if it was signed, because what was not
// signed must not influence the result.
func TestUnsignedIfMatchIsNone(t *testing.T) {
	r := newRig(t, drivers()["memjournal"], controlplane.Options{})
	r.send("POST /2020-05-31/key-value-store HTTP/1.1\n\n<CreateKeyValueStoreRequest><Name>s</Name></CreateKeyValueStoreRequest>", "root")
	r.handler.gate = addHeader{r.handler.gate}
	w := r.send("DELETE /2020-05-31/key-value-store/s HTTP/1.1\n\n", "root")
	if w.Code != 400 || !strings.Contains(w.Body.String(), "InvalidIfMatchVersion") {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

// addHeader adds an If-Match after the client signed.
type addHeader struct{ Gate }

func (g addHeader) Admit(r *http.Request, service string, maxBody int64) (*access.Admission, error) {
	r.Header.Set("If-Match", "E3UN6WX5RRO2AG")
	return g.Gate.Admit(r, service, maxBody)
}

// inProcess carries the SDK's requests to the handler.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	var wire bytes.Buffer
	if err := req.Write(&wire); err != nil {
		return nil, err
	}
	r, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	wire.Reset()
	if err := w.Result().Write(&wire); err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(&wire), req)
}

// sdk is the SDK's client with root's key.
func sdk(r *rig) *cloudfront.Client {
	return cloudfront.New(cloudfront.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String("http://localhost:8080"),
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDROOT", "root-secret", ""),
		HTTPClient:   &http.Client{Transport: inProcess{r.handler}},
		Retryer:      aws.NopRetryer{},
	})
}

// The whole life of a store through the SDK for Go, errors by their types.
func TestSDKForGo(t *testing.T) {
	r := newRig(t, drivers()["memjournal"], controlplane.Options{})
	client := sdk(r)
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	created, err := client.CreateKeyValueStore(ctx, &cloudfront.CreateKeyValueStoreInput{
		Name: aws.String("s"), Comment: aws.String("a < b & c"),
		Tags: &types.Tags{Items: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}},
	})
	must(err)
	if *created.ETag != "ETVPDKIKX0DER" || *created.KeyValueStore.Status != "PROVISIONING" || !strings.HasSuffix(*created.Location, *created.KeyValueStore.ARN) {
		t.Errorf("created %+v", created)
	}
	_, err = client.CreateKeyValueStore(ctx, &cloudfront.CreateKeyValueStoreInput{Name: aws.String("s")})
	is[*types.EntityAlreadyExists](t, err)
	described, err := client.DescribeKeyValueStore(ctx, &cloudfront.DescribeKeyValueStoreInput{Name: aws.String("s")})
	must(err)
	if *described.ETag != "E3UN6WX5RRO2AG" || *described.KeyValueStore.Comment != "a < b & c" || *described.KeyValueStore.Status != "READY" || described.KeyValueStore.LastModifiedTime == nil {
		t.Errorf("described %+v", described.KeyValueStore)
	}
	_, err = client.DescribeKeyValueStore(ctx, &cloudfront.DescribeKeyValueStoreInput{Name: aws.String("none")})
	is[*types.EntityNotFound](t, err)
	_, err = client.UpdateKeyValueStore(ctx, &cloudfront.UpdateKeyValueStoreInput{Name: aws.String("s"), Comment: aws.String(""), IfMatch: aws.String("E1F83G8C2ARO7P")})
	is[*types.PreconditionFailed](t, err)
	_, err = client.UpdateKeyValueStore(ctx, &cloudfront.UpdateKeyValueStoreInput{Name: aws.String("s"), Comment: aws.String(""), IfMatch: aws.String("*")})
	is[*types.InvalidIfMatchVersion](t, err)
	updated, err := client.UpdateKeyValueStore(ctx, &cloudfront.UpdateKeyValueStoreInput{Name: aws.String("s"), Comment: aws.String(""), IfMatch: described.ETag})
	must(err)
	if *updated.ETag != "E1F83G8C2ARO7P" || *updated.KeyValueStore.Comment != "" {
		t.Errorf("updated %+v", updated.KeyValueStore)
	}
	arn := created.KeyValueStore.ARN
	_, err = client.TagResource(ctx, &cloudfront.TagResourceInput{Resource: arn, Tags: &types.Tags{Items: []types.Tag{{Key: aws.String("l")}}}})
	must(err)
	_, err = client.UntagResource(ctx, &cloudfront.UntagResourceInput{Resource: arn, TagKeys: &types.TagKeys{Items: []string{"k"}}})
	must(err)
	tags, err := client.ListTagsForResource(ctx, &cloudfront.ListTagsForResourceInput{Resource: arn})
	must(err)
	if len(tags.Tags.Items) != 1 || *tags.Tags.Items[0].Key != "l" {
		t.Errorf("tags %+v", tags.Tags.Items)
	}
	_, err = client.TagResource(ctx, &cloudfront.TagResourceInput{Resource: arn, Tags: &types.Tags{Items: []types.Tag{{Key: aws.String("aws:x")}}}})
	is[*types.InvalidTagging](t, err)
	_, err = client.ListTagsForResource(ctx, &cloudfront.ListTagsForResourceInput{Resource: aws.String("arn:aws:cloudfront::123456789012:distribution/E")})
	is[*types.NoSuchResource](t, err)
	_, err = client.CreateKeyValueStore(ctx, &cloudfront.CreateKeyValueStoreInput{Name: aws.String("t"), ImportSource: &types.ImportSource{
		SourceType: types.ImportSourceTypeS3, SourceARN: aws.String("arn:aws:s3:::b/k")}})
	is[*types.UnsupportedOperation](t, err)
	_, err = client.CreateKeyValueStore(ctx, &cloudfront.CreateKeyValueStoreInput{Name: aws.String("a.b")})
	is[*types.InvalidArgument](t, err)
	pages := cloudfront.NewListKeyValueStoresPaginator(client, &cloudfront.ListKeyValueStoresInput{MaxItems: aws.Int32(1)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		must(err)
		if *page.KeyValueStoreList.Quantity != 1 || *page.KeyValueStoreList.Items[0].Name != "s" {
			t.Errorf("page %+v", page.KeyValueStoreList)
		}
	}
	_, err = client.DeleteKeyValueStore(ctx, &cloudfront.DeleteKeyValueStoreInput{Name: aws.String("s"), IfMatch: updated.ETag})
	must(err)
}

// is fails the test unless err is the SDK's error of that type.
func is[T error](t *testing.T, err error) {
	t.Helper()
	var want T
	if !errors.As(err, &want) {
		var api smithy.APIError
		errors.As(err, &api)
		t.Errorf("%T expected: %v (%v)", want, err, api)
	}
}
