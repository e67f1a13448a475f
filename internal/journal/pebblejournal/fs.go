package pebblejournal

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A guardFS stands between the engine and the file system. The engine's log,
// manifest, markers and directory are vital: their first failed write, sync,
// create or rename trips the latch before the engine sees it, and a lack of
// space is waited out. Tables are not: the engine writes a failed one again.
type guardFS struct {
	vfs.FS
	dir   string // the engine's
	latch *latch
	space *space
}

func (g *guardFS) vital(name string) bool {
	base := g.PathBase(name)
	return g.PathDir(name) == g.dir && !strings.HasSuffix(base, ".sst") || name == g.dir
}

// do runs fn, which changes the file name, until it succeeds or fails for
// good. It does not return once the latch is tripped.
func (g *guardFS) do(what, name string, fn func() error) error {
	for {
		g.latch.freeze()
		err := fn()
		switch {
		case err == nil:
			return nil
		case !g.vital(name):
			if isNoSpace(err) && !g.space.tableFull() {
				return g.fail(what, name, err)
			}
			return err
		case isNoSpace(err) && g.space.hold():
			continue
		}
		return g.fail(what, name, err)
	}
}

// sync is do for syncs: a failed sync is never tried again, because the next
// one would succeed without the data.
func (g *guardFS) sync(name string, fn func() error) error {
	g.latch.freeze()
	err := fn()
	if err == nil || !g.vital(name) {
		return err
	}
	return g.fail("sync", name, err)
}

func (g *guardFS) fail(what, name string, err error) error {
	g.latch.trip(fmt.Errorf("%s %s: %w", what, name, err))
	g.latch.freeze()
	return err
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func (g *guardFS) file(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &guardFile{File: f, fs: g, name: name}, nil
}

func (g *guardFS) Create(name string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	err = g.do("create", name, func() error {
		f, err = g.FS.Create(name, category)
		return err
	})
	if err == nil && g.vital(name) && strings.HasPrefix(g.PathBase(name), "MANIFEST-") {
		// The engine lets a marker name the new manifest before it syncs the
		// directory. A power cut must not keep the marker alone.
		err = g.sync(g.dir, func() error { return syncDir(g.FS, g.dir) })
	}
	return g.file(name, f, err)
}

func (g *guardFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (f vfs.File, err error) {
	err = g.do("open", name, func() error {
		f, err = g.FS.OpenReadWrite(name, category, opts...)
		return err
	})
	return g.file(name, f, err)
}

func (g *guardFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	err = g.do("reuse", newname, func() error {
		f, err = g.FS.ReuseForWrite(oldname, newname, category)
		return err
	})
	return g.file(newname, f, err)
}

func (g *guardFS) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	return g.file(name, f, err)
}

func (g *guardFS) Rename(oldname, newname string) error {
	return g.do("rename", newname, func() error { return g.FS.Rename(oldname, newname) })
}

func (g *guardFS) Link(oldname, newname string) error {
	return g.do("link", newname, func() error { return g.FS.Link(oldname, newname) })
}

func (g *guardFS) Remove(name string) error {
	g.latch.freeze()
	return g.FS.Remove(name)
}

func (g *guardFS) RemoveAll(name string) error {
	g.latch.freeze()
	return g.FS.RemoveAll(name)
}

// Lock does nothing: the lock of the data directory covers the engine, and it
// can be released when the engine is frozen.
func (g *guardFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// List is vital although it only reads: an engine that meets its failure after
// it has begun to open panics on a goroutine of its own.
func (g *guardFS) List(name string) ([]string, error) {
	names, err := g.FS.List(name)
	if err != nil && g.vital(name) {
		return nil, g.fail("list", name, err)
	}
	return names, err
}

func (g *guardFS) Unwrap() vfs.FS { return g.FS }

type guardFile struct {
	vfs.File
	fs   *guardFS
	name string
}

func (f *guardFile) Write(p []byte) (written int, err error) {
	err = f.fs.do("write", f.name, func() error {
		n, err := f.File.Write(p[written:])
		written += n
		return err
	})
	f.fs.space.wrote(written)
	return written, err
}

func (f *guardFile) WriteAt(p []byte, offset int64) (written int, err error) {
	err = f.fs.do("write", f.name, func() error {
		n, err := f.File.WriteAt(p[written:], offset+int64(written))
		written += n
		return err
	})
	f.fs.space.wrote(written)
	return written, err
}

func (f *guardFile) Sync() error     { return f.fs.sync(f.name, f.File.Sync) }
func (f *guardFile) SyncData() error { return f.fs.sync(f.name, f.File.SyncData) }

func (f *guardFile) SyncTo(length int64) (full bool, err error) {
	err = f.fs.sync(f.name, func() error {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}
