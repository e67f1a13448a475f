package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHostsLineIsAddedOnceAndRemovedAlone(t *testing.T) {
	for name, before := range map[string]string{
		"a file": "127.0.0.1 localhost\n", "a file without a last newline": "127.0.0.1 localhost", "an empty file": "",
		"a line of the user's own": "127.0.0.1 000000000000.localhost\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "hosts")
			if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got := runApp(t, nil, "", "doctor", "--add-hosts-line", "--hosts-file", path); got.code != exitOK {
					t.Fatal(got.stderr)
				}
			}
			text := read(t, path)
			if strings.Count(text, hostsMark) != 1 || !strings.HasPrefix(text, before) || !strings.HasSuffix(text, " 000000000000.localhost "+hostsMark+"\n") {
				t.Errorf("after adding: %q", text)
			}
			if got := runApp(t, nil, "", "doctor", "--remove-hosts-line", "--hosts-file", path); got.code != exitOK || !strings.Contains(got.stderr, "removed 1 line") {
				t.Error(got.stderr)
			}
			if got := strings.TrimSuffix(read(t, path), "\n"); got != strings.TrimSuffix(before, "\n") {
				t.Errorf("after removing: %q, want %q", got, before)
			}
		})
	}
}

func TestHostsFileThatCannotBeChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nowhere", "hosts")
	for _, flag := range []string{"--add-hosts-line", "--remove-hosts-line"} {
		if got := runApp(t, nil, "", "doctor", flag, "--hosts-file", path); got.code != exitFailed || !strings.Contains(got.stderr, path) {
			t.Errorf("%s: exit code %d, %s", flag, got.code, got.stderr)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
