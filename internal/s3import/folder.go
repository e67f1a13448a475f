package s3import

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// A Folder stands for S3: the object KEY of BUCKET is the regular file
// DIR/BUCKET/KEY. No other file can be reached: a key whose path would not be
// the key itself (one with a `.`, `..` or empty element) names nothing, and
// symbolic links may not lead out of the folder.
type Folder struct {
	root *os.Root
}

// OpenFolder opens dir, which must exist; close it after use. A dir that is
// moved meanwhile stays the one that was opened.
func OpenFolder(dir string) (*Folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open import folder: %w", err)
	}
	return &Folder{root: root}, nil
}

// Close releases the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Open implements [Source].
func (f *Folder) Open(ctx context.Context, l Location) (io.ReadCloser, int64, error) {
	name, err := f.path(l)
	if err != nil {
		return nil, 0, fail(Unreadable, -1, err)
	}
	// Looked at before it is opened, because opening a pipe would wait.
	if info, err := f.root.Stat(name); err != nil {
		return nil, 0, fail(Unreadable, -1, err)
	} else if !info.Mode().IsRegular() {
		return nil, 0, fail(Unreadable, -1, errors.New("not a regular file"))
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, 0, fail(Unreadable, -1, err)
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, 0, fail(Unreadable, -1, errors.Join(errors.New("not a regular file"), err))
	}
	return &fileReader{ctx: ctx, File: file}, info.Size(), nil
}

// Size implements [Source].
func (f *Folder) Size(l Location) (int64, bool) {
	name, err := f.path(l)
	if err != nil {
		return 0, false
	}
	info, err := f.root.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Size(), true
}

func (f *Folder) path(l Location) (string, error) {
	name := l.Bucket + "/" + l.Key
	if !fs.ValidPath(name) {
		return "", errors.New("the key is not the path of a file")
	}
	return filepath.Localize(name)
}

// A fileReader stops between two reads when its context has ended.
type fileReader struct {
	ctx context.Context
	*os.File
}

// Read implements [io.Reader].
func (r *fileReader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.File.Read(p)
}
