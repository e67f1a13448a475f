package compat

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// functionParameters are those of CreateFunction, and with an IfMatch those of
// UpdateFunction. store "" stands for no association.
func functionParameters(name, store, code string) map[string]any {
	config := map[string]any{"Comment": "made by a test", "Runtime": "cloudfront-js-2.0"}
	if store != "" {
		config["KeyValueStoreAssociations"] = map[string]any{"Quantity": 1, "Items": []any{map[string]any{"KeyValueStoreARN": store}}}
	}
	return map[string]any{"Name": name, "FunctionConfig": config, "FunctionCode": encoded(code)}
}

const (
	firstCode  = "function handler(event) { return event.request; }"
	secondCode = "function handler(event) {\n\treturn { statusCode: 302, headers: { location: { value: '/new' } } };\n}\n"
)

func TestFunctionLife(t *testing.T) {
	const first, second = "ETVPDKIKX0DER", "E3UN6WX5RRO2AG"
	s := startServer(t)
	eachClient(t, s, s.root, func(t *testing.T, c client) {
		name := storeName(t, "")
		store, _ := newStore(t, c, name, nil)
		call := func(operation string, more map[string]any) map[string]any {
			t.Helper()
			parameters := map[string]any{"Name": name}
			for k, v := range more {
				parameters[k] = v
			}
			return mustCall(t, c, controlPlane, operation, parameters)
		}
		created := call("CreateFunction", functionParameters(name, store, firstCode))
		expect(t, "CreateFunction", created, map[string]any{"ETag": first})
		wantSummary(t, "CreateFunction", created, name, "UNPUBLISHED", "DEVELOPMENT")
		if !strings.HasSuffix(fmt.Sprint(created["Location"]), ":function/"+name) {
			t.Errorf("CreateFunction: Location %v", created["Location"])
		}
		wantException(t, c, controlPlane, "DescribeFunction", "NoSuchFunctionExists", 404, map[string]any{"Name": name, "Stage": "LIVE"})
		wantException(t, c, controlPlane, "DeleteKeyValueStore", "CannotDeleteEntityWhileInUse", 409, map[string]any{"Name": name, "IfMatch": second})

		wantSummary(t, "PublishFunction", call("PublishFunction", map[string]any{"IfMatch": first}), name, "UNASSOCIATED", "LIVE")
		update := functionParameters(name, store, secondCode)
		update["IfMatch"] = first
		updated := call("UpdateFunction", update) // its ETag comes in the header ETtag
		expect(t, "UpdateFunction", updated, map[string]any{"ETag": second})
		for stage, want := range map[string]struct{ etag, code string }{"DEVELOPMENT": {second, secondCode}, "LIVE": {first, firstCode}} {
			described := call("DescribeFunction", map[string]any{"Stage": stage})
			expect(t, "DescribeFunction "+stage, described, map[string]any{"ETag": want.etag})
			got := call("GetFunction", map[string]any{"Stage": stage})
			expect(t, "GetFunction "+stage, got, map[string]any{"ETag": want.etag, "FunctionCode": encoded(want.code)})
		}
		listed := fmt.Sprint(mustCall(t, c, controlPlane, "ListFunctions", map[string]any{"Stage": "LIVE"}))
		if !strings.Contains(listed, name) {
			t.Errorf("ListFunctions does not name %s: %s", name, listed)
		}

		wantException(t, c, controlPlane, "DeleteFunction", "PreconditionFailed", 412, map[string]any{"Name": name, "IfMatch": first})
		call("DeleteFunction", map[string]any{"IfMatch": second})
		wantException(t, c, controlPlane, "DescribeFunction", "NoSuchFunctionExists", 404, map[string]any{"Name": name})
		call("DeleteKeyValueStore", map[string]any{"IfMatch": second})
	})
}

func wantSummary(t *testing.T, operation string, output map[string]any, name, status, stage string) {
	t.Helper()
	summary, _ := output["FunctionSummary"].(map[string]any)
	metadata, _ := summary["FunctionMetadata"].(map[string]any)
	expect(t, operation, summary, map[string]any{"Name": name, "Status": status})
	expect(t, operation, metadata, map[string]any{"Stage": stage, "FunctionARN": "arn:aws:cloudfront::" + account + ":function/" + name})
}

const event = `{"version":"1.0","context":{"eventType":"viewer-request"},"viewer":{"ip":"192.0.2.1"},` +
	`"request":{"method":"GET","uri":"/old","querystring":{},"headers":{},"cookies":{}}}`

// TestFunction runs a function that reads its store, and one that throws.
func TestTestFunction(t *testing.T) {
	s := startServer(t)
	root := newGoSDK(t, s.target(s.root))
	store, etag := newStore(t, root, "redirects", nil)
	mustCall(t, root, dataPlane, "PutKey", map[string]any{"KvsARN": store, "Key": "/old", "Value": "/new", "IfMatch": etag})
	mustCall(t, root, controlPlane, "CreateFunction", functionParameters("redirect", store, `
import cf from 'cloudfront';
async function handler(event) {
	const to = await cf.kvs().get(event.request.uri);
	console.log('to', to);
	return { statusCode: 302, headers: { location: { value: to } } };
}`))
	mustCall(t, root, controlPlane, "CreateFunction", functionParameters("throw", "", "function handler(event) { throw new Error('on purpose'); }"))
	eachClient(t, s, s.root, func(t *testing.T, c client) {
		test := func(name string) map[string]any {
			t.Helper()
			return mustCall(t, c, controlPlane, "TestFunction", map[string]any{
				"Name": name, "IfMatch": "ETVPDKIKX0DER", "Stage": "DEVELOPMENT", "EventObject": encoded(event),
			})["TestResult"].(map[string]any)
		}
		result := test("redirect")
		if !strings.Contains(fmt.Sprint(result["FunctionOutput"]), `"/new"`) || !strings.Contains(fmt.Sprint(result["FunctionExecutionLogs"]), "to /new") {
			t.Errorf("TestFunction: %v, want a redirect to /new and its log", result)
		}
		if message := result["FunctionErrorMessage"]; message != nil && message != "" {
			t.Errorf("TestFunction: FunctionErrorMessage %q", message)
		}
		result = test("throw")
		if !strings.Contains(fmt.Sprint(result["FunctionErrorMessage"]), "on purpose") {
			t.Errorf("TestFunction: %v, want the error that was thrown", result)
		}
	})
}
