package s3import

import (
	"bytes"
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"testing"

	json "github.com/go-json-experiment/json"

	"github.com/popkv/popkv"
)

// vectors returns a folder of the public test data, which POPKV_VECTORS names
// and which is not part of this repository.
func vectors(t *testing.T, set string) string {
	t.Helper()
	dir := filepath.Join(cmp.Or(os.Getenv("POPKV_VECTORS"), "../../../shared/vectors"), set)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("%s: set POPKV_VECTORS to the folder that holds %s", err, set)
	}
	return dir
}

// Every file of JSONTestSuite is tried as an import document, as an ignored
// member of a good document, and, with a string as its only element, as a
// value.
func TestVectorsJSONTestSuite(t *testing.T) {
	dir := vectors(t, "jsontestsuite/test_parsing")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	cases, values := 0, 0
	for _, file := range files {
		name := filepath.Base(file)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cases++
		t.Run(name, func(t *testing.T) {
			if _, _, err := readAll(bytes.NewReader(text), popkv.DefaultLimits()); err == nil {
				t.Error("accepted as a document, which none of them is")
			}
			wrapped := `{"data":[{"key":"k","value":"v"}],"x":` + string(text) + `}`
			_, _, err := readAll(strings.NewReader(wrapped), popkv.DefaultLimits())
			// A name that comes twice is JSON to the suite's authors, and an
			// ambiguity to us.
			twice := strings.HasPrefix(name, "y_object_duplicated_key")
			switch {
			case name[0] == 'y' && !twice && err != nil:
				t.Errorf("refused in a document: %v", err)
			case (name[0] == 'n' || twice) && err == nil:
				t.Error("accepted in a document")
			}
		})
		// ["text"] becomes {"data":[{"key":"k","value":"text"}]}.
		text = bytes.TrimSpace(text)
		if bytes.HasPrefix(text, []byte(`["`)) && bytes.HasSuffix(text, []byte(`"]`)) {
			values++
			t.Run("value/"+name, func(t *testing.T) {
				items, _, err := readAll(strings.NewReader(`{"data":[{"key":"k","value":`+string(text[1:len(text)-1])+`}]}`), popkv.DefaultLimits())
				var want []string
				strict := json.Unmarshal(text, &want)
				switch {
				case name[0] == 'y' && err != nil:
					t.Errorf("refused: %v", err)
				case name[0] == 'n' && err == nil:
					t.Error("accepted")
				case err == nil && (strict != nil || items[0].Value != want[0]):
					t.Errorf("stored %q, the document says %q (%v)", items[0].Value, want, strict)
				}
			})
		}
	}
	if cases == 0 || values == 0 {
		t.Fatalf("%s: no cases", dir)
	}
	t.Logf("jsontestsuite: %d cases, %d of them also as a value", cases, values)
}

// Numbers, duplicate names and odd strings, where parsers are known to alter
// what they read.
func TestVectorsJSONTestSuiteTransform(t *testing.T) {
	dir := vectors(t, "jsontestsuite/test_transform")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no cases, %v", dir, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = readAll(strings.NewReader(`{"data":[],"x":`+string(text)+`}`), popkv.DefaultLimits())
		name := filepath.Base(file)
		bad := strings.Contains(name, "same_key") || strings.Contains(name, "invalid_codepoint")
		if bad != (err != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Logf("jsontestsuite transform: %d cases", len(files))
}
