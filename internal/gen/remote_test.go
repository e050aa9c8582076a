package gen

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

// A module that the main one depends on is known by export data only: there a descriptor says what is remote.
func TestAnInterfaceOfAnotherModuleIsRemoteByItsDescriptor(t *testing.T) {
	leak.Check(t)
	dir := newModule(t, "example.com/p")
	other := newDependency(t, dir)
	writeFile(t, filepath.Join(other, "other.go"), `package other

import (
	"context"

	"github.com/rmigo/rmigo/skeleton"
)

type Clock interface{ Now(ctx context.Context) (int64, error) }

type Plain interface{ Now(ctx context.Context) (int64, error) }

var RemoteClock = &skeleton.Interface[Clock]{}

var RemotePlain = &skeleton.Interface[Clock]{} // of something else
`)
	source := "package p\n\nimport (\n\t\"context\"\n\n\t\"example.com/other\"\n)\n\n//rmi:remote\ntype Job interface {\n\tAt(ctx context.Context, c other.Clock) error\n}\n"
	writeFile(t, filepath.Join(dir, "job.go"), source)
	if got := string(generate(t, dir).Files[0].Content); !strings.Contains(got, "other.RemoteClock.Put(&call.Args, c)") {
		t.Errorf("got\n%s\nwant that the clock is put by its descriptor", got)
	}
	writeFile(t, filepath.Join(dir, "job.go"), strings.Replace(source, "other.Clock", "other.Plain", 1))
	compareLines(t, refusals(t, dir), []string{
		"job.go:11:2: Job.At: parameter c: no type is known that interface type other.Plain may hold: list what it may hold: //rmi:types, or let it travel by reference: rmigen -type, //rmi:use",
	})
}

// newDependency makes a module example.com/other that the one in dir depends on.
func newDependency(t *testing.T, dir string) (other string) {
	t.Helper()
	work := filepath.Dir(dir)
	other = filepath.Join(work, "other")
	writeFile(t, filepath.Join(other, "go.mod"), "module example.com/other\n\ngo 1.26\n\nrequire github.com/rmigo/rmigo v0.0.0\n")
	appendFile(t, filepath.Join(work, "go.work"), "\nreplace example.com/other v0.0.0 => "+other+"\n")
	appendFile(t, filepath.Join(dir, "go.mod"), "\nrequire example.com/other v0.0.0\n")
	return other
}

func appendFile(t *testing.T, path, text string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, string(content)+text)
}

func TestAPointerToWhatARemoteInterfaceCallsIsRemarkedOn(t *testing.T) {
	leak.Check(t)
	dir := newModule(t, "example.com/p")
	writeFile(t, filepath.Join(dir, "account.go"), `package p

import "context"

//rmi:remote
//rmi:types *account
type Account interface {
	Peer(ctx context.Context, a *account) error
	Pay(ctx context.Context, list []Order) error
	Copy(ctx context.Context, a account, q *Quiet) error
}

type account struct{ Cents int64 }

func (*account) Peer(context.Context, *account) error         { return nil }
func (*account) Pay(context.Context, []Order) error           { return nil }
func (*account) Copy(context.Context, account, *Quiet) error { return nil }

type Order struct{ By map[string]*account }

type Quiet struct{ X int }

func (*Quiet) Peer(context.Context, *account) error { return nil }
`)
	compareLines(t, strings.Split(generate(t, dir).Notes.Error(), "\n"), []string{
		"account.go:8:2: Account.Peer: parameter a: a *account is copied, and refused once it is exported by Account: use Account for the object itself, or account without the pointer for a copy",
		"account.go:9:2: Account.Pay: parameter list: []Order.By[]: a *account is copied, and refused once it is exported by Account: use Account for the object itself, or account without the pointer for a copy",
	})
}
