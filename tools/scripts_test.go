//go:build unix

// Package tools tests the scripts that are here.
package tools

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// widgets is the test file of a package whose benchmark reports n widgets.
func widgets(n int) string {
	return fmt.Sprintf("package p\n\nimport \"testing\"\n\nfunc BenchmarkWork(b *testing.B) {\n\tfor b.Loop() {\n\t}\n\tb.ReportMetric(%d, \"widgets\")\n}\n", n)
}

func TestBenchcmpComparesRevisions(t *testing.T) {
	dir := repository(t)
	commit(t, dir, widgets(1))
	commit(t, dir, widgets(2))
	write(t, dir, "p_test.go", widgets(3))
	for _, c := range []struct{ args, want string }{
		{"HEAD~1 HEAD", `Work\S*\s+1\.000 ± 0%\s+2\.000 ± 0%\s+\+100\.00%`},
		{"HEAD~1", `Work\S*\s+1\.000 ± 0%\s+3\.000 ± 0%\s+\+200\.00%`},
	} {
		out, err := benchcmp(dir, strings.Fields(c.args))
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if !regexp.MustCompile(c.want).MatchString(out) {
			t.Errorf("%s: got\n%s\nwant %s", c.args, out, c.want)
		}
		if trees := git(t, dir, "worktree", "list"); strings.Count(trees, "\n") != 1 {
			t.Errorf("%s left trees behind:\n%s", c.args, trees)
		}
	}
}

func TestBenchcmpSaysWhatIsWrong(t *testing.T) {
	dir := repository(t)
	commit(t, dir, "package p\n\nfunc BenchmarkWork(\n")
	commit(t, dir, "package p\n\nimport \"testing\"\n\nfunc BenchmarkWork(b *testing.B) { b.Fatal(\"it broke\") }\n")
	commit(t, dir, "package p\n\nimport \"testing\"\n\nfunc TestNothing(t *testing.T) {}\n")
	commit(t, dir, widgets(1))
	for _, c := range []struct{ args, env, want string }{
		{"", "", "which revisions?"},
		{"nowhere", "", "there is no revision nowhere"},
		{"HEAD nowhere", "", "there is no revision nowhere"},
		{"HEAD", "COUNT=many", "COUNT is many"},
		{"HEAD", "BENCH=Play", "no benchmark matches Play"},
		{"HEAD~1 HEAD~1", "", "no benchmark matches ."},
		{"HEAD~2", "", "it broke"},
		{"HEAD~2", "", "benchmarks of old failed"},
		{"HEAD HEAD~3", "", "new does not compile"},
	} {
		out, err := benchcmp(dir, strings.Fields(c.args), c.env)
		if err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%s %s: error %v, got\n%s\nwant %q", c.env, c.args, err, out, c.want)
		}
		if trees := git(t, dir, "worktree", "list"); strings.Count(trees, "\n") != 1 {
			t.Errorf("%s left trees behind:\n%s", c.args, trees)
		}
	}
}

// benchcmp runs the script in dir, shortly, and returns all that it prints.
func benchcmp(dir string, args []string, env ...string) (string, error) {
	script, err := filepath.Abs("benchcmp.sh")
	if err != nil {
		return "", err
	}
	cmd := exec.Command(script, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "COUNT=6", "BENCHTIME=1x", "BENCH="), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// repository makes a repository of a module with tests that are no benchmarks.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "init", "--quiet")
	write(t, dir, "go.mod", "module example.com/p\n\ngo 1.26\n")
	write(t, dir, "a_test.go", "package p\n")
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T, dir, test string) {
	t.Helper()
	write(t, dir, "p_test.go", test)
	git(t, dir, "add", "--all")
	git(t, dir, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "a")
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return string(out)
}
