package popkv

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryDivergenceIsPinned compares the rows of docs/divergence.md with the
// tests and fixtures that name them.
func TestEveryDivergenceIsPinned(t *testing.T) {
	page, err := os.ReadFile("docs/divergence.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(string(page), -1) {
		if rows[m[1]] {
			t.Errorf("row %s is there twice", m[1])
		}
		rows[m[1]] = true
	}
	pinned := map[string]bool{}
	mention := regexp.MustCompile(`(?i)\bdivergence (\d+)`)
	err = filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); file != "." && strings.HasPrefix(name, ".") || name == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".go", ".txtar", ".md"}, filepath.Ext(file)) {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, m := range mention.FindAllStringSubmatch(string(text), -1) {
			if !rows[m[1]] {
				t.Errorf("%s names divergence %s, which docs/divergence.md does not have", file, m[1])
			}
			if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, ".txtar") {
				pinned[m[1]] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for row := range rows {
		if !pinned[row] {
			t.Errorf("no test names divergence %s", row)
		}
	}
}
