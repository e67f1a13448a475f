package access

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// keyFileHeader is the first line of a secrets key file; the second is the key
// in base64. The file is text, so that it can be kept in a password store.
const keyFileHeader = "popkv-secrets-key-1"

// readKeyFile reads a secrets key file. An absent one fails with
// [os.ErrNotExist]; every error names the file.
func readKeyFile(path string, log *slog.Logger) (k cryptKey, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return k, fmt.Errorf("secrets key file: %w", err)
	}
	lines := strings.Fields(string(text))
	if len(lines) != 2 || lines[0] != keyFileHeader {
		return k, fmt.Errorf("secrets key file %s: not a secrets key file, or damaged", path)
	}
	key, err := base64.StdEncoding.DecodeString(lines[1])
	if err != nil || len(key) != len(k) {
		return k, fmt.Errorf("secrets key file %s: the key in it is damaged", path)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		log.Warn("secrets key file can be read by others", "file", path, "mode", info.Mode().Perm().String())
	}
	return cryptKey(key), nil
}

// createKeyFile makes a new key and the file that holds it, readable by the
// owner alone. The file is on disk, whole, when it returns.
func createKeyFile(path string, random io.Reader) (cryptKey, error) {
	k := newCryptKey(random)
	text := keyFileHeader + "\n" + base64.StdEncoding.EncodeToString(k[:]) + "\n"
	if err := writeNewFile(path, text); err != nil {
		return k, fmt.Errorf("secrets key file %s: %w", path, err)
	}
	return k, nil
}

// writeNewFile writes a file of mode 0600 that does not exist yet, so that it
// is there with its whole content or not at all, even after a power cut.
func writeNewFile(path, text string) (err error) {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(os.ErrExist, err)
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	f, err := os.CreateTemp(filepath.Dir(path), ".popkv-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = io.WriteString(f, text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return folder.Sync()
}
