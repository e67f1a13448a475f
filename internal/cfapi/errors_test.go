package cfapi

import (
	"encoding/xml"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
)

func TestEveryKindHasAWireError(t *testing.T) {
	for _, kind := range popkv.Kinds() {
		for wire, e := range map[string]wireError{"rest-xml": wireErrorOf(kind), "STS": stsErrorOf(kind)} {
			if e.code == "" || http.StatusText(e.status) == "" || e.status < 400 {
				t.Errorf("%s: kind %d is %+v", wire, kind, e)
			}
		}
	}
}

// The statuses of the service model (documented).
func TestModelledErrorsHaveTheirStatus(t *testing.T) {
	model := map[string]int{
		"AccessDenied": 403, "CannotDeleteEntityWhileInUse": 409, "EntityAlreadyExists": 409, "EntityLimitExceeded": 400,
		"EntityNotFound": 404, "EntitySizeLimitExceeded": 413, "InvalidArgument": 400, "InvalidIfMatchVersion": 400,
		"PreconditionFailed": 412, "FunctionAlreadyExists": 409, "FunctionInUse": 409, "FunctionSizeLimitExceeded": 413,
		"NoSuchFunctionExists": 404, "TooManyFunctions": 400, "TestFunctionFailed": 500, "NoSuchResource": 404,
		"InvalidTagging": 400, "UnsupportedOperation": 400,
	}
	found := map[string]int{}
	for _, kind := range popkv.Kinds() {
		e := wireErrorOf(kind)
		if _, ok := model[e.code]; ok {
			found[e.code] = e.status
		}
	}
	if diff := cmp.Diff(model, found); diff != "" {
		t.Errorf("modelled errors (-model +table):\n%s", diff)
	}
}

func TestErrorDocument(t *testing.T) {
	type doc struct {
		XMLName   xml.Name `xml:"ErrorResponse"`
		Type      string   `xml:"Error>Type"`
		Code      string   `xml:"Error>Code"`
		Message   string   `xml:"Error>Message"`
		RequestID string   `xml:"RequestId"`
	}
	for _, c := range []struct {
		e    wireError
		want string
	}{
		{wireErrorOf(popkv.StoreNotFound), "Sender"},
		{wireErrorOf(popkv.Unavailable), "Receiver"},
		{wireErrorOf(popkv.TestFailed), "Receiver"},
	} {
		text := errorDocument(namespace, c.e, "a < b & \"c\"\r\n\x00]]>", requestID)
		var got doc
		if err := xml.Unmarshal(text, &got); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		want := doc{xml.Name{Space: namespace, Local: "ErrorResponse"}, c.want, c.e.code, "a < b & \"c\"\r\n\uFFFD]]>", requestID}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// What a client is told of a bug is what AWS says; the cause is for the log.
func TestCausesAreNotSent(t *testing.T) {
	r, _ := http.NewRequest("GET", "/2020-05-31/key-value-store", nil)
	r.RequestURI = r.URL.Path
	secret := popkv.Wrap(popkv.Internal, http.ErrAbortHandler, "stored data is damaged at /var/lib")
	var seen Observation
	resp := refusal(r, secret, &seen)
	if resp.status != 503 || seen.ErrorCode != "ServiceUnavailable" || seen.Err != error(secret) {
		t.Errorf("%d, %+v", resp.status, seen)
	}
	want := string(errorDocument(namespace, wireErrorOf(popkv.Internal), internalMessage, ""))
	if string(resp.body) != want {
		t.Errorf("sent %s", resp.body)
	}
}
