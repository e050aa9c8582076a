package compat_test

import (
	"flag"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/compat"
	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testmod"
)

var update = flag.Bool("update", false, "rewrite the changes in testdata")

// changes is the name of the file of an archive that has what is found between its versions.
const changes = "changes"

// versions writes what the archives have of each version as a module, and returns the two directories. The version is the first element
// of a file's path, and the archive's name becomes the package's directory.
func versions(t *testing.T, all map[string]*testmod.Archive) (old, now string) {
	t.Helper()
	dirs := map[string]string{"old": testmod.New(t, "example.com/m"), "new": testmod.New(t, "example.com/m")}
	for name, a := range all {
		for _, file := range a.Names {
			if version, path, ok := strings.Cut(file, "/"); ok {
				testmod.WriteFile(t, filepath.Join(dirs[version], name, path), a.Files[file])
			}
		}
	}
	return dirs["old"], dirs["new"]
}

func compared(t *testing.T, old, now string) []compat.Change {
	t.Helper()
	before, err := compat.Read(t.Context(), old, "./...")
	if err != nil {
		t.Fatal(err)
	}
	after, err := compat.Read(t.Context(), now, "./...")
	if err != nil {
		t.Fatal(err)
	}
	return compat.Compare(before, after)
}

// Each rule has an archive of its name. What it must find is in bad.go, and what looks like it and is something else in good.go.
func TestEachRuleFindsItsChangesAndNothingElse(t *testing.T) {
	leak.Check(t)
	all := testmod.Archives(t, "testdata")
	old, now := versions(t, all)
	got, rules := map[string]string{}, map[string]map[string]bool{}
	for _, c := range compared(t, old, now) {
		for version, dir := range map[string]string{"old": old, "new": now} {
			if rel, err := filepath.Rel(dir, c.Pos.Filename); err == nil && filepath.IsLocal(rel) {
				c.Pos.Filename = version + "/" + filepath.Base(rel)
				name := filepath.Dir(rel)
				if strings.HasSuffix(rel, "good.go") {
					t.Errorf("%s: %s\nis found in what is to be compatible", name, c)
				}
				if rules[name] == nil {
					rules[name] = map[string]bool{}
				}
				got[name] += c.String() + "\n"
				rules[name][c.Rule] = true
			}
		}
	}
	for name, a := range all {
		if *update {
			a.Files[changes] = got[name]
			testmod.WriteFile(t, filepath.Join("testdata", name+".txtar"), a.String())
		}
		if got[name] != a.Files[changes] {
			t.Errorf("%s: run with -update and read the change\n got:\n%s\nwant:\n%s", name, got[name], a.Files[changes])
		}
	}
	for _, r := range compat.Rules() {
		if !rules[r.Name][r.Name] {
			t.Errorf("testdata/%s.txtar is to have something that the rule of that name finds", r.Name)
		}
	}
}
