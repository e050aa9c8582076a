package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const list = "../../gc/testdata/rules.txt"

// What the rules say of the code is checked at each change of it; whether the tests notice, by running the command.
func TestEachRuleIsTakenOutOfTheCodeAsItIs(t *testing.T) {
	rules, err := read(list)
	if err != nil {
		t.Fatal(err)
	}
	root, err := moduleOf(list)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if _, err := r.overlay(root); err != nil {
			t.Error(err)
		}
		for _, test := range r.tests {
			if !hasTest(t, filepath.Join(root, test.folder), test.name) {
				t.Errorf("line %d, %s: package %s has no %s", r.line, r.name, test.folder, test.name)
			}
		}
	}
}

// hasTest reports whether a test file in the folder has the test.
func hasTest(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "func "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}

func TestTheDecisionHasAllRulesAndTheirTests(t *testing.T) {
	rules, err := read(list)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/adr/0043-rules.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if !strings.Contains(string(text), r.row()+"\n") {
			t.Errorf("docs/adr/0043-rules.md lacks the row, as go -C tools run ./rules -table prints it:\n%s", r.row())
		}
	}
}

// An example of three rules: one that a test notices, one that none does, and one whose change does not compile.
func TestARuleThatNoTestNoticesIsReported(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":      "module example\n\ngo 1.26\n",
		"p/p.go":      "package p\n\nfunc Sum(a, b int) int {\n\tif a == 9 {\n\t\treturn 9\n\t}\n\treturn a + b\n}\n",
		"p/p_test.go": "package p\n\nimport \"testing\"\n\nfunc TestSum(t *testing.T) {\n\tif Sum(1, 2) != 3 {\n\t\tt.Error(Sum(1, 2))\n\t}\n}\n",
		"rules.txt": `# three
A: sums are differences
test p TestSum
file p/p.go
-	return a + b
+	return a - b

B: nine is nothing special
test p TestSum
file p/p.go
-	if a == 9 {
+	if false {

C: sums are nonsense
test p TestSum
file p/p.go
-	return a + b
+	return nonsense
`,
	} {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rules, err := read(filepath.Join(dir, "rules.txt"))
	if err != nil || len(rules) != 3 {
		t.Fatalf("%d rules are read, %v", len(rules), err)
	}
	for i, want := range []string{"", "B: TestSum passes, though nine is nothing special", "C: TestSum did not run"} {
		err := rules[i].check(dir)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("rule %s: %v, want %q", rules[i].name, err, want)
		}
	}
}
