package compat

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awscreds "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	kvs "github.com/aws/aws-sdk-go-v2/service/cloudfrontkeyvaluestore"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
)

// goSDK drives aws-sdk-go-v2 by reflection, so that it takes the same tables
// as the other clients.
type goSDK struct {
	services map[string]reflect.Value
}

func newGoSDK(t *testing.T, to target) client {
	server := "localhost:" + strconv.Itoa(to.Port)
	transport := &http.Transport{}
	var options []func(*kvs.Options)
	switch to.Way {
	case "": // past the account label, to the server
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, server)
		}
	case "proxy":
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: server})
	case "resolver":
		options = append(options, kvs.WithEndpointResolverV2(withoutLabel{kvs.NewDefaultEndpointResolverV2()}))
	}
	t.Cleanup(transport.CloseIdleConnections)
	cfg, err := config.LoadDefaultConfig(t.Context(),
		config.WithRegion("us-east-1"),
		config.WithCredentialsProvider(awscreds.NewStaticCredentialsProvider(to.Key.ID, to.Key.Secret, to.Key.Token)),
		config.WithBaseEndpoint("http://"+server),
		config.WithHTTPClient(&http.Client{Transport: transport}),
		config.WithRetryMaxAttempts(1),
	)
	if err != nil {
		t.Fatal(err)
	}
	return goSDK{services: map[string]reflect.Value{
		controlPlane: reflect.ValueOf(cloudfront.NewFromConfig(cfg)),
		dataPlane:    reflect.ValueOf(kvs.NewFromConfig(cfg, options...)),
		sts:          reflect.ValueOf(awssts.NewFromConfig(cfg)),
	}}
}

// withoutLabel keeps what the SDK decides about signing and takes the account
// label off the host.
type withoutLabel struct{ kvs.EndpointResolverV2 }

func (w withoutLabel) ResolveEndpoint(ctx context.Context, p kvs.EndpointParameters) (smithyendpoints.Endpoint, error) {
	e, err := w.EndpointResolverV2.ResolveEndpoint(ctx, p)
	if _, host, labelled := strings.Cut(e.URI.Host, "."); labelled {
		e.URI.Host = host
	}
	return e, err
}

func (g goSDK) call(t *testing.T, service, operation string, parameters map[string]any) answer {
	t.Helper()
	method := g.services[service].MethodByName(operation)
	if !method.IsValid() {
		t.Fatalf("aws-sdk-go-v2 has no %s.%s", service, operation)
	}
	input := reflect.New(method.Type().In(1).Elem())
	encoded, err := json.Marshal(parameters)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, input.Interface()); err != nil {
		t.Fatal(err)
	}
	results := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), input})
	if err, _ := results[1].Interface().(error); err != nil {
		var api smithy.APIError
		if !errors.As(err, &api) {
			t.Fatalf("%s: not an API error: %v", operation, err)
		}
		e := &apiError{Code: api.ErrorCode(), Message: api.ErrorMessage()}
		var response *awshttp.ResponseError
		if errors.As(err, &response) {
			e.Status = response.HTTPStatusCode()
		}
		e.Class = reflect.TypeOf(api).Elem().Name()
		return answer{Error: e}
	}
	var a answer
	encoded, err = json.Marshal(results[0].Interface())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, &a.Output); err != nil {
		t.Fatal(err)
	}
	for name, value := range a.Output { // members that were not there
		if value == nil || name == "ResultMetadata" {
			delete(a.Output, name)
		}
	}
	return a
}
