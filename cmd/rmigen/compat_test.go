package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

// bank is a package with one remote interface, of which the lines within vary.
func bank(lines string) string {
	return "package bank\n\nimport \"context\"\n\n//rmi:remote\ntype Account interface {\n" + lines + "}\n\nvar _ context.Context\n"
}

const (
	deposit  = "\tDeposit(ctx context.Context, cents int64) error\n"
	withdraw = "\tWithdraw(ctx context.Context, cents int64) error\n"
)

// commit records the working directory, or a part of it, in a repository, which it makes if there is none, and tags it.
func commit(t *testing.T, tag string) {
	t.Helper()
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "-m", tag}, {"tag", tag}} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
}

func put(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestCompatComparesRevisionsAndDirectories(t *testing.T) {
	leak.Check(t)
	enter(t, map[string]string{"bank/bank.go": bank(deposit), ".gitattributes": "* export-ignore\n"})
	commit(t, "v1")
	put(t, "bank/bank.go", bank(withdraw+deposit))
	commit(t, "v2")
	put(t, "bank/bank.go", bank(withdraw))

	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	at := filepath.Join("bank", "bank.go")
	for want, args := range map[string][]string{
		"v2:" + at + ":7:2: bank.Account.Withdraw: breaks calls of new clients to old servers [method-added]": {"v1", "v2"},
		at + ":7:2: bank.Account.Deposit: breaks calls of old clients to new servers, and of new clients to old servers [method-renamed]\n" +
			"\told: Deposit(int64) error\n\tnew: Withdraw(int64) error\n": {"v1", "."},
		"v2:" + at + ":8:2: bank.Account.Deposit: breaks calls of old clients to new servers [method-removed]": {"HEAD~0", ".", "./bank"},
	} {
		want = strings.ReplaceAll(want, "v2:"+at+":8", "HEAD~0:"+at+":8")
		if stdout, _ := rmigen(t, 1, append([]string{"compat"}, args...)...); !strings.HasPrefix(stdout, want) {
			t.Errorf("rmigen compat %q says\n%s\nwant it to begin with\n%s", args, stdout, want)
		}
	}
	t.Chdir("bank")
	if stdout, _ := rmigen(t, 1, "compat", "v1", "v2"); !strings.HasPrefix(stdout, "v2:bank.go:7:2: ") {
		t.Errorf("got %q, want the file from where the command runs", stdout)
	}
	if stdout, stderr := rmigen(t, 0, "compat", "v2", "v2"); stdout+stderr != "" {
		t.Errorf("got %q, want silence", stdout+stderr)
	}
	if left, err := filepath.Glob(filepath.Join(temp, "rmigen-compat-*")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v are left over", left, err)
	}
}

func TestCompatJudgesTheClientsThatItIsTold(t *testing.T) {
	leak.Check(t)
	enter(t, map[string]string{"job.go": job})
	for dir, lines := range map[string]string{"old": deposit, "new": deposit + withdraw} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, "go.mod"), "module example.com/bank\n\ngo 1.26\n")
		put(t, filepath.Join(dir, "bank.go"), bank(lines))
	}
	if stdout, _ := rmigen(t, 1, "compat", "-clients", "new", "old", "new"); !strings.HasPrefix(stdout, filepath.Join("new", "bank.go")+":8:2: ") {
		t.Errorf("got %q, want the added method where it stands", stdout)
	}
	if stdout, stderr := rmigen(t, 0, "compat", "-clients=old", "old", "new"); stdout+stderr != "" {
		t.Errorf("got %q, want silence: no old client calls a method that it does not have", stdout+stderr)
	}
	stdout, _ := rmigen(t, 1, "compat", "-json", "new", "old")
	var got struct{ Changes []changeRecord }
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || len(got.Changes) != 1 {
		t.Fatalf("got %s, %v; want one change", stdout, err)
	}
	if c := got.Changes[0]; c.Rule != "method-removed" || c.Line != 8 || c.Old != "Withdraw(int64) error" || len(c.Breaks) != 1 || c.Breaks[0] != "old clients" || c.Why == "" || c.Remedy == "" {
		t.Errorf("got %+v", c)
	}
	if stdout, _ := rmigen(t, 0, "compat", "-json", "old", "old"); stdout != "{\n  \"changes\": []\n}\n" {
		t.Errorf("got %q, want an empty array", stdout)
	}
}

func TestWhatCannotBeJudgedExitsWithTwo(t *testing.T) {
	leak.Check(t)
	enter(t, map[string]string{"job.go": job, "bad/bad.go": "package bad\n\n//rmi:remote\ntype Job interface{ Run() }\n"})
	for want, args := range map[string][]string{
		"nowhere is neither a directory nor a revision": {"nowhere", "."},
		"-x is neither a directory nor a revision":      {"--", "-x", "."},
		filepath.Join("bad", "bad.go") + ":4:21":        {".", ".", "./bad"},
		"takes two":                                     {"."},
		"--clients is old, new or both, not some":       {"--clients", "some", ".", "."},
	} {
		if _, stderr := rmigen(t, 2, append([]string{"compat"}, args...)...); !strings.Contains(stderr, want) {
			t.Errorf("rmigen compat %q says %q, want %q", args, stderr, want)
		}
	}
}
