package pebblejournal

import (
	"io"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A fault is what a hook makes of an operation: err is returned, after the
// operation was carried out if persisted is true, else instead of it.
type fault struct {
	err       error
	persisted bool
}

// An fsOp is one operation that changes or reads a file.
type fsOp struct {
	kind string // create, write, sync, rename, remove, link, open, read, list, stat
	name string // base name
}

func (o fsOp) log() bool { return strings.HasSuffix(o.name, ".log") }

// A faultFS asks its hook before each operation; the hook may block.
type faultFS struct {
	vfs.FS
	mu   sync.Mutex
	hook func(fsOp) fault
}

func (f *faultFS) set(hook func(fsOp) fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

func (f *faultFS) do(kind, name string, fn func() error) error {
	f.mu.Lock()
	hook := f.hook
	f.mu.Unlock()
	if hook == nil {
		return fn()
	}
	fault := hook(fsOp{kind, f.PathBase(name)})
	if fault.err != nil && !fault.persisted {
		return fault.err
	}
	if err := fn(); err != nil {
		return err
	}
	return fault.err
}

func (f *faultFS) opened(kind, name string, open func() (vfs.File, error)) (file vfs.File, err error) {
	err = f.do(kind, name, func() error {
		file, err = open()
		return err
	})
	if err != nil {
		if file != nil {
			file.Close()
		}
		return nil, err
	}
	return &faultFile{File: file, fs: f, name: name}, nil
}

func (f *faultFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.opened("create", name, func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f *faultFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return f.opened("create", name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, o...) })
}

func (f *faultFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.opened("create", name, func() (vfs.File, error) { return f.FS.ReuseForWrite(old, name, c) })
}

func (f *faultFS) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	return f.opened("open", name, func() (vfs.File, error) { return f.FS.Open(name, o...) })
}

func (f *faultFS) OpenDir(name string) (vfs.File, error) {
	return f.opened("open", name, func() (vfs.File, error) { return f.FS.OpenDir(name) })
}

func (f *faultFS) Rename(old, name string) error {
	return f.do("rename", name, func() error { return f.FS.Rename(old, name) })
}

func (f *faultFS) Link(old, name string) error {
	return f.do("link", name, func() error { return f.FS.Link(old, name) })
}

func (f *faultFS) Remove(name string) error {
	return f.do("remove", name, func() error { return f.FS.Remove(name) })
}

func (f *faultFS) RemoveAll(name string) error {
	return f.do("remove", name, func() error { return f.FS.RemoveAll(name) })
}

func (f *faultFS) List(name string) (names []string, err error) {
	err = f.do("list", name, func() error {
		names, err = f.FS.List(name)
		return err
	})
	return names, err
}

func (f *faultFS) Stat(name string) (info vfs.FileInfo, err error) {
	err = f.do("stat", name, func() error {
		info, err = f.FS.Stat(name)
		return err
	})
	return info, err
}

func (f *faultFS) Unwrap() vfs.FS { return f.FS }

type faultFile struct {
	vfs.File
	fs   *faultFS
	name string
}

func (f *faultFile) Read(p []byte) (n int, err error) {
	end := f.fs.do("read", f.name, func() error {
		n, err = f.File.Read(p)
		return nil
	})
	if end != nil {
		return 0, end
	}
	return n, err
}

func (f *faultFile) ReadAt(p []byte, at int64) (n int, err error) {
	end := f.fs.do("read", f.name, func() error {
		n, err = f.File.ReadAt(p, at)
		return nil
	})
	if end != nil {
		return 0, end
	}
	return n, err
}

func (f *faultFile) Write(p []byte) (n int, err error) {
	err = f.fs.do("write", f.name, func() error {
		n, err = f.File.Write(p)
		return err
	})
	return n, err
}

func (f *faultFile) WriteAt(p []byte, at int64) (n int, err error) {
	err = f.fs.do("write", f.name, func() error {
		n, err = f.File.WriteAt(p, at)
		return err
	})
	return n, err
}

func (f *faultFile) Sync() error     { return f.fs.do("sync", f.name, f.File.Sync) }
func (f *faultFile) SyncData() error { return f.fs.do("sync", f.name, f.File.SyncData) }

var _ io.WriterAt = (*faultFile)(nil)
