package compat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/popkv/popkv/internal/access"
)

// modelled lists the exceptions that the service model documents for each
// operation of the data plane.
var modelled = map[string][]string{
	"DescribeKeyValueStore": {"AccessDeniedException", "ConflictException", "InternalServerException", "ResourceNotFoundException"},
	"GetKey":                {"AccessDeniedException", "ConflictException", "InternalServerException", "ResourceNotFoundException"},
	"ListKeys":              {"AccessDeniedException", "ConflictException", "InternalServerException", "ResourceNotFoundException", "ValidationException"},
	"PutKey":                {"AccessDeniedException", "ConflictException", "InternalServerException", "ResourceNotFoundException", "ServiceQuotaExceededException", "ValidationException"},
	"DeleteKey":             {"AccessDeniedException", "ConflictException", "InternalServerException", "ResourceNotFoundException", "ServiceQuotaExceededException", "ValidationException"},
	"UpdateKeys":            {"AccessDeniedException", "ConflictException", "InternalServerException", "ResourceNotFoundException", "ServiceQuotaExceededException", "ValidationException"},
}

var statusOf = map[string]int{
	"AccessDeniedException": 403, "ConflictException": 409, "InternalServerException": 500,
	"ResourceNotFoundException": 404, "ServiceQuotaExceededException": 402, "ValidationException": 400,
}

// request returns parameters of an operation that would succeed.
func request(operation, arn, etag string) map[string]any {
	p := map[string]any{"KvsARN": arn}
	switch operation {
	case "GetKey":
		p["Key"] = "k"
	case "PutKey":
		p["Key"], p["Value"], p["IfMatch"] = "k", "another", etag
	case "DeleteKey":
		p["Key"], p["IfMatch"] = "k", etag
	case "UpdateKeys":
		p["IfMatch"] = etag
		p["Puts"] = []any{map[string]any{"Key": "k", "Value": "another"}}
	}
	return p
}

// The ways to make the server raise an exception that depends on the request
// alone; deleted is the ARN of a store that is gone.
func provoke(exception, operation string, p map[string]any, deleted string) {
	switch exception {
	case "ConflictException":
		p["KvsARN"] = deleted
	case "ResourceNotFoundException":
		if operation == "GetKey" {
			p["Key"] = "absent"
		} else {
			p["KvsARN"] = deleted[:len(deleted)-12] + "ffffffffffff"
		}
	case "ValidationException":
		if operation == "ListKeys" {
			p["NextToken"] = "not a token of ours"
		} else {
			p["IfMatch"] = "STALEETAG12345"
		}
	case "ServiceQuotaExceededException":
		switch operation {
		case "PutKey":
			p["Value"] = strings.Repeat("v", 1025)
		case "DeleteKey":
			p["Key"] = strings.Repeat("k", 513)
		case "UpdateKeys":
			var puts []any
			for i := range 51 {
				puts = append(puts, map[string]any{"Key": fmt.Sprint("k", i), "Value": "v"})
			}
			p["Puts"] = puts
		}
	}
}

// wantException also asks for the client's own type of the exception, which
// programs catch.
func wantException(t *testing.T, c client, service, operation, exception string, status int, p map[string]any) {
	t.Helper()
	a := c.call(t, service, operation, p)
	switch {
	case a.Error == nil:
		t.Errorf("%s succeeded, want %s", operation, exception)
	case a.Error.Code != exception:
		t.Errorf("%s: %s (%s), want %s", operation, a.Error.Code, a.Error.Message, exception)
	case a.Error.Status != 0 && a.Error.Status != status:
		t.Errorf("%s: %s with status %d, want %d", operation, exception, a.Error.Status, status)
	case a.Error.Class != "" && a.Error.Class != exception:
		t.Errorf("%s: %s as a %s, want a type of its own", operation, exception, a.Error.Class)
	case a.Error.Message == "":
		t.Errorf("%s: %s without a message", operation, exception)
	}
}

// oneItem makes a store that holds the key that request asks for.
func oneItem(t *testing.T, c client, name string) (arn, etag string) {
	t.Helper()
	arn, etag = newStore(t, c, name, nil)
	put := mustCall(t, c, dataPlane, "PutKey", map[string]any{"KvsARN": arn, "Key": "k", "Value": "v", "IfMatch": etag})
	return arn, put["ETag"].(string)
}

func TestExceptionsThatTheRequestProvokes(t *testing.T) {
	s := startServer(t)
	eachClient(t, s, s.root, func(t *testing.T, c client) {
		arn, etag := oneItem(t, c, storeName(t, ""))
		deletedName := storeName(t, "deleted")
		deleted, _ := newStore(t, c, deletedName, nil)
		mustCall(t, c, controlPlane, "DeleteKeyValueStore", map[string]any{"Name": deletedName, "IfMatch": "E3UN6WX5RRO2AG"})
		for operation, exceptions := range modelled {
			for _, exception := range exceptions {
				if exception == "AccessDeniedException" || exception == "InternalServerException" {
					continue // the two tests below
				}
				p := request(operation, arn, etag)
				provoke(exception, operation, p, deleted)
				wantException(t, c, dataPlane, operation, exception, statusOf[exception], p)
			}
		}
		after := mustCall(t, c, dataPlane, "DescribeKeyValueStore", map[string]any{"KvsARN": arn})
		expect(t, "DescribeKeyValueStore", after, map[string]any{"ETag": etag, "ItemCount": 1})
	})
}

func TestAccessDeniedForAUserWithoutPolicy(t *testing.T) {
	s := startServer(t)
	stranger := s.newKey(t, access.KeyRequest{User: "stranger"})
	arn, etag := oneItem(t, newGoSDK(t, s.target(s.root)), "guarded")
	eachClient(t, s, stranger, func(t *testing.T, c client) {
		for operation := range modelled {
			wantException(t, c, dataPlane, operation, "AccessDeniedException", 403, request(operation, arn, etag))
		}
	})
}

func TestInternalServerExceptionWhenStorageFails(t *testing.T) {
	s := startServer(t)
	root := newGoSDK(t, s.target(s.root))
	arn, etag := oneItem(t, root, "unlucky")
	s.breakStorage(t)
	eachClient(t, s, s.root, func(t *testing.T, c client) {
		for operation := range modelled {
			wantException(t, c, dataPlane, operation, "InternalServerException", 500, request(operation, arn, etag))
		}
		a := c.call(t, controlPlane, "DescribeKeyValueStore", map[string]any{"Name": "unlucky"})
		if a.Error == nil || a.Error.Code != "ServiceUnavailable" || a.Error.Status != 0 && a.Error.Status != 503 {
			t.Errorf("DescribeKeyValueStore of the control plane: %+v, want ServiceUnavailable", a.Error)
		}
	})
}
