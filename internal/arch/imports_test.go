package arch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

func TestPackagesImportEachOtherAlongTheDiagram(t *testing.T) {
	leak.Check(t)
	report(t, offDiagram(units(t), edges))
}

func TestOtherModulesAreImportedWhereThereIsAReason(t *testing.T) {
	leak.Check(t)
	report(t, unexplained(units(t), foreign))
}

func TestPackageRmiBringsInAShortList(t *testing.T) {
	leak.Check(t)
	var found []string
	reasons := map[string]string{}
	for _, e := range linked {
		reasons[e.to] = e.reason
	}
	for _, u := range units(t) {
		if u.path != "rmi" {
			continue
		}
		for _, dep := range u.deps {
			if reasons[relative(dep)] == "" {
				found = append(found, fmt.Sprintf("rmi: every program would link %s (go mod why -m says by which way): "+
					"do without it, or add it with its reason to linked in diagram_test.go", dep))
			}
			delete(reasons, relative(dep))
		}
	}
	for dep, reason := range reasons {
		found = append(found, fmt.Sprintf("diagram_test.go: linked has %s (%s), but package rmi does not need it: "+
			"remove the line", dep, reason))
	}
	report(t, found)
}

func TestGeneratedCodeImportsWhatItsUsersCould(t *testing.T) {
	leak.Check(t)
	report(t, beyondUsers(units(t)))
}

func TestTestsReachNoHigherThanTheyMust(t *testing.T) {
	leak.Check(t)
	report(t, highTests(units(t)))
}

// offDiagram finds imports between the units that no edge allows, and edges that allow nothing.
func offDiagram(all []*unit, edges []edge) []string {
	var found []string
	used := map[edge]bool{}
	for _, u := range all {
		for _, f := range u.files {
			if f.kind != source {
				continue
			}
			for _, imp := range f.imports {
				if !imp.local {
					continue
				}
				if e, ok := find(edges, u.path, imp.path); ok {
					used[e] = true
					continue
				}
				found = append(found, fmt.Sprintf("%s: %s → %s is no edge of the diagram: import downwards only, or hand it in "+
					"from above through an interface; if the edge is right, draw it in ARCHITECTURE.md and add it with its "+
					"reason to edges in diagram_test.go", imp.at, u.path, imp.path))
			}
		}
	}
	return append(found, unused("edges", edges, used)...)
}

// unexplained finds imports from other modules that no edge allows, tests included, and edges that allow nothing.
func unexplained(all []*unit, foreign []edge) []string {
	var found []string
	used := map[edge]bool{}
	for _, u := range all {
		for _, f := range u.files {
			for _, imp := range f.imports {
				if imp.local || imp.standard() {
					continue
				}
				if e, ok := find(foreign, u.path, imp.path); ok {
					used[e] = true
					continue
				}
				found = append(found, fmt.Sprintf("%s: %s → %s has no reason: %s; if this package needs it too, add it with the "+
					"reason to foreign in diagram_test.go", imp.at, u.path, imp.path, owners(foreign, imp.path)))
			}
		}
	}
	return append(found, unused("foreign", foreign, used)...)
}

// owners says where a foreign package is used instead.
func owners(foreign []edge, to string) string {
	var from []string
	for _, e := range foreign {
		if e.to == to {
			from = append(from, fmt.Sprintf("%s has it (%s)", e.from, e.reason))
		}
	}
	if from == nil {
		return "do without it, every dependency is lines too"
	}
	return "go through the package that has it: " + strings.Join(from, ", ")
}

// beyondUsers finds imports of generated files that are neither the runtime's two halves, nor what every signature may
// have, nor imported by the package that was generated for.
func beyondUsers(all []*unit) []string {
	var found []string
	for _, u := range all {
		named := map[string]bool{}
		for _, f := range u.files {
			if f.kind == source {
				for _, imp := range f.imports {
					named[imp.path] = true
				}
			}
		}
		for _, f := range u.files {
			if f.kind != generated {
				continue
			}
			for _, imp := range f.imports {
				if _, ok := find(generatedImports, "*_rmi.go", imp.path); ok {
					continue
				}
				switch {
				case imp.local && strings.Contains("/"+imp.path+"/", "/internal/"):
					found = append(found, fmt.Sprintf("%s: generated code imports %s, which users cannot: make rmigen write "+
						"calls of stub or skeleton instead", imp.at, imp.path))
				case !named[imp.path]:
					found = append(found, fmt.Sprintf("%s: generated code imports %s, which no signature in %s names: make "+
						"rmigen do without it; if all generated code needs it, add it with its reason to generatedImports in "+
						"diagram_test.go", imp.at, imp.path, u.path))
				}
			}
		}
	}
	return found
}

