package kvsapi

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
)

// TestVectorsJSONTestSuite sends every file as a body and, wrapped, as the
// value of a member that is not known, as a value and as an item of a batch.
// What must be refused is; what must be taken is; and after each request the
// store holds what was sent, byte for byte, or what it held before.
func TestVectorsJSONTestSuite(t *testing.T) {
	root := vectorPath(t, "jsontestsuite")
	files, err := filepath.Glob(filepath.Join(root, "*", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the set is present and holds no case: %v", err)
	}
	w := newJSONSuite(t)
	counts := map[string]int{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		w.name = filepath.Base(file)
		w.whole(t, string(content))
		w.inUnknownMember(t, string(content))
		w.asValue(t, string(content))
		w.inBatch(t, string(content))
		counts[filepath.Base(filepath.Dir(file))] += 4
	}
	for set, n := range counts {
		t.Logf("jsontestsuite/%s: %d cases", set, n)
	}
}

// A jsonSuite is a store that starts each request empty.
type jsonSuite struct {
	rig    *rig
	client *http.Client
	store  popkv.StoreID
	path   string
	etag   string
	name   string // of the file; y_, n_ and i_ begin those of test_parsing
}

func newJSONSuite(t *testing.T) *jsonSuite {
	limits := popkv.DefaultLimits()
	limits.KeyBytes, limits.ValueBytes = 1<<20, 1<<20
	r := newRig(t, drivers()["memjournal"], rigOptions{limits: limits})
	id := r.store(t, account, popkv.Ready, "")
	return &jsonSuite{rig: r, client: r.client(t), store: id, path: PathPrefix + popkv.StoreARN(account, id).String(), etag: popkv.DataETag(1)}
}

// send makes one request, holds the store to want if it is taken and to
// nothing if not, and empties the store.
func (w *jsonSuite) send(t *testing.T, method, tail, body string, want map[string]string) (taken bool) {
	t.Helper()
	status, _, etag, answer := w.rig.do(t, w.client, method, w.path+tail, w.etag, body)
	if status != 200 && status != 400 {
		t.Fatalf("%s: %d %s", w.name, status, answer)
	}
	if status != 200 {
		want, etag = map[string]string{}, w.etag
	}
	head, err := w.rig.journal.Head(context.Background(), w.store)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for key, value := range head.Items.After("") {
		got[key] = value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s as %s of %s: the store differs from what was sent: %s", w.name, method, tail, diff)
	}
	for key := range got {
		if _, etag, err = w.rig.delete(w.store, key, etag); err != nil {
			t.Fatal(err)
		}
	}
	w.etag = etag
	return status == 200
}

// whole sends a file as the body itself. None is a PutKey's body; one that is
// an object of other members only is an UpdateKeys without effect.
func (w *jsonSuite) whole(t *testing.T, content string) {
	if w.send(t, "PUT", "/keys/a", content, map[string]string{}) {
		t.Errorf("%s as a PutKey was taken", w.name)
	}
	taken := w.send(t, "POST", "/keys", content, map[string]string{})
	if taken && content != "" && strings.HasPrefix(w.name, "n_") {
		t.Errorf("%s as an UpdateKeys must be refused", w.name)
	}
	object := strictlyValid([]byte(content)) && strings.HasPrefix(strings.TrimSpace(content), "{")
	if taken != (object || content == "") {
		t.Errorf("%s as an UpdateKeys: taken %v", w.name, taken)
	}
}

func (w *jsonSuite) inUnknownMember(t *testing.T, content string) {
	body := `{"Value":"v","x":` + content + `}`
	taken := w.send(t, "PUT", "/keys/a", body, map[string]string{"a": "v"})
	if want := strictlyValid([]byte(body)) && depth(content) < maxDepth; taken != want {
		t.Errorf("%s in an unknown member: taken %v, want %v", w.name, taken, want)
	}
	if strings.HasPrefix(w.name, "y_") && !taken && !repeatsInside(content) {
		t.Errorf("%s in an unknown member must be read past", w.name)
	}
}

func (w *jsonSuite) asValue(t *testing.T, content string) {
	text, isText := textOf([]byte(content))
	taken := w.send(t, "PUT", "/keys/a", `{"Value":`+content+`}`, map[string]string{"a": text})
	if taken != isText {
		t.Errorf("%s as a value: taken %v, it is a string: %v", w.name, taken, isText)
	}
}

func (w *jsonSuite) inBatch(t *testing.T, content string) {
	text, isText := textOf([]byte(content))
	taken := w.send(t, "POST", "/keys", `{"Puts":[{"Key":`+content+`,"Value":`+content+`}]}`, map[string]string{text: text})
	if taken != (isText && text != "") {
		t.Errorf("%s in a batch: taken %v, it is a string: %v", w.name, taken, isText)
	}
}
