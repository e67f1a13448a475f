package pebblejournal

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/popkv/popkv/internal/journal"
)

const (
	formatName    = "FORMAT"
	formatTemp    = "FORMAT.new"
	formatVersion = 1
	formatLine    = "popkv data directory, format "
)

// encodeFormat is the text of a FORMAT file:
//
//	popkv data directory, format 1
//	identity 00112233445566778899aabbccddeeff
//	checksum 0a1b2c3d
//
// The checksum is CRC-32C of the lines before it.
func encodeFormat(id journal.ID) []byte {
	return []byte(sealFormat(fmt.Sprintf("%s%d\nidentity %x\n", formatLine, formatVersion, id[:])))
}

func sealFormat(text string) string {
	return fmt.Sprintf("%schecksum %08x\n", text, checksum([]byte(text)))
}

// decodeFormat accepts what encodeFormat makes and nothing else. A newer
// version may add lines; its first and last ones stay as they are.
func decodeFormat(b []byte) (id journal.ID, err error) {
	damaged := fmt.Errorf("%w: %s is not readable", ErrDamaged, formatName)
	text, _, _ := strings.Cut(string(b), "checksum ")
	if string(b) != sealFormat(text) {
		return id, damaged
	}
	var version int
	if _, err := fmt.Sscanf(text, formatLine+"%d\n", &version); err != nil {
		return id, damaged
	}
	if version > formatVersion {
		return id, fmt.Errorf("%w: it has format %d, this one reads up to %d", ErrNewer, version, formatVersion)
	}
	_, line, _ := strings.Cut(text, "\nidentity ")
	if len(line) != hex.EncodedLen(len(id))+1 {
		return id, damaged
	}
	if _, err := hex.Decode(id[:], []byte(line[:len(line)-1])); err != nil || string(encodeFormat(id)) != string(b) {
		return id, damaged
	}
	return id, nil
}

// readFormat returns the directory's identity; found is false when it has no
// FORMAT, because its first start never finished.
func readFormat(fs vfs.FS, dir string) (id journal.ID, found bool, err error) {
	f, err := fs.Open(fs.PathJoin(dir, formatName))
	if oserror.IsNotExist(err) {
		return id, false, nil
	}
	if err != nil {
		return id, false, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return id, false, err
	}
	id, err = decodeFormat(b)
	return id, true, err
}

// writeFormat makes the directory one that later starts trust.
func writeFormat(fs vfs.FS, dir string, id journal.ID) error {
	temp := fs.PathJoin(dir, formatTemp)
	f, err := fs.Create(temp, categoryPopkv)
	if err != nil {
		return err
	}
	_, err = f.Write(encodeFormat(id))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(temp, fs.PathJoin(dir, formatName)); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

func syncDir(fs vfs.FS, dir string) error {
	f, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
