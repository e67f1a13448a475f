package kvsapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/popkv/popkv"
)

// A smithyCase is one of Smithy's malformed requests: what a server made from
// a restJson1 model answers to a mistake.
type smithyCase struct {
	File    string
	Target  string
	ID      string
	Request struct {
		URI         string
		Headers     map[string]string
		Body        string
		QueryParams []string
	}
	Response struct {
		Code    int
		Headers map[string]string
		Body    struct{ Assertion struct{ Contents string } }
	}
}

// message is the text that the case expects, without its first part.
func (c *smithyCase) message() string {
	var body struct{ Message string }
	_ = json.Unmarshal([]byte(c.Response.Body.Assertion.Contents), &body)
	return body.Message
}

// A mistake is a case transposed to one of our operations.
type mistake struct {
	method, tail string // tail follows the store's path
	headers      map[string]string
	body         string
	message      string // "" expects none in particular
	name         string // of the error, if it is not the case's
}

// TestVectorsSmithyRestJson1 makes the same mistakes in our operations and
// expects the same answers. Files whose mistake none of our operations can
// make (numbers, blobs, unions, typed headers) are not played.
func TestVectorsSmithyRestJson1(t *testing.T) {
	var cases []smithyCase
	if err := json.Unmarshal(vectorFile(t, "smithy-restjson1/malformed-requests.json"), &cases); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, drivers()["memjournal"], rigOptions{limits: popkv.DefaultLimits()})
	id := r.store(t, account, popkv.Ready, "")
	storePath := PathPrefix + strings.ReplaceAll(strings.ReplaceAll(popkv.StoreARN(account, id).String(), ":", "%3A"), "/", "%2F")
	client := r.client(t)
	played := map[string]int{}
	for _, c := range cases {
		file := strings.TrimSuffix(path.Base(c.File), ".smithy")
		transpose, ok := transpositions()[file]
		if !ok || strings.Contains(strings.Join(c.Request.QueryParams, "&"), "$value:L") { // a placeholder of theirs
			continue
		}
		for _, m := range transpose(&c) {
			t.Run(c.ID+"/"+m.method+m.tail, func(t *testing.T) { r.err(t, client, storePath, &c, m) })
			played[file]++
		}
	}
	var files []string
	for file := range played {
		files = append(files, file)
	}
	slices.Sort(files)
	for _, file := range files {
		t.Logf("smithy-restjson1 %s: %d cases", file, played[file])
	}
	if len(played) == 0 {
		t.Fatal("the set is present and no case was played")
	}
	if status, _, etag, body := r.do(t, client, "GET", storePath, "", ""); status != 200 || etag != popkv.DataETag(1) {
		t.Errorf("a mistake changed the store: %d %s %s", status, etag, body)
	}
}

// err makes one mistake.
func (r *rig) err(t *testing.T, client *http.Client, storePath string, c *smithyCase, m mistake) {
	target := storePath + m.tail
	if label, ok := strings.CutPrefix(m.tail, "!"); ok {
		target = PathPrefix + label
	}
	header := http.Header{"If-Match": {popkv.DataETag(1)}}
	for name, value := range m.headers {
		header.Set(name, value)
		if value == "" {
			header.Del(name)
		}
	}
	status, got, _, body := r.request(t, client, m.method, target, header, m.body)
	want := m.name
	if want == "" {
		want = c.Response.Headers["x-amzn-errortype"]
	}
	if status != c.Response.Code || got != want {
		t.Errorf("%d %s %s, want %d %s", status, got, body, c.Response.Code, want)
	}
	var answer struct{ Message string }
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Error(err)
	}
	if m.message != "" && answer.Message != m.message {
		t.Errorf("the message is %q, want %q", answer.Message, m.message)
	}
}

var jsonBody = map[string]string{"Content-Type": "application/json"}

const (
	validation = "ValidationException" // where our operations have this name and Smithy's have SerializationException
	oneItem    = `{"Value":"1"}`
)

// transpositions returns, for each file of Smithy's, how its cases become
// mistakes of ours.
func transpositions() map[string]func(c *smithyCase) []mistake {
	return map[string]func(c *smithyCase) []mistake{
		"malformed-content-type":    wrongMediaType,
		"http-string-payload":       untypedBody,
		"malformed-accept":          wrongAccept,
		"malformed-request-body":    brokenBody,
		"malformed-string":          brokenText,
		"malformed-list":            brokenList,
		"malformed-map":             brokenMap,
		"malformed-timestamp-body":  wrongTypeInBody,
		"malformed-timestamp-query": wrongTypeInQuery,
		"malformed-timestamp-path":  wrongTypeInPath,
		"malformed-integer":         wrongTypeInQuery,
		"malformed-required":        missingMember,
		"malformed-length":          wrongLength,
		"malformed-range":           outOfRange,
		"malformed-pattern":         brokenPattern,
		"malformed-uniqueItems":     repeatedItem,
		"sensitive-validation":      sensitiveValue,
	}
}

