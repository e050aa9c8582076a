// Package disk has a remote file system: an interface, what serves it from any fs.FS, and what makes an fs.FS of its stub.
//
//	ref, err := rmi.Export(node, disk.RemoteDisk.Of(disk.New(os.DirFS(dir)))) // here
//
//	d, err := rmi.Resolve(ctx, node, disk.RemoteDisk, text) // and there
//	err = fs.WalkDir(disk.FS(ctx, d), ".", visit)
//
// Errors are those of package fs on either side: errors.Is finds fs.ErrNotExist, errors.As an *fs.PathError.
package disk

import (
	"context"
	"io/fs"
	"time"
)

//go:generate go run github.com/rmigo/rmigo/cmd/rmigen

// Disk is a tree of files. Names are as in package fs: elements with slashes between them, "." for the root.
//
//rmi:remote
type Disk interface {
	// Open returns what there is by that name, and a file of it, which is nil for a directory.
	Open(ctx context.Context, name string) (Info, File, error)
	//rmi:idempotent
	Stat(ctx context.Context, name string) (Info, error)
	// ReadDir returns what is in a directory, by name.
	//
	//rmi:idempotent
	ReadDir(ctx context.Context, name string) ([]Info, error)
	// ReadFile returns all of a file that fits into a message.
	//
	//rmi:idempotent
	ReadFile(ctx context.Context, name string) ([]byte, error)
}

// File is one that is open. It is closed by Close, or when nobody holds it any more.
//
//rmi:remote
type File interface {
	// Read returns what follows what was read before: up to n bytes, at least one, or io.EOF.
	Read(ctx context.Context, n int) ([]byte, error)
	Close(ctx context.Context) error
}

// Info is what is known of a file.
type Info struct {
	Name    string
	Size    int64
	Mode    fs.FileMode
	ModTime time.Time
}

func infoOf(i fs.FileInfo) Info { return Info{i.Name(), i.Size(), i.Mode(), i.ModTime()} }
