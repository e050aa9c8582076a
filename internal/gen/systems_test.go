package gen

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

// TestWhatIsGeneratedForAllSystemsIsTheSameOnEach has files for one system that come before those for all, and share a struct and names with
// them.
func TestWhatIsGeneratedForAllSystemsIsTheSameOnEach(t *testing.T) {
	leak.Check(t)
	dir := newModule(t, "example.com/systems")
	for name, source := range map[string]string{
		"disk_linux.go": `package systems

import "context"

//rmi:remote
type Foo interface {
	BarBaz(ctx context.Context, b Block) (Block, error)
}
`,
		"disk_windows.go": `package systems

import "context"

//rmi:remote
type Disk interface {
	Read(ctx context.Context, b Block) (Block, error)
}
`,
		"store.go": `package systems

import "context"

type Block struct{ Data []byte }

//rmi:remote
type Store interface {
	Put(ctx context.Context, b Block) error
}

//rmi:remote
type FooBar interface {
	Baz(ctx context.Context) error
}
`,
	} {
		writeFile(t, filepath.Join(dir, name), source)
	}
	general := filepath.Join(dir, "store_rmi.go")
	var first []byte
	for _, system := range []string{"linux", "darwin", "windows", "linux"} {
		t.Setenv("GOOS", system)
		if err := generate(t, dir, ".").Write(); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(general)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got
		}
		if string(got) != string(first) {
			t.Errorf("on %s the file for all systems is another one:\n%s\nthan on linux:\n%s", system, got, first)
		}
	}
	for _, system := range []string{"linux", "darwin", "windows"} {
		vet := exec.Command("go", "build", "-gcflags=-e", ".")
		vet.Dir, vet.Env = dir, append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		if out, err := vet.CombinedOutput(); err != nil {
			t.Errorf("for %s: %v\n%s", system, err, out)
		}
	}
}
