package kvsapi

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// vectorPath is a file or folder below the shared test vectors, which
// POPKV_VECTORS names; the test is skipped by name where it is missing.
func vectorPath(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("POPKV_VECTORS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	path := filepath.Join(root, filepath.FromSlash(name))
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is not here; POPKV_VECTORS names the folder of the vectors", name)
	}
	return path
}

func vectorFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(vectorPath(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