// wrongMediaType: an operation without a modelled body gets one that has a type;
// one with a body gets another type than its own, which is JSON here.
func wrongMediaType(c *smithyCase) []mistake {
	if !strings.Contains(c.Target, "WithoutBody") {
		headers := map[string]string{"Content-Type": c.Request.Headers["content-type"]}
		if headers["Content-Type"] == "application/json" {
			headers["Content-Type"] = "text/plain"
		}
		return []mistake{
			{method: "PUT", tail: "/keys/a", headers: headers, body: oneItem},
			{method: "POST", tail: "/keys", headers: headers, body: `{}`},
		}
	}
	return []mistake{
		{method: "GET", headers: c.Request.Headers, body: c.Request.Body},
		{method: "GET", tail: "/keys", headers: c.Request.Headers, body: c.Request.Body},
		{method: "GET", tail: "/keys/a", headers: c.Request.Headers, body: c.Request.Body},
		{method: "DELETE", tail: "/keys/a", headers: c.Request.Headers, body: c.Request.Body},
	}
}

// untypedBody: a modelled body without a type, and one of another type.
func untypedBody(*smithyCase) []mistake {
	other := map[string]string{"Content-Type": "text/plain"}
	return []mistake{
		{method: "PUT", tail: "/keys/a", headers: nil, body: oneItem},
		{method: "POST", tail: "/keys", headers: nil, body: `{}`},
		{method: "PUT", tail: "/keys/a", headers: other, body: oneItem},
		{method: "POST", tail: "/keys", headers: other, body: `{}`},
	}
}

// wrongAccept: the client does not take what the operation sends. Where the
// case's operation sends text, ours sends JSON, so the types change places.
func wrongAccept(c *smithyCase) []mistake {
	accept := c.Request.Headers["accept"]
	if accept == "application/json" {
		accept = "text/plain"
	}
	headers := map[string]string{"Accept": accept}
	body := map[string]string{"Accept": accept, "Content-Type": "application/json"}
	return []mistake{
		{method: "GET", headers: headers},
		{method: "GET", tail: "/keys", headers: headers},
		{method: "GET", tail: "/keys/a", headers: headers},
		{method: "DELETE", tail: "/keys/a", headers: headers},
		{method: "PUT", tail: "/keys/a", headers: body, body: oneItem},
		{method: "POST", tail: "/keys", headers: body, body: `{}`},
	}
}

// brokenBody: what is wrong is the document, so only the member changes.
func brokenBody(c *smithyCase) []mistake {
	body := strings.NewReplacer(`"int"`, `"Value"`, `'int'`, `'Value'`, "10", `"10"`).Replace(c.Request.Body)
	list := strings.NewReplacer(`"int"`, `"Puts"`, `'int'`, `'Puts'`, "10", `[]`).Replace(c.Request.Body)
	return []mistake{
		{method: "PUT", tail: "/keys/a", headers: jsonBody, body: body},
		{method: "POST", tail: "/keys", headers: jsonBody, body: list},
	}
}

// brokenText: the one base64 that we read is a page token.
func brokenText(c *smithyCase) []mistake {
	return []mistake{{method: "GET", tail: "/keys?NextToken=" + url.PathEscape(c.Request.Headers["amz-media-typed-header"]), name: validation}}
}

var element = regexp.MustCompile(`"([a-z])"`)

func brokenList(c *smithyCase) []mistake {
	body := element.ReplaceAllString(c.Request.Body, `{"Key":"$1"}`)
	return []mistake{{method: "POST", tail: "/keys", headers: jsonBody, body: strings.Replace(body, "bodyList", "Deletes", 1)}}
}

// brokenMap: we have no map; an object where a list belongs is the nearest.
func brokenMap(c *smithyCase) []mistake {
	return []mistake{{method: "POST", tail: "/keys", headers: jsonBody, body: strings.Replace(c.Request.Body, "bodyMap", "Puts", 1)}}
}

// wrongTypeInBody: what is no timestamp is no list either.
func wrongTypeInBody(c *smithyCase) []mistake {
	return []mistake{{method: "POST", tail: "/keys", headers: jsonBody, body: strings.Replace(c.Request.Body, "timestamp", "Puts", 1)}}
}

// wrongTypeInQuery: what is no timestamp, and no integer, is no MaxResults.
// ListKeys models ValidationException for it.
func wrongTypeInQuery(c *smithyCase) []mistake {
	if len(c.Request.QueryParams) == 0 {
		return nil
	}
	_, value, _ := strings.Cut(c.Request.QueryParams[0], "=")
	return []mistake{{method: "GET", tail: "/keys?MaxResults=" + value, name: validation}}
}

// wrongTypeInPath: what is no timestamp is no ARN.
func wrongTypeInPath(c *smithyCase) []mistake {
	return []mistake{{method: "GET", tail: "!" + path.Base(c.Request.URI), name: validation}}
}

