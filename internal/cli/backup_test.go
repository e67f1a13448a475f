package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestABackupThatIsNotWholeLeavesNoFile(t *testing.T) {
	f := newManagementFake(t, map[string]string{"GET /popkv/v1/backup": "popkv backup, cut off"})
	path := filepath.Join(t.TempDir(), "backup")
	got := f.manage("", fakeSecret, "backup", "create", path)
	if got.code != exitFailed || got.stdout != "" {
		t.Errorf("exit code %d, stdout %q, stderr %s", got.code, got.stdout, got.stderr)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
	got = f.manage("", fakeSecret, "backup", "create", "-")
	if got.code != exitFailed {
		t.Errorf("to stdout: exit code %d", got.code)
	}
}

func TestABackupOverwritesNothing(t *testing.T) {
	f := newManagementFake(t, map[string]string{"GET /popkv/v1/backup": "x"})
	path := filepath.Join(t.TempDir(), "backup")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := f.manage("", fakeSecret, "backup", "create", path); got.code != exitFailed || read(t, path) != "precious" {
		t.Errorf("exit code %d, the file holds %q", got.code, read(t, path))
	}
}

func TestVerifyReadsTheServersStream(t *testing.T) {
	const lines = `{"Done":1,"Total":2}` + "\n" + `{"Done":2,"Total":2}` + "\n"
	cases := []struct {
		name, answer   string
		code           int
		stdout, stderr string
	}{
		{"whole data", lines + `{"Report":{"stores":2,"findings":[]}}`, exitOK, `"stores": 2`, ""},
		{"damage", lines + `{"Report":{"stores":2,"findings":[{"record":"m/S","problem":"checksum"}]}}`, exitFailed, `"problem": "checksum"`, "record m/S: checksum\npopkv: the data is damaged in 1 places"},
		{"a server that could not go on", lines + `{"Done":2,"Total":2,"Error":"see the log"}`, exitFailed, "", "verify: see the log"},
		{"an answer that is cut", lines, exitFailed, "", "ended before its report"},
		{"an answer that is something else", "<html>", exitFailed, "", "verify: "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newManagementFake(t, map[string]string{"POST /popkv/v1/verify": c.answer})
			got := f.manage("", fakeSecret, "verify", "-o", "json")
			if got.code != c.code || !strings.Contains(got.stdout, c.stdout) || !strings.Contains(got.stderr, c.stderr) {
				t.Errorf("exit code %d, stdout %s, stderr %s", got.code, got.stdout, got.stderr)
			}
		})
	}
}
