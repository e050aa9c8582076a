package disk

import (
	"context"
	"io"
	"io/fs"
)

// New returns a Disk with the files of a file system.
func New(files fs.FS) Disk { return &tree{files} }

type tree struct{ files fs.FS }

func (t *tree) Open(_ context.Context, name string) (Info, File, error) {
	f, err := t.files.Open(name)
	if err != nil {
		return Info{}, nil, err
	}
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		f.Close()
		return infoOr(info, err), nil, err
	}
	return infoOf(info), &file{f}, nil
}

func (t *tree) Stat(_ context.Context, name string) (Info, error) {
	info, err := fs.Stat(t.files, name)
	return infoOr(info, err), err
}

func (t *tree) ReadDir(_ context.Context, name string) ([]Info, error) {
	entries, err := fs.ReadDir(t.files, name)
	if err != nil {
		return nil, err
	}
	infos := make([]Info, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		infos = append(infos, infoOf(info))
	}
	return infos, nil
}

func (t *tree) ReadFile(_ context.Context, name string) ([]byte, error) {
	return fs.ReadFile(t.files, name)
}

func infoOr(i fs.FileInfo, err error) Info {
	if err != nil {
		return Info{}
	}
	return infoOf(i)
}

type file struct{ fs.File }

// largest is what one Read returns at most.
const largest = 1 << 20

func (f *file) Read(_ context.Context, n int) ([]byte, error) {
	b := make([]byte, min(max(n, 1), largest))
	for {
		if n, err := f.File.Read(b); n > 0 || err != nil {
			return b[:n], eofAfter(n, err)
		}
	}
}

// eofAfter leaves io.EOF for the next Read where this one has read something.
func eofAfter(n int, err error) error {
	if n > 0 && err == io.EOF {
		return nil
	}
	return err
}

func (f *file) Close(context.Context) error { return f.File.Close() }

// Unreferenced is called when no process holds the file any more.
func (f *file) Unreferenced() { f.File.Close() }