// highTests finds imports by tests that need not be. A test inside its package has the edges of the package and the aids for
// tests; one outside may use all packages of the module, but no program's or example's other than its own.
func highTests(all []*unit) []string {
	var found []string
	used := map[edge]bool{}
	for _, u := range all {
		for _, f := range u.files {
			if !f.kind.test() {
				continue
			}
			for _, imp := range f.imports {
				if !imp.local || imp.path == u.path {
					continue
				}
				if e, ok := find(testAids, "*_test.go", imp.path); ok {
					used[e] = true
					continue
				}
				_, own := find(edges, u.path, imp.path)
				entry := strings.HasPrefix(imp.path, "cmd/") || strings.HasPrefix(imp.path, "examples/")
				switch {
				case own:
				case f.kind == insideTest:
					found = append(found, fmt.Sprintf("%s: a test inside %s imports %s, which %s itself may not: make it package "+
						"%s_test", imp.at, u.path, imp.path, u.path, f.syntax.Name.Name))
				case entry:
					found = append(found, fmt.Sprintf("%s: a test of %s imports %s: test programs and examples where they are",
						imp.at, u.path, imp.path))
				}
			}
		}
	}
	return append(found, unused("testAids", testAids, used)...)
}

// find returns the edge that lets from import to.
func find(edges []edge, from, to string) (edge, bool) {
	i := slices.IndexFunc(edges, func(e edge) bool { return matches(e.from, from) && matches(e.to, to) })
	if i < 0 {
		return edge{}, false
	}
	return edges[i], true
}

func matches(pattern, path string) bool {
	below, all := strings.CutSuffix(pattern, "...")
	return pattern == path || all && strings.HasPrefix(path, below)
}

func unused(table string, edges []edge, used map[edge]bool) []string {
	var found []string
	for _, e := range edges {
		if !used[e] {
			found = append(found, fmt.Sprintf("diagram_test.go: %s has %s → %s (%s), which nothing uses: remove the line, and "+
				"the arrow wherever it is drawn", table, e.from, e.to, e.reason))
		}
	}
	return found
}

func TestAFindingSaysTheEdgeAndTheRemedy(t *testing.T) {
	leak.Check(t)
	table := []edge{{"a", "b", "a stands on b"}, {"b", "c", "b stands on c"}}
	hardware := []edge{{"b", "example.com/disk", "b stores"}}
	for name, c := range map[string]struct {
		found []string
		want  []string // in one finding each, in order
	}{
		"an import upwards": {
			offDiagram(module(t, map[string]string{
				"a/a.go": `package a; import _ "github.com/rmigo/rmigo/b"`,
				"b/b.go": `package b; import (_ "github.com/rmigo/rmigo/c"; _ "github.com/rmigo/rmigo/a")`,
			}), table),
			[]string{"b/b.go:1:50: b → a is no edge"},
		},
		"an edge without use": {
			offDiagram(module(t, map[string]string{"a/a.go": `package a; import _ "github.com/rmigo/rmigo/b"`}), table),
			[]string{"edges has b → c (b stands on c), which nothing uses"},
		},
		"a module of somebody else, twice": {
			unexplained(module(t, map[string]string{
				"a/a_test.go": `package a; import _ "example.com/disk"`,
				"b/b.go":      `package b; import _ "example.com/disk"`,
				"c/c.go":      `package c; import _ "example.com/tape"`,
			}), hardware),
			[]string{"a → example.com/disk has no reason: go through the package that has it: b has it (b stores)",
				"c → example.com/tape has no reason: do without it"},
		},
		"generated code with a private import and one too many": {
			beyondUsers(module(t, map[string]string{
				"a/a.go": `package a; import _ "net/url"`,
				"a/a_rmi.go": "// Code generated by rmigen. DO NOT EDIT.\n\npackage a\n" +
					`import (_ "github.com/rmigo/rmigo/internal/wire"; _ "net/url"; _ "os"; _ "time")`,
			})),
			[]string{"imports os, which no signature in a names", "imports internal/wire, which users cannot"},
		},
	} {
		slices.Sort(c.found)
		if len(c.found) != len(c.want) {
			t.Errorf("%s: got %q, want %d findings", name, c.found, len(c.want))
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(c.found[i], want) {
				t.Errorf("%s: got %q, want it to contain %q", name, c.found[i], want)
			}
		}
	}
}

// module makes units of the files, by name.
func module(t *testing.T, files map[string]string) []*unit {
	t.Helper()
	var all []*unit
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := parse(name, []byte(files[name]))
		if err != nil {
			t.Fatal(err)
		}
		dir, _, _ := strings.Cut(name, "/")
		if len(all) == 0 || all[len(all)-1].path != dir {
			all = append(all, &unit{path: dir})
		}
		all[len(all)-1].files = append(all[len(all)-1].files, f)
	}
	return all
}
