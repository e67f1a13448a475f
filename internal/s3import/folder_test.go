package s3import

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// importFolder makes DIR with bucket/a.json and bucket/sub/b.json in it, a
// second bucket, and a file beside DIR that must stay out of reach.
func importFolder(t *testing.T) (dir string, f *Folder) {
	t.Helper()
	base := t.TempDir()
	dir = filepath.Join(base, "import")
	for name, text := range map[string]string{
		"import/bucket/a.json":     "a",
		"import/bucket/sub/b.json": "bb",
		"import/other/c.json":      "ccc",
		"import/top.json":          "top",
		"outside/d.json":           "outside",
	} {
		path := filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"import/bucket/inside.json":  "../bucket/a.json",
		"import/bucket/outside.json": "../../outside/d.json",
		"import/bucket/absolute":     filepath.Join(base, "outside/d.json"),
		"import/bucket/loop":         "loop",
		"import/away":                "../outside",
	} {
		if err := os.Symlink(target, filepath.Join(base, link)); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
	}
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return dir, f
}

func TestFolderOpensTheFileOfTheKey(t *testing.T) {
	_, f := importFolder(t)
	for l, want := range map[Location]string{
		{"bucket", "a.json"}:      "a",
		{"bucket", "sub/b.json"}:  "bb",
		{"bucket", "inside.json"}: "a",
		{"other", "c.json"}:       "ccc",
	} {
		r, size, err := f.Open(t.Context(), l)
		if err != nil {
			t.Errorf("%v: %v", l, err)
			continue
		}
		got, err := io.ReadAll(r)
		if string(got) != want || err != nil || size != int64(len(want)) {
			t.Errorf("%v: %q of %d bytes, %v", l, got, size, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if size, ok := f.Size(l); !ok || size != int64(len(want)) {
			t.Errorf("size of %v: %d, %v", l, size, ok)
		}
	}
}

func TestFolderReachesNothingElse(t *testing.T) {
	_, f := importFolder(t)
	for _, l := range []Location{
		{"bucket", "missing.json"}, {"missing", "a.json"},
		{"bucket", "sub"}, {"bucket", "."}, // folders
		{"bucket", "../top.json"}, {"bucket", "../../outside/d.json"}, {"..", "outside/d.json"},
		{"bucket", "../other/c.json"}, // inside, but no key of that bucket
		{"bucket", "./a.json"}, {"bucket", "sub//b.json"}, {"bucket", "/a.json"}, {"bucket", "a.json/"}, {"bucket", "sub/../a.json"},
		{"bucket", "outside.json"}, {"bucket", "absolute"}, {"away", "d.json"}, {"bucket", "loop"},
		{"bucket", "a%2ejson"}, {"bucket", "A.JSON\x00"},
	} {
		if r, _, err := f.Open(t.Context(), l); err == nil {
			r.Close()
			t.Errorf("%+v was opened", l)
		} else if ReasonOf(err) != Unreadable {
			t.Errorf("%+v: %v", l, err)
		}
		if size, ok := f.Size(l); ok {
			t.Errorf("%+v has a size, %d", l, size)
		}
	}
}

func TestFolderReadingEndsWithItsContext(t *testing.T) {
	_, f := importFolder(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	r, _, err := f.Open(ctx, Location{"bucket", "a.json"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stop := errors.New("the store was deleted")
	cancel(stop)
	if _, err := io.ReadAll(r); err != stop {
		t.Fatal(err)
	}
}

func TestOpenFolderNamesWhatIsMissing(t *testing.T) {
	if _, err := OpenFolder(filepath.Join(t.TempDir(), "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}
