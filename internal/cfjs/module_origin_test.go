package cfjs

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func originFunction(call string) string {
	return "import cf from 'cloudfront';\nfunction handler(event) { " + call + "; return event.response || event.request; }"
}

func TestOriginHelpers(t *testing.T) {
	for _, c := range []struct{ name, call, want string }{
		{"update", `cf.updateRequestOrigin({domainName: 'o.example.com', originPath: '/p', connectionAttempts: 2, sni: 's', hostHeader: 'h',
			customHeaders: {'X-A': 'b'}, originShield: {enabled: true, region: 'eu-west-1'}, mTLSConfig: 'off',
			originAccessControlConfig: {enabled: false}, timeouts: {readTimeout: 5, responseCompletionTimeout: 30, keepAliveTimeout: 4, connectionTimeout: 3},
			customOriginConfig: {port: 443, protocol: 'https', sslProtocols: ['TLSv1.2']}, allowedCertificateNames: ['a']})`,
			`{"update":{"domainName":"o.example.com","hostHeader":"h","originPath":"/p","customHeaders":{"X-A":"b"},"connectionAttempts":2,
			"originShield":{"enabled":true,"region":"eu-west-1"},"originAccessControlConfig":{"enabled":false},
			"timeouts":{"readTimeout":5,"responseCompletionTimeout":30,"keepAliveTimeout":4,"connectionTimeout":3},
			"customOriginConfig":{"port":443,"protocol":"https","sslProtocols":["TLSv1.2"]},"sni":"s","allowedCertificateNames":["a"],"mTLSConfig":"off"}}`},
		{"select", `cf.selectRequestOriginById('one', {hostHeader: 'h'})`, `{"select":{"originId":"one","hostHeader":"h"}}`},
		{"group of names", `cf.createRequestOriginGroup({originIds: ['a', 'b'], failoverCriteria: {statusCodes: [500, 502]}})`,
			`{"group":{"origins":[{"originId":"a"},{"originId":"b"}],"selectionCriteria":"default","statusCodes":[500,502]}}`},
		{"group of objects", `cf.createRequestOriginGroup({originIds: [{originId: 'a', originOverrides: {sni: 's'}}, {originId: 'b'}],
			selectionCriteria: 'media-quality-score', failoverCriteria: {statusCodes: [500]}})`,
			`{"group":{"origins":[{"originId":"a","sni":"s"},{"originId":"b"}],"selectionCriteria":"media-quality-score","statusCodes":[500]}}`},
		{"the last call wins", `cf.selectRequestOriginById('one'); cf.selectRequestOriginById('two')`, `{"select":{"originId":"two"}}`},
	} {
		r := mustRun(t, originFunction(c.call), mustEvent(t, exampleEvent), nil)
		var want OriginChange
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, r.Origin); diff != "" || r.Failure != NoFailure {
			t.Errorf("%s: %s\n%s", c.name, r.ErrorMessage, diff)
		}
	}
}

func TestOriginHelpersClearHeaders(t *testing.T) {
	r := mustRun(t, originFunction(`cf.updateRequestOrigin({customHeaders: {}})`), mustEvent(t, exampleEvent), nil)
	if r.Origin == nil || r.Origin.Update.CustomHeaders == nil {
		t.Errorf("an empty object must not be nil: %+v", r.Origin)
	}
}

func TestOriginHelpersRefuse(t *testing.T) {
	const invalid = "The CloudFront function returned an invalid value: "
	for _, c := range []struct{ call, want string }{
		{`cf.updateRequestOrigin()`, "updateRequestOrigin.argument must be an object."},
		{`cf.updateRequestOrigin({domainName: '10.0.0.1'})`, "updateRequestOrigin.domainName must be a domain name of at most 253 characters without a port."},
		{`cf.updateRequestOrigin({domainName: 'a:80'})`, "updateRequestOrigin.domainName must be a domain name of at most 253 characters without a port."},
		{`cf.updateRequestOrigin({domainName: 'Bucket.s3.amazonaws.com'})`, "updateRequestOrigin.domainName must be a domain name of at most 253 characters without a port."},
		{`cf.updateRequestOrigin({domainName: 5})`, "updateRequestOrigin.domainName must be a string."},
		{`cf.updateRequestOrigin({connectionAttempts: 4})`, "updateRequestOrigin.connectionAttempts must be an integer from 1 to 3."},
		{`cf.updateRequestOrigin({timeouts: {readTimeout: 9, responseCompletionTimeout: 8}})`, "updateRequestOrigin.timeouts.responseCompletionTimeout must not be less than readTimeout."},
		{`cf.updateRequestOrigin({timeouts: {connectionTimeout: 11}})`, "updateRequestOrigin.timeouts.connectionTimeout must be an integer from 1 to 10."},
		{`cf.updateRequestOrigin({customHeaders: {Accept: 'x'}})`, "updateRequestOrigin.customHeaders.Accept is a header of the request."},
		{`cf.updateRequestOrigin({hostHeader: 'h', originAccessControlConfig: {enabled: true, signingBehavior: 'always', signingProtocol: 'sigv4', originType: 's3'}})`,
			"updateRequestOrigin.hostHeader cannot be set together with originAccessControlConfig."},
		{`cf.updateRequestOrigin({originAccessControlConfig: {enabled: true, signingBehavior: 'maybe'}})`,
			"updateRequestOrigin.originAccessControlConfig.signingBehavior must be one of always, never, no-override."},
		{`cf.updateRequestOrigin({allowedCertificateNames: ['a', 1]})`, "updateRequestOrigin.allowedCertificateNames must be an array of strings."},
		{`cf.selectRequestOriginById()`, "selectRequestOriginById.originId must be a string."},
		{`cf.createRequestOriginGroup({originIds: ['a']})`, "createRequestOriginGroup.originIds must have two elements."},
		{`cf.createRequestOriginGroup({originIds: ['a', {}], failoverCriteria: {statusCodes: []}})`, "createRequestOriginGroup.originIds must name two origins."},
	} {
		r := mustRun(t, originFunction("try { "+c.call+" } catch (e) {}"), mustEvent(t, exampleEvent), nil)
		if r.Failure != ValidationError || r.ErrorMessage != invalid+c.want {
			t.Errorf("%s\n got %s\nwant %s", c.call, r.ErrorMessage, c.want)
		}
	}
	r := mustRun(t, originFunction(`cf.selectRequestOriginById('a')`), mustEvent(t, exampleResponseEvent), nil)
	if r.ErrorMessage != invalid+"selectRequestOriginById can be called in a viewer-request function only." {
		t.Errorf("in a viewer response: %s", r.ErrorMessage)
	}
}
