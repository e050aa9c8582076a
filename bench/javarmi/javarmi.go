// Package javarmi has Java RMI's side of the benchmark, as sources: workers that obey the same lines as those of Go.
//
//	java, err := javarmi.Compile(ctx, dir)
//	cmd := exec.Command(java.Command("serve")[0], java.Command("serve")[1:]...)
package javarmi

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// Java is the compiled program and what runs it.
type Java struct {
	java, classes string
}

// ErrNoJava says that java or javac is not installed.
var ErrNoJava = errors.New("java and javac are not both installed")

//go:embed *.java
var sources embed.FS

// Compile compiles the program into dir. ErrNoJava if there is no compiler or virtual machine.
func Compile(ctx context.Context, dir string) (Java, error) {
	javac, err := exec.LookPath("javac")
	if err != nil {
		return Java{}, ErrNoJava
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return Java{}, ErrNoJava
	}
	if err := os.CopyFS(dir, sources); err != nil {
		return Java{}, err
	}
	names, err := fs.Glob(sources, "*.java")
	if err != nil {
		return Java{}, err
	}
	cmd := exec.CommandContext(ctx, javac, append([]string{"-Xlint:all,-serial", "-d", "."}, names...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return Java{}, fmt.Errorf("javac: %w\n%s", err, out)
	}
	classes, err := filepath.Abs(dir)
	return Java{java, classes}, err
}

// Command returns the command line of a worker: "serve", or "call" and an address. Objects are reached by loopback, whatever the
// machine's name resolves to; everything else is as the virtual machine would have it.
func (j Java) Command(args ...string) []string {
	return append([]string{j.java, "-Djava.rmi.server.hostname=127.0.0.1", "-cp", j.classes, "Worker"}, args...)
}
