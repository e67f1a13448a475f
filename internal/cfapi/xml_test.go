package cfapi

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
)

func TestParseXMLBoundsDepth(t *testing.T) {
	nested := func(n int) []byte {
		return []byte("<r>" + strings.Repeat("<a>", n-1) + strings.Repeat("</a>", n-1) + "</r>")
	}
	if _, err := parseXML(nested(maxDepth), "r"); err != nil {
		t.Errorf("%d levels: %v", maxDepth, err)
	}
	for _, n := range []int{maxDepth + 1, 100_000} {
		if _, err := parseXML(nested(n), "r"); popkv.KindOf(err) != popkv.Malformed {
			t.Errorf("%d levels: %v", n, err)
		}
	}
}

// Elements of another namespace hide nothing and bring nothing in.
func TestParseXMLLeavesOtherNamespacesOut(t *testing.T) {
	for body, want := range map[string]string{
		`<r xmlns:o="urn:o"><o:Name>no</o:Name><Name>yes</Name></r>`:                        "yes",
		`<r xmlns:o="urn:o"><o:x><Name>no</Name></o:x><Name>yes</Name></r>`:                 "yes",
		`<r xmlns:o="urn:o"><Name>y<o:b>no</o:b>es</Name></r>`:                              "yes",
		`<r xmlns="` + namespace + `"><Name xmlns="">yes</Name></r>`:                        "yes",
		`<r><Name xmlns="` + namespace + `">yes</Name></r>`:                                 "yes",
		`<r xmlns="` + namespace + `" xmlns:p="` + namespace + `"><p:Name>yes</p:Name></r>`: "yes",
		`<r><Name><!-- no -->y<![CDATA[e]]>s<?no no?></Name></r>`:                           "yes",
		"\uFEFF<r><Name>yes</Name></r>":                                                     "yes",
		" \n<r><Name>yes</Name></r>\n":                                                      "yes",
	} {
		root, err := parseXML([]byte(body), "r")
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if got, err := root.required("Name", "name"); got != want || err != nil {
			t.Errorf("%s: %q, %v", body, got, err)
		}
	}
}

func TestEscapeIsReadBack(t *testing.T) {
	for _, text := range []string{"", " a ", "<&>\"'", "\t\r\n\r", "]]>", "é😀\uFFFD"} {
		var w writer
		w.text("t", text)
		var got string
		if err := xml.Unmarshal(w.buf.Bytes(), &got); err != nil || got != text {
			t.Errorf("%q is written as %s and read as %q, %v", text, w.buf.Bytes(), got, err)
		}
	}
	if got := escape("a\x00\x1b\uFFFE\uFFFFb\xff"); got != "a\uFFFD\uFFFD\uFFFD\uFFFDb\uFFFD" {
		t.Errorf("%q", got)
	}
}

// FuzzParseXML compares parseXML with encoding/xml's own reading of the same
// shape: what both accept says the same, and no body does harm.
func FuzzParseXML(f *testing.F) {
	for _, body := range []string{
		`<?xml version="1.0"?><CreateKeyValueStoreRequest xmlns="` + namespace + `"><Name>n</Name><Comment>&lt;c&#13;&gt;</Comment></CreateKeyValueStoreRequest>`,
		`<CreateKeyValueStoreRequest><Tags><Items><Tag><Key>k</Key><Value/></Tag><Tag><Key>l</Key></Tag></Items></Tags><Name>n</Name></CreateKeyValueStoreRequest>`,
		`<CreateKeyValueStoreRequest><Name>n</Name><ImportSource><SourceType>S3</SourceType><SourceARN>arn:aws:s3:::b/k</SourceARN></ImportSource></CreateKeyValueStoreRequest>`,
		`<a:CreateKeyValueStoreRequest xmlns:a="` + namespace + `"><a:Name><![CDATA[n]]></a:Name></a:CreateKeyValueStoreRequest>`,
		`<!DOCTYPE x><CreateKeyValueStoreRequest/>`,
		`<CreateKeyValueStoreRequest><Name>a</Name><Name>b</Name></CreateKeyValueStoreRequest>`,
		"\uFEFF<CreateKeyValueStoreRequest>",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := readNewStore(body)
		if err != nil {
			if k := popkv.KindOf(err); k != popkv.Malformed {
				t.Fatalf("kind %d: %v", k, err)
			}
			return
		}
		var want struct {
			XMLName xml.Name `xml:"CreateKeyValueStoreRequest"`
			Name    []string
			Comment []string
		}
		dec := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(string(body), "\uFEFF")))
		if err := dec.Decode(&want); err != nil && err != io.EOF {
			t.Fatalf("accepted what encoding/xml refuses: %v", err)
		}
		// encoding/xml takes elements of any namespace, so it may have more.
		if len(want.Name) == 1 && want.Name[0] != in.Name {
			t.Fatalf("name %q, encoding/xml has %q", in.Name, want.Name)
		}
		if in.Comment != nil && len(want.Comment) == 1 && want.Comment[0] != *in.Comment {
			t.Fatalf("comment %q, encoding/xml has %q", *in.Comment, want.Comment)
		}
		// What was read can be written, and is then read as the same.
		var w writer
		w.text("Comment", in.Name)
		root, err := parseXML([]byte("<r>"+w.buf.String()+"</r>"), "r")
		if err != nil {
			t.Fatal(err)
		}
		again, err := root.required("Comment", "")
		if diff := cmp.Diff(in.Name, again); diff != "" || err != nil {
			t.Fatalf("%v: written and read again:\n%s", err, diff)
		}
	})
}

// FuzzFind: no path is cleaned, and a name that is found is in the path.
func FuzzFind(f *testing.F) {
	for _, path := range []string{"/", "/2020-05-31/key-value-store", "/2020-05-31/key-value-store/", "/2020-05-31/key-value-store/a%2Fb", "/2020-05-31/tagging/..", "//"} {
		f.Add("GET", path)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		r, err := find(method, path)
		if err != nil {
			if popkv.KindOf(err) != popkv.UnknownOperation {
				t.Fatal(err)
			}
			return
		}
		if r.operation.name == "" || r.run == nil {
			t.Fatalf("%s %s is an operation without a name", method, path)
		}
		if r.name != "" && (strings.Contains(r.name, "/") || !strings.Contains(path, "/"+r.name)) {
			t.Fatalf("%s %s has the name %q", method, path, r.name)
		}
	})
}
