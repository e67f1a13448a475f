package cfjs

import "strings"

// disallowedHeaders are hidden from functions and may not be added
// (documented: restrictions on all edge functions).
var disallowedHeaders = map[string]bool{
	"connection": true, "expect": true, "keep-alive": true, "proxy-authenticate": true, "proxy-authorization": true,
	"proxy-connection": true, "trailer": true, "upgrade": true, "x-accel-buffering": true, "x-accel-charset": true,
	"x-accel-limit-rate": true, "x-accel-redirect": true, "x-amzn-auth": true, "x-amzn-cf-billing": true,
	"x-amzn-cf-id": true, "x-amzn-cf-xff": true, "x-amzn-errortype": true, "x-amzn-fle-profile": true,
	"x-amzn-header-count": true, "x-amzn-header-order": true, "x-amzn-lambda-integration-tag": true,
	"x-amzn-requestid": true, "x-cache": true, "x-forwarded-proto": true, "x-real-ip": true,
}

// DisallowedHeader reports whether a header, its name in lower case, is hidden
// from functions and may not be added by one.
func DisallowedHeader(name string) bool {
	return disallowedHeaders[name] || strings.HasPrefix(name, "x-amz-cf-") || strings.HasPrefix(name, "x-edge-")
}

// Headers that a function may read but not add, change or delete (documented).
var (
	readOnlyRequestHeaders  = []string{"cdn-loop", "content-length", "host", "transfer-encoding", "via"}
	readOnlyResponseHeaders = []string{"warning", "via"}
)

const (
	errLowerCase  = "must have header names in lower case"
	errDisallowed = "The CloudFront function tried to add a disallowed header"
	errReadOnly   = "The CloudFront function tried to add, delete, or change a read-only header."
)

// checkHeaders compares what a function returned with what it was given. It
// returns the text of the first rule that is broken, or "".
func checkHeaders(path string, got, given Fields, readOnly []string) string {
	for _, f := range got {
		if hasUpper(f.Name) {
			return errInvalid(path, errLowerCase)
		}
		if _, had := given.Get(f.Name); !had && DisallowedHeader(f.Name) {
			return errDisallowed + ": " + f.Name + "."
		}
	}
	for _, name := range readOnly {
		if !sameField(got, given, name) {
			return errReadOnly
		}
	}
	return ""
}

func sameField(a, b Fields, name string) bool {
	f, ok1 := a.Get(name)
	g, ok2 := b.Get(name)
	return ok1 == ok2 && sameValues(f.Values(), g.Values())
}

func sameValues(a, b []Value) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// errInvalid is the text of a rule that a returned object breaks. One such
// text was observed; the others have its shape (assumed).
func errInvalid(path, rule string) string {
	return "The CloudFront function returned an invalid value: " + path + " " + rule + "."
}
