package kvsapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/dataplane"
)

const jsonType = "application/json"

// checkTypes holds Content-Type and Accept to what a restJson1 server takes:
// a body is JSON and says so, an operation without a modelled body gets none
// that claims a type, and the client takes JSON back.
//
// What is not signed must not change the outcome, so an Accept that was added
// on the way is ignored. Content-Type is read either way: some signers leave
// it out, and it chooses nothing, since a body is JSON or refused.
func checkTypes(r *http.Request, admitted *access.Admission, modelled bool) error {
	if accept := admitted.Header("Accept"); accept != "" && !acceptsJSON(accept) {
		return popkv.Errorf(popkv.NotAcceptable, "the response is application/json, which Accept rules out")
	}
	if len(admitted.Body) == 0 {
		return nil
	}
	types := r.Header["Content-Type"]
	switch {
	case modelled && (len(types) != 1 || !isMediaType(types[0], jsonType)):
		return popkv.Errorf(popkv.UnsupportedMediaType, "the body must be sent with Content-Type: application/json")
	case !modelled && len(types) > 0:
		return popkv.Errorf(popkv.UnsupportedMediaType, "this operation takes no body")
	}
	return nil
}

// isMediaType reports whether value is the media type want, whatever its
// parameters.
func isMediaType(value, want string) bool {
	value, _, _ = strings.Cut(value, ";")
	return strings.EqualFold(strings.TrimSpace(value), want)
}

// acceptsJSON reports whether one of the ranges in Accept covers
// application/json with a quality above zero.
func acceptsJSON(accept string) bool {
	for element := range strings.SplitSeq(accept, ",") {
		covers := isMediaType(element, jsonType) || isMediaType(element, "application/*") || isMediaType(element, "*/*")
		if covers && !refused(element) {
			return true
		}
	}
	return false
}

// refused reports whether an element of Accept has the quality zero.
func refused(element string) bool {
	_, params, _ := strings.Cut(element, ";")
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return err == nil && q == 0
		}
	}
	return false
}

// expected returns the ETag in If-Match, without one pair of double quotes if
// it has one (assumed, docs/operations/put-key.md). The rules refuse an absent
// one (divergence 5). A weak tag and `*` stay as they are and so match nothing
// (divergence 6).
func expected(r *http.Request, admitted *access.Admission) (string, error) {
	value := admitted.Header("If-Match")
	if value == "" && r.Header.Get("If-Match") != "" {
		return "", popkv.Errorf(popkv.BadETag, "If-Match must be given once and be among the signed headers")
	}
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	return value, nil
}

// readPage reads MaxResults and NextToken from a raw query. Names are case
// sensitive; parameters of other names are ignored.
func readPage(query string) (maxResults int, token string, err error) {
	maxResults = dataplane.DefaultMaxResults
	seen := map[string]bool{}
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := unescape(rawName)
		if err != nil {
			return 0, "", err
		}
		if name != "MaxResults" && name != "NextToken" {
			continue
		}
		if seen[name] {
			return 0, "", popkv.Errorf(popkv.Invalid, "%s is given more than once", name)
		}
		seen[name] = true
		value, err := unescape(rawValue)
		if err != nil {
			return 0, "", err
		}
		if name == "NextToken" {
			if value == "" {
				return 0, "", popkv.Errorf(popkv.Invalid, "NextToken is empty: leave it out for the first page")
			}
			token = value
			continue
		}
		if maxResults, err = readCount(value); err != nil {
			return 0, "", err
		}
	}
	return maxResults, token, nil
}

// readCount reads a decimal number of digits only.
func readCount(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, popkv.Errorf(popkv.Invalid, "1 validation error detected. Value at '/MaxResults' failed to satisfy constraint: Member must be an integer")
	}
	return int(n), nil
}
