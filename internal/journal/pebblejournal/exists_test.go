package pebblejournal

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A command that only reads must not make a data directory where a mistyped
// name points to.
func TestWhatMustExistIsNotMade(t *testing.T) {
	fs := vfs.NewMem()
	o := options(fs)
	o.MustExist = true
	if err := fs.MkdirAll("other/files", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"nowhere", "other"} {
		if _, err := Open(dir, o); !errors.Is(err, ErrNoData) {
			t.Fatalf("%s: %v", dir, err)
		}
	}
	if names, err := fs.List(""); err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	if names, err := fs.List("other"); err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	if err := mustOpen(t, options(fs)).Close(); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, o).Close(); err != nil {
		t.Fatal(err)
	}
	if err := fs.Remove(testDir + "/" + formatName); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(testDir, o); !errors.Is(err, ErrDamaged) {
		t.Fatalf("without its %s: %v", formatName, err)
	}
}