func missingMember(c *smithyCase) []mistake {
	if strings.Contains(c.message(), "InHeader") {
		return []mistake{{method: "DELETE", tail: "/keys/a", headers: map[string]string{"If-Match": ""}}}
	}
	if strings.Contains(c.message(), "InQuery") {
		return []mistake{{method: "GET", tail: "/keys?NextToken"}}
	}
	body := strings.Replace(c.Request.Body, `"string"`, `"Value"`, 1)
	item := strings.Replace(c.Request.Body, `"string"`, `"Key"`, 1)
	return []mistake{
		{method: "PUT", tail: "/keys/a", headers: jsonBody, body: body, message: strings.Replace(c.message(), "/string", "/Value", 1)},
		{method: "POST", tail: "/keys", headers: jsonBody, body: `{"Deletes":[` + item + `]}`, message: strings.Replace(c.message(), "/string", "/Deletes/0/Key", 1)},
	}
}

var (
	lengthAt = regexp.MustCompile(`with length (\d+) at '([^']*)'`)
	bounds   = regexp.MustCompile(`(between|greater than or equal to|less than or equal to) (\d+)(?: and (\d+))?`)
)

// wrongLength: too short and too long become a key of 0 and of 1025
// characters, two bytes each.
func wrongLength(c *smithyCase) []mistake {
	length := lengthAt.FindStringSubmatch(c.message())
	bound := bounds.FindStringSubmatch(c.message())
	if length == nil || bound == nil {
		return nil
	}
	n, _ := strconv.Atoi(length[1])
	lowest, _ := strconv.Atoi(bound[2])
	key := ""
	if bound[1] == "less than or equal to" || bound[1] == "between" && n >= lowest {
		key = strings.Repeat("é", 1025)
	}
	message := func(member string) string {
		return fmt.Sprintf("1 validation error detected. Value with length %d at '%s' failed to satisfy constraint: Member must have length between 1 and 1024, inclusive", len([]rune(key)), member)
	}
	escaped := strings.ReplaceAll(key, "é", "%C3%A9")
	return []mistake{
		{method: "GET", tail: "/keys/" + escaped, message: message("/Key")},
		{method: "PUT", tail: "/keys/" + escaped, headers: jsonBody, body: oneItem, message: message("/Key")},
		{method: "DELETE", tail: "/keys/" + escaped, message: message("/Key")},
		{method: "POST", tail: "/keys", headers: jsonBody, body: `{"Puts":[{"Key":"` + key + `","Value":""}]}`, message: message("/Puts/0/Key")},
		{method: "POST", tail: "/keys", headers: jsonBody, body: `{"Deletes":[{"Key":"a"},{"Key":"` + key + `"}]}`, message: message("/Deletes/1/Key")},
	}
}

// outOfRange: below and above become a MaxResults of 0 and 51.
func outOfRange(c *smithyCase) []mistake {
	value := "51"
	digits := regexp.MustCompile(`[\d.]+`).FindString(c.Request.Body)
	bound := bounds.FindStringSubmatch(c.message())
	if bound == nil {
		return nil
	}
	n, _ := strconv.ParseFloat(digits, 64)
	lowest, _ := strconv.ParseFloat(bound[2], 64)
	if bound[1] != "less than or equal to" && n < lowest {
		value = "0"
	}
	return []mistake{{
		method: "GET", tail: "/keys?MaxResults=" + value,
		message: "1 validation error detected. Value at '/MaxResults' failed to satisfy constraint: Member must be between 1 and 50, inclusive",
	}}
}

// brokenPattern: the one pattern of ours is the ARN's.
func brokenPattern(*smithyCase) []mistake {
	return []mistake{{method: "GET", tail: "!ABC"}, {method: "DELETE", tail: "!ABC/keys/a"}}
}

// repeatedItem: the cases about a missing member become one here, too.
func repeatedItem(c *smithyCase) []mistake {
	if strings.Contains(c.message(), "not be null") {
		return []mistake{{method: "POST", tail: "/keys", headers: jsonBody, body: `{"Deletes":[{"Key2":"a"}]}`,
			message: "1 validation error detected. Value at '/Deletes/0/Key' failed to satisfy constraint: Member must not be null"}}
	}
	return []mistake{
		{method: "POST", tail: "/keys", headers: jsonBody, body: `{"Deletes":[{"Key":"a"},{"Key":"a"}]}`},
		{method: "POST", tail: "/keys", headers: jsonBody, body: `{"Puts":[{"Key":"a","Value":""},{"Key":"a","Value":""}]}`},
	}
}

// sensitiveValue: a message never holds what was sent.
func sensitiveValue(*smithyCase) []mistake {
	return []mistake{{
		method: "GET", tail: "/keys/" + strings.Repeat("secret", 200),
		message: "1 validation error detected. Value with length 1200 at '/Key' failed to satisfy constraint: Member must have length between 1 and 1024, inclusive",
	}}
}
