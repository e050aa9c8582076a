package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

// documents returns the texts of the repository's documents, by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	return texts(t, func(name string) bool { return strings.HasSuffix(name, ".md") })
}

// texts returns the files of the repository that are wanted, by path.
func texts(t *testing.T, wanted func(name string) bool) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && name != ".." && strings.HasPrefix(name, "."), entry.IsDir() && (name == "testdata" || name == "bin"):
			return fs.SkipDir
		case entry.IsDir() || !wanted(name):
			return nil
		}
		text, err := os.ReadFile(path)
		found[path] = string(text)
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("%d files: %v", len(found), err)
	}
	return found
}

func TestLinksLeadToFilesThatThereAre(t *testing.T) {
	leak.Check(t)
	link := regexp.MustCompile(`\]\(([^)\s]+)\)|(?m:^\[[^]]+\]: (\S+)$)`)
	reference := regexp.MustCompile(`\]\[([^]]+)\]`)
	for path, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to, _, _ := strings.Cut(m[1]+m[2], "#")
			if to == "" || strings.HasPrefix(to, "https://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), to)); err != nil {
				t.Errorf("%s: the link to %s leads nowhere: %v", path, to, err)
			}
		}
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(text, "\n["+m[1]+"]: ") {
				t.Errorf("%s: the link by [%s] has no line that says where it leads", path, m[1])
			}
		}
	}
}

func TestTestsAndExamplesThatAreNamedExist(t *testing.T) {
	leak.Check(t)
	var code strings.Builder
	for _, text := range texts(t, func(name string) bool { return strings.HasSuffix(name, "_test.go") }) {
		code.WriteString(text)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz|Benchmark|Example)_?[A-Za-z]\\w+)`")
	found := 0
	for path, text := range documents(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			found++
			if !strings.Contains(code.String(), "func "+m[1]+"(") {
				t.Errorf("%s names %s, which there is not", path, m[1])
			}
		}
	}
	if found < 20 {
		t.Errorf("found %d names of tests in the documents, which have more", found)
	}
}

func TestEveryDecisionIsListed(t *testing.T) {
	leak.Check(t)
	list, err := os.ReadFile("adr/README.md")
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob("adr/0*.md")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no decisions: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		number, _, _ := strings.Cut(filepath.Base(path), "-")
		if !strings.HasPrefix(string(text), "# "+number) {
			t.Errorf("%s does not begin with its number", path)
		}
		if !strings.Contains(string(list), "| ["+number+"]("+filepath.Base(path)+") | ") {
			t.Errorf("adr/README.md does not list %s", path)
		}
	}
}
