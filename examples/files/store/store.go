// Package store keeps files in a directory, for other processes.
package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

//go:generate go run github.com/rmigo/rmigo/cmd/rmigen

// ErrName is returned for what is no name of a file in a directory.
var ErrName = errors.New("store: not a file's name")

// Info says what is stored under a name.
type Info struct {
	Name   string
	Size   int64
	SHA256 string // in hexadecimal digits; "" where nobody has read the file
}

// Store keeps files of any size.
//
//rmi:remote
type Store interface {
	// Put stores what r gives under a name, when it has all of it.
	Put(ctx context.Context, name string, r io.Reader) (Info, error)
	// Get writes what is stored to w.
	Get(ctx context.Context, name string, w io.Writer) (Info, error)
	// Stat returns the size alone.
	Stat(ctx context.Context, name string) (Info, error)
}

// Folder is a Store in a directory.
type Folder struct{ Dir string }

// Put implements Store.
func (f *Folder) Put(_ context.Context, name string, r io.Reader) (Info, error) {
	path, err := f.path(name)
	if err != nil {
		return Info{}, err
	}
	temp, err := os.CreateTemp(f.Dir, ".put-*")
	if err != nil {
		return Info{}, err
	}
	defer os.Remove(temp.Name()) // fails once it is renamed
	info, err := transfer(temp, r, name)
	if err := errors.Join(err, temp.Close()); err != nil {
		return Info{}, err
	}
	return info, os.Rename(temp.Name(), path)
}

// Get implements Store.
func (f *Folder) Get(_ context.Context, name string, w io.Writer) (Info, error) {
	path, err := f.path(name)
	if err != nil {
		return Info{}, err
	}
	file, err := os.Open(path)
	if err != nil {
		return Info{}, err
	}
	defer file.Close()
	return transfer(w, file, name)
}

// transfer copies and adds up.
func transfer(w io.Writer, r io.Reader, name string) (Info, error) {
	sum := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(w, sum), onlyReader{r}, make([]byte, 256<<10))
	return Info{name, n, hex.EncodeToString(sum.Sum(nil))}, err
}

// onlyReader has io.CopyBuffer use the buffer.
type onlyReader struct{ io.Reader }

// Stat implements Store.
func (f *Folder) Stat(_ context.Context, name string) (Info, error) {
	path, err := f.path(name)
	if err != nil {
		return Info{}, err
	}
	about, err := os.Stat(path)
	if err != nil {
		return Info{}, err
	}
	return Info{Name: name, Size: about.Size()}, nil
}

// path is where a file of that name is, below the directory and not further.
func (f *Folder) path(name string) (string, error) {
	if !filepath.IsLocal(name) || filepath.Base(name) != name || name[0] == '.' {
		return "", fmt.Errorf("%w: %q", ErrName, name)
	}
	return filepath.Join(f.Dir, name), nil
}
