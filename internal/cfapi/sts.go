package cfapi

import (
	"crypto/sha256"
	"encoding/base32"
	"net/http"
	"net/url"

	"github.com/popkv/popkv"
)

const (
	stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"
	stsVersion   = "2011-06-15"
)

// getCallerIdentity is the one operation of STS that is offered, by the query
// protocol: parameters in the body, or in the query string. Nobody needs a
// permission for it (documented).
func getCallerIdentity(c *call) (*response, error) {
	parameters := c.query
	if c.request.Method == http.MethodPost {
		var err error
		if parameters, err = url.ParseQuery(string(c.admission.Body)); err != nil {
			return nil, popkv.Wrap(popkv.Malformed, err, "the body is not form-encoded")
		}
	}
	action, v := parameters.Get("Action"), parameters.Get("Version")
	if action != "GetCallerIdentity" || v != stsVersion {
		c.seen.Operation = ""
		return nil, popkv.Errorf(popkv.UnknownOperation, "Could not find operation %.100s for version %.100s", action, v)
	}
	caller := c.admission.Caller
	var w writer
	w.buf.WriteString(`<GetCallerIdentityResponse xmlns="` + stsNamespace + `">`)
	w.element("GetCallerIdentityResult", func() {
		w.text("Arn", caller.ARN())
		w.text("UserId", userID(caller))
		w.text("Account", caller.Account)
	})
	w.element("ResponseMetadata", func() { w.text("RequestId", c.seen.RequestID) })
	w.buf.WriteString("</GetCallerIdentityResponse>")
	return &response{status: http.StatusOK, body: w.buf.Bytes()}, nil
}

// userID is the account's id for root (documented), and for other users made
// from the name in the shape of AWS's ids.
func userID(c popkv.Caller) string {
	if c.IsRoot() {
		return c.Account
	}
	sum := sha256.Sum256([]byte(c.ARN()))
	return "AIDA" + base32.StdEncoding.EncodeToString(sum[:])[:17]
}
