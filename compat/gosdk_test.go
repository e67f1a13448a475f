package compat

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"reflect"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awscreds "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	kvs "github.com/aws/aws-sdk-go-v2/service/cloudfrontkeyvaluestore"
	"github.com/aws/smithy-go"
)

// goSDK drives aws-sdk-go-v2 by reflection, so that it takes the same tables
// as the other clients.
type goSDK struct {
	services map[string]reflect.Value
}

func newGoSDK(t *testing.T, s *server, key credentials) client {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(s.port)) // past the account label
	}
	transport := &http.Transport{DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	config := aws.Config{
		Region:           "us-east-1",
		Credentials:      awscreds.NewStaticCredentialsProvider(key.ID, key.Secret, key.Token),
		BaseEndpoint:     aws.String("http://localhost:" + strconv.Itoa(s.port)),
		HTTPClient:       &http.Client{Transport: transport},
		RetryMaxAttempts: 1,
	}
	return goSDK{services: map[string]reflect.Value{
		controlPlane: reflect.ValueOf(cloudfront.NewFromConfig(config)),
		dataPlane:    reflect.ValueOf(kvs.NewFromConfig(config)),
	}}
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
		e.Class = reflect.TypeOf(api).String()
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
