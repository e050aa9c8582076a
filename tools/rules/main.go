// Command rules shows that each rule of distributed collection has a test that fails when the rule is taken out.
//
//	go -C tools run ./rules ../gc/testdata/rules.txt
//
// It reads a list of rules, each with a change of the code that takes it out and the tests that notice. For each it runs those tests
// on the changed code, which it lays over the file for the compiler (go test -overlay): nothing is written into the source tree.
// It fails where a test passes without its rule, or the changed code does not compile. With -table it prints who notices what
// instead, as rows of Markdown.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// rule is one way to take a rule out.
type rule struct {
	line    int    // where it begins
	name    string // of the rule, such as "D3"
	without string // what happens without it
	tests   []test
	edits   []edit
}

// test is a test by its package's folder and its name.
type test struct{ folder, name string }

// edit replaces text that a file has once.
type edit struct{ file, before, after string }

func main() {
	table := flag.Bool("table", false, "print the rules and their tests as rows of Markdown, and run nothing")
	only := flag.String("only", "", "a regular expression: of the rules, those whose name or text it matches")
	flag.Parse()
	if err := run(flag.Arg(0), *only, *table); err != nil {
		fmt.Fprintln(os.Stderr, "rules:", err)
		os.Exit(1)
	}
}

func run(list, only string, table bool) error {
	rules, err := read(list)
	if err != nil {
		return err
	}
	which, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	root, err := moduleOf(list)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range rules {
		switch {
		case !which.MatchString(r.name + " " + r.without):
		case table:
			fmt.Println(r.row())
		default:
			err := r.check(root)
			errs = append(errs, err)
			fmt.Printf("%-4s %-5s %s\n", map[bool]string{true: "ok", false: "FAIL"}[err == nil], r.name, r.without)
		}
	}
	return errors.Join(errs...)
}

// moduleOf returns the folder of the module that a file belongs to.
func moduleOf(file string) (string, error) {
	dir, err := filepath.Abs(filepath.Dir(file))
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			err = fmt.Errorf("%s is in no module", file)
		}
	}
	return "", err
}

// row is the rule as a row of a table.
func (r *rule) row() string {
	var names []string
	for _, t := range r.tests {
		names = append(names, fmt.Sprintf("%s %s", t.folder, t.name))
	}
	return fmt.Sprintf("| %s | %s | %s |", r.name, r.without, strings.Join(names, ", "))
}

// check reports how the tests fare without the rule; nil: all notice.
func (r *rule) check(root string) error {
	overlay, err := r.overlay(root)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rules")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files := map[string]string{}
	for file, text := range overlay {
		at := filepath.Join(dir, fmt.Sprint(len(files), filepath.Ext(file)))
		if err := os.WriteFile(at, text, 0o600); err != nil {
			return err
		}
		files[file] = at
	}
	replace, err := json.Marshal(map[string]any{"Replace": files})
	if err != nil {
		return err
	}
	at := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(at, replace, 0o600); err != nil {
		return err
	}
	var errs []error
	for _, t := range r.tests {
		errs = append(errs, r.notices(root, at, t))
	}
	return errors.Join(errs...)
}

// overlay returns the changed files.
func (r *rule) overlay(root string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, e := range r.edits {
		file := filepath.Join(root, e.file)
		text := files[file]
		if text == nil {
			var err error
			if text, err = os.ReadFile(file); err != nil {
				return nil, err
			}
		}
		if n := bytes.Count(text, []byte(e.before)); n != 1 {
			return nil, fmt.Errorf("line %d, %s: %s has the text to be replaced %d times, want once:\n%s", r.line, r.name, e.file, n, e.before)
		}
		files[file] = bytes.Replace(text, []byte(e.before), []byte(e.after), 1)
	}
	return files, nil
}

// notices returns nil if the test fails with the overlay, and for no other reason than its own.
func (r *rule) notices(root, overlay string, t test) error {
	cmd := exec.Command("go", "test", "-count=1", "-vet=off", "-timeout=60s", "-overlay="+overlay, "-run=^"+t.name+"$", "./"+t.folder)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return fmt.Errorf("line %d, %s: %s passes, though %s", r.line, r.name, t.name, r.without)
	case !errors.As(err, &exit):
		return err
	case !bytes.Contains(out, []byte("--- FAIL: "+t.name)) && !bytes.Contains(out, []byte("panic:")) && !bytes.Contains(out, []byte("fatal error:")):
		return fmt.Errorf("line %d, %s: %s did not run:\n%s", r.line, r.name, t.name, out)
	}
	return nil
}
