package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

// hostsMark ends the lines that popkv added to a hosts file, and only those
// are ever removed.
const hostsMark = "# added by popkv doctor"

// systemHosts is the hosts file of this machine.
func systemHosts() string {
	if runtime.GOOS == "windows" {
		return os.ExpandEnv(`${SystemRoot}\System32\drivers\etc\hosts`)
	}
	return "/etc/hosts"
}

// hostsLine maps a labelled host name to the address of its server.
func hostsLine(address, name string) string { return address + " " + name + " " + hostsMark }

// addHostsLine appends line to the hosts file at path. A line that is there
// already is left alone; added says whether the file changed.
func addHostsLine(path, line string) (added bool, err error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, explainHosts(path, err)
	}
	for old := range strings.Lines(string(text)) {
		if strings.TrimSpace(old) == line {
			return false, nil
		}
	}
	if len(text) > 0 && !strings.HasSuffix(string(text), "\n") {
		line = "\n" + line
	}
	// Appending keeps whatever else writes to the file meanwhile.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return false, explainHosts(path, err)
	}
	_, err = f.WriteString(line + "\n")
	return true, explainHosts(path, errors.Join(err, f.Close()))
}

// removeHostsLines removes the lines that popkv added, and returns how many.
// The file is rewritten in place: containers mount it, so it cannot be renamed.
func removeHostsLines(path string) (removed int, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, explainHosts(path, err)
	}
	var kept strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.HasSuffix(strings.TrimSpace(line), hostsMark) {
			removed++
			continue
		}
		kept.WriteString(line)
	}
	if removed == 0 {
		return 0, nil
	}
	return removed, explainHosts(path, os.WriteFile(path, []byte(kept.String()), 0o644))
}

func explainHosts(path string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: run the command with sudo to change %s", err, path)
	}
	return err
}
