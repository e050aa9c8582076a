package disk

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/rmigo/rmigo/rmi"
)

// FS returns the files of a Disk as a file system. Its methods take no context: their calls have the given one, and end with it.
func FS(ctx context.Context, d Disk) fs.FS { return &remote{ctx, d} }

type remote struct {
	ctx  context.Context
	disk Disk
}

func (r *remote) Open(name string) (fs.File, error) {
	info, f, err := r.disk.Open(r.ctx, name)
	switch {
	case err != nil:
		return nil, failure("open", name, err)
	case f == nil:
		return &openDir{in: r, name: name, info: info}, nil
	}
	return &openFile{ctx: r.ctx, file: f, name: name, info: info}, nil
}

func (r *remote) Stat(name string) (fs.FileInfo, error) {
	info, err := r.disk.Stat(r.ctx, name)
	if err != nil {
		return nil, failure("stat", name, err)
	}
	return entry{info}, nil
}

func (r *remote) ReadDir(name string) ([]fs.DirEntry, error) {
	infos, err := r.disk.ReadDir(r.ctx, name)
	if err != nil {
		return nil, failure("readdir", name, err)
	}
	entries := make([]fs.DirEntry, len(infos))
	for k, info := range infos {
		entries[k] = entry{info}
	}
	return entries, nil
}

// ReadFile reads in one call what fits into a message, and in parts what does not.
func (r *remote) ReadFile(name string) ([]byte, error) {
	b, err := r.disk.ReadFile(r.ctx, name)
	if errors.Is(err, rmi.ErrLimit) {
		return r.readParts(name)
	}
	if err != nil {
		return nil, failure("read", name, err)
	}
	return b, nil
}

func (r *remote) readParts(name string) ([]byte, error) {
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// failure is an error as package fs has them: it says which operation on which file failed, unless the other end did.
func failure(op, name string, err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return err
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

type openFile struct {
	ctx  context.Context
	file File
	name string
	info Info
	read []byte // from the other end, and not from this one
}

// part is how much is asked for at least.
const part = 64 << 10

func (f *openFile) Read(b []byte) (int, error) {
	if len(b) > 0 && len(f.read) == 0 {
		var err error
		if f.read, err = f.file.Read(f.ctx, max(len(b), part)); err == io.EOF {
			return 0, io.EOF
		} else if err != nil {
			return 0, failure("read", f.name, err)
		}
	}
	n := copy(b, f.read)
	f.read = f.read[n:]
	return n, nil
}

func (f *openFile) Stat() (fs.FileInfo, error) { return entry{f.info}, nil }

func (f *openFile) Close() error {
	f.read = nil
	if err := f.file.Close(f.ctx); err != nil {
		return failure("close", f.name, err)
	}
	return nil
}

type openDir struct {
	in     *remote
	name   string
	info   Info
	listed bool
	rest   []fs.DirEntry // not read yet, once it is listed
}

func (d *openDir) Stat() (fs.FileInfo, error) { return entry{d.info}, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errors.New("is a directory")}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.listed {
		var err error
		if d.rest, err = d.in.ReadDir(d.name); err != nil {
			return nil, err
		}
		d.listed = true
	}
	if n <= 0 {
		n = len(d.rest)
	} else if len(d.rest) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.rest))
	list := d.rest[:n:n]
	d.rest = d.rest[n:]
	return list, nil
}

// An entry is an Info as package fs has them.
type entry struct{ info Info }

func (e entry) Name() string               { return e.info.Name }
func (e entry) Size() int64                { return e.info.Size }
func (e entry) Mode() fs.FileMode          { return e.info.Mode }
func (e entry) ModTime() time.Time         { return e.info.ModTime }
func (e entry) IsDir() bool                { return e.info.Mode.IsDir() }
func (e entry) Type() fs.FileMode          { return e.info.Mode.Type() }
func (e entry) Sys() any                   { return nil }
func (e entry) Info() (fs.FileInfo, error) { return e, nil }
func (e entry) String() string             { return fs.FormatDirEntry(e) }
