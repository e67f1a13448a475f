package popkv

import (
	"bufio"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/popkv/popkv"

// TestImportsFollowTheArchitecture reads the package table of ARCHITECTURE.md
// and fails on an import between our packages that the table does not allow,
// on a package that the table does not name, and on a row without a package.
func TestImportsFollowTheArchitecture(t *testing.T) {
	allowed := packageTable(t)
	found := packageImports(t)
	for pkg, imports := range found {
		rule, ok := allowed[pkg]
		if !ok {
			t.Errorf("ARCHITECTURE.md does not name package %s", pkg)
			continue
		}
		for _, imp := range imports {
			if !rule.allows(imp) {
				t.Errorf("%s imports %s, which ARCHITECTURE.md does not allow", pkg, imp)
			}
		}
	}
	for pkg := range allowed {
		if _, ok := found[pkg]; !ok {
			t.Errorf("ARCHITECTURE.md names %s, but there is no such package", pkg)
		}
	}
}

// importRule is the last column of one row.
type importRule struct {
	any    bool
	except map[string]bool
	names  map[string]bool
}

func (r importRule) allows(pkg string) bool {
	name := path.Base(pkg)
	if r.any {
		return !r.except[name]
	}
	return r.names[name]
}

// packageTable returns the rule of every package named in ARCHITECTURE.md, by
// its path below the module ("popkv" is the root).
func packageTable(t *testing.T) map[string]importRule {
	t.Helper()
	f, err := os.Open("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := map[string]importRule{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		cells := strings.Split(lines.Text(), "|")
		if len(cells) != 5 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		pkg := strings.Trim(strings.TrimSpace(cells[1]), "`")
		rule := importRule{names: map[string]bool{}, except: map[string]bool{}}
		list := strings.TrimSpace(cells[3])
		if rest, ok := strings.CutPrefix(list, "any"); ok {
			rule.any = true
			if except, ok := strings.CutPrefix(rest, " but "); ok {
				rule.except[except] = true
			}
		} else {
			for name := range strings.SplitSeq(list, ",") {
				rule.names[strings.TrimSpace(name)] = true
			}
		}
		table[pkg] = rule
	}
	if len(table) < 5 {
		t.Fatalf("ARCHITECTURE.md has a package table of %d rows; is its form still | `package` | provides | may import |?", len(table))
	}
	return table
}

// packageImports returns what each of our packages imports of ours, tests and
// the separate modules left out.
func packageImports(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if file != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(file, "go.mod")); err == nil && file != "." {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		pkg := filepath.ToSlash(filepath.Dir(file))
		if pkg == "." {
			pkg = "popkv"
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range syntax.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if imp == module {
				found[pkg] = append(found[pkg], "popkv")
			} else if rest, ok := strings.CutPrefix(imp, module+"/"); ok {
				found[pkg] = append(found[pkg], rest)
			}
		}
		if found[pkg] == nil {
			found[pkg] = []string{}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
