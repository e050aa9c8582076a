package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rmigo/rmigo/internal/gen"
)

// A Version is one state of the packages, as rmigen reads it.
type Version struct {
	model  *gen.Model
	prefix string // of file names: "v1.2:", or a directory
	temp   string // where a revision was put; "" for a directory
}

// Read reads packages of a version: of a directory, if there is one of that name, else of a revision of the git repository at the working
// directory, which must lie at the same place in it. It fails where rmigen would refuse the packages: then there is nothing to compare.
// The caller closes what it gets.
func Read(ctx context.Context, name string, packages ...string) (*Version, error) {
	v, dir := &Version{}, name
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		if err := v.checkOut(ctx, name, &dir); err != nil {
			return nil, errors.Join(err, v.Close())
		}
		v.prefix = name + ":"
	} else if filepath.Clean(name) != "." {
		v.prefix = filepath.Clean(name) + string(filepath.Separator)
	}
	model, err := gen.Read(ctx, gen.Options{Dir: dir, Packages: packages}, false)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), v.Close())
	}
	v.model = model
	return v, nil
}

// Close removes what Read has put into a temporary directory.
func (v *Version) Close() error {
	if v.temp == "" {
		return nil
	}
	return os.RemoveAll(v.temp)
}

// checkOut puts all files of a revision into a temporary directory, and sets dir to what is the working directory there. It goes through an
// index of its own, so that the repository and its working tree stay as they are.
func (v *Version) checkOut(ctx context.Context, revision string, dir *string) error {
	commit, err := git(ctx, "", nil, "rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return fmt.Errorf("%s is neither a directory nor a revision of a git repository here: name a directory as ./%s", revision, revision)
	}
	top, err := git(ctx, "", nil, "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	below, err := git(ctx, "", nil, "rev-parse", "--show-prefix")
	if err != nil {
		return err
	}
	if v.temp, err = os.MkdirTemp("", "rmigen-compat-"); err != nil {
		return err
	}
	if v.temp, err = filepath.EvalSymlinks(v.temp); err != nil { // as the go command names files
		return err
	}
	index := []string{"GIT_INDEX_FILE=" + filepath.Join(v.temp, "index")}
	tree := filepath.Join(v.temp, "tree")
	if _, err := git(ctx, top, index, "read-tree", commit); err != nil {
		return err
	}
	if _, err := git(ctx, top, index, "checkout-index", "--all", "--prefix="+filepath.ToSlash(tree)+"/"); err != nil {
		return err
	}
	*dir = filepath.Join(tree, filepath.FromSlash(below))
	if _, err := os.Stat(*dir); err != nil {
		return fmt.Errorf("%s has no directory %s: run rmigen compat where both versions have their packages", revision, below)
	}
	return nil
}

// git runs a command, and returns its output without the end of the last line.
func git(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimRight(string(out), "\r\n"), nil
}

func (v *Version) position(pos token.Pos) token.Position {
	at := v.model.Position(pos)
	if at.IsValid() && !filepath.IsAbs(at.Filename) {
		at.Filename = v.prefix + at.Filename
	}
	return at
}

// owned is where an object is declared, or where the interface is that has it from another module.
func (v *Version) owned(obj, in types.Object) token.Pos { return v.orOuter(obj, in.Pos()) }

// orOuter is where an object is declared, if that is in the main module, else what it is met in.
func (v *Version) orOuter(obj types.Object, outer token.Pos) token.Pos {
	if v.model.Owns(obj) {
		return obj.Pos()
	}
	return outer
}

// mendable is orOuter of a type's declaration.
func (v *Version) mendable(t types.Type, outer token.Pos) token.Pos {
	if n, ok := types.Unalias(t).(*types.Named); ok {
		return v.orOuter(n.Obj(), outer)
	}
	return outer
}
