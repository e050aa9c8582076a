package gen

import (
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/testmod"
)

// newModule makes a module called path that can import the runtime without a network.
func newModule(t *testing.T, path string) (dir string) {
	t.Helper()
	return testmod.New(t, path)
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	testmod.WriteFile(t, path, content)
}

// generate runs on a module and fails the test if anything is refused.
func generate(t *testing.T, dir string, packages ...string) *Plan {
	t.Helper()
	plan, err := Generate(t.Context(), Options{Dir: dir, Packages: packages})
	if err != nil {
		t.Fatalf("Generate: %v", err)
	}
	return plan
}

// refusals runs on a module and returns what is refused.
func refusals(t *testing.T, dir string, packages ...string) []string {
	t.Helper()
	_, err := Generate(t.Context(), Options{Dir: dir, Packages: packages})
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}
