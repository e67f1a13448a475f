package cfapi

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv/internal/controlplane"
)

// A smithyCase is one request of the restXml protocol tests. Its operations
// are Smithy's own; what it says of XML holds for ours.
type smithyCase struct {
	ID            string
	Body          string
	BodyMediaType string
	Headers       map[string]string
	Params        map[string]any
}

// smithyCases returns the cases with an XML body of requests.json or
// responses.json.
func smithyCases(t *testing.T, name string) []smithyCase {
	t.Helper()
	file := filepath.Join(cmp.Or(os.Getenv("POPKV_VECTORS"), "../../../shared/vectors"), "smithy-restxml", name)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Skipf("%v: set POPKV_VECTORS to the folder that holds smithy-restxml", err)
	}
	var all []smithyCase
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(c smithyCase) bool { return c.BodyMediaType != "application/xml" || c.Body == "" })
	if len(all) == 0 {
		t.Fatalf("%s: no cases", file)
	}
	return all
}

// Every body is read, whatever its elements, and every string that the case
// means by it is one of its texts (or attributes or headers, which no operation
// of ours has).
func TestVectorsSmithyRestXmlBodiesAreRead(t *testing.T) {
	cases := smithyCases(t, "requests.json")
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			if c.ID == "XmlNamespaces" {
				t.Skip("elements of other namespaces than the service's are left out")
			}
			root := struct{ XMLName xml.Name }{}
			if err := xml.Unmarshal([]byte(c.Body), &root); err != nil {
				t.Fatal(err)
			}
			// The case's namespace takes the place of ours.
			body := c.Body
			if root.XMLName.Space != "" {
				body = strings.ReplaceAll(body, `"`+root.XMLName.Space+`"`, `"`+namespace+`"`)
			}
			e, err := parseXML([]byte(body), root.XMLName.Local)
			if err != nil {
				t.Fatal(err)
			}
			have := append(texts(e), attributes(t, c.Body)...)
			have = slices.AppendSeq(have, maps.Values(c.Headers))
			for _, want := range stringsOf(c.Params) {
				if !slices.Contains(have, want) {
					t.Errorf("%q is not among %q", want, have)
				}
			}
		})
	}
	t.Logf("smithy-restxml: %d cases", len(cases))
}

// The same strings as a comment: written as the case writes them, they come
// back from our own answer as the case means them.
func TestVectorsSmithyRestXmlTransposed(t *testing.T) {
	r := newRig(t, drivers()["memjournal"], controlplane.Options{})
	r.send("POST /2020-05-31/key-value-store HTTP/1.1\n\n<CreateKeyValueStoreRequest><Name>s</Name></CreateKeyValueStoreRequest>", "root")
	played := 0
	for _, c := range slices.Concat(smithyCases(t, "requests.json"), smithyCases(t, "responses.json")) {
		want, ok := c.Params["stringValue"].(string)
		if !ok || len([]rune(want)) > 128 {
			continue
		}
		written := between(c.Body, "<stringValue>", "</stringValue>")
		played++
		t.Run(c.ID, func(t *testing.T) {
			etag := r.send("GET /2020-05-31/key-value-store/s HTTP/1.1\n\n", "root").Header()["ETag"][0]
			request := fmt.Sprintf("PUT /2020-05-31/key-value-store/s HTTP/1.1\nIf-Match: %s\nContent-Type: application/xml; charset=utf-8\n\n<UpdateKeyValueStoreRequest><Comment>%s</Comment></UpdateKeyValueStoreRequest>", etag, written)
			w := r.send(request, "root")
			var got struct{ Comment string }
			if err := xml.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
				t.Fatalf("%d, %v: %s", w.Code, err, w.Body)
			}
			if diff := gocmp.Diff(want, got.Comment); diff != "" {
				t.Errorf("comment (-meant +answered):\n%s", diff)
			}
		})
	}
	if played == 0 {
		t.Fatal("no cases to transpose")
	}
	t.Logf("smithy-restxml transposed: %d cases", played)
}

// texts are the texts of all elements.
func texts(e *element) []string {
	all := []string{e.text.String()}
	for _, c := range e.children {
		all = append(all, texts(c)...)
	}
	return all
}

func attributes(t *testing.T, body string) (all []string) {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(body))
	for {
		token, err := dec.Token()
		if err != nil {
			return all
		}
		if start, ok := token.(xml.StartElement); ok {
			for _, a := range start.Attr {
				all = append(all, a.Value)
			}
		}
	}
}

// stringsOf are the strings in params, except those that are written in
// another form: names of map entries and blobs are, numbers and times too.
func stringsOf(v any) (all []string) {
	switch v := v.(type) {
	case string:
		if v != "NaN" && !strings.HasSuffix(v, "Infinity") {
			all = append(all, v)
		}
	case []any:
		for _, item := range v {
			all = append(all, stringsOf(item)...)
		}
	case map[string]any:
		for name, item := range v {
			if name != "data" { // a blob, in base64 on the wire
				all = append(all, stringsOf(item)...)
			}
		}
	}
	return all
}

func between(s, begin, end string) string {
	_, s, _ = strings.Cut(s, begin)
	s, _, _ = strings.Cut(s, end)
	return s
}
