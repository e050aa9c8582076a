//go:build unix

package rmi_test

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// stop stops the process, as a debugger or a suspended machine would.
func (p *partyClient) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		p.t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		p.t.Fatalf("the process did not stop: %v, %v", status, err)
	}
}

func (p *partyClient) goOn() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		p.t.Fatal(err)
	}
}

// exported exports an object that lives while it is held, and returns its reference.
func exported(t *testing.T, n *rmi.Node, l testobj.Listener) string {
	t.Helper()
	ref, err := rmi.ExportCollectable(n, testobj.RemoteListener.Of(l))
	if err != nil {
		t.Fatal(err)
	}
	text, err := ref.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// freedSoon is how long after its lease a lost process may hold something: an eighth of it, and slack for a busy machine.
const freedSoon = partyLease + partyLease/8 + 2*time.Second

func TestAHolderThatWasStoppedPastItsLeaseGoesOnWithWhatSurvivedAndIsToldOfTheRest(t *testing.T) {
	leak.Check(t)
	owner, _ := tcpWorld(t).server(rmi.Options{Lease: partyLease})
	free := make(chan string, 9)
	pinned, rooted := &hearer{"pinned", free}, &hearer{"rooted", free}
	if _, err := rmi.Export(owner, testobj.RemoteListener.Of(pinned)); err != nil {
		t.Fatal(err)
	}
	holder := startParty(t, "-", partyLease)
	names := []string{"pinned", "rooted", "lost"}
	for _, l := range []*hearer{pinned, rooted, {"lost", free}} {
		holder.ask("keep", l.name, exported(t, owner, l))
		runtime.KeepAlive(l)
	}
	if s := owner.Stats(); s.Held != 3 {
		t.Fatalf("%d objects are held, want three", s.Held)
	}
	holder.stop()
	for range names {
		select {
		case <-free:
		case <-time.After(freedSoon):
			t.Fatalf("objects are held %v after their holder was stopped: %+v", freedSoon, owner.Stats())
		}
	}
	eventually(t, 5*time.Second, func() bool {
		runtime.GC()
		return owner.Stats().Exports == 2
	}, func() string { return "the object that nobody has is collected" })
	holder.goOn()
	for _, name := range []string{"pinned", "rooted"} {
		var a answer
		eventually(t, 15*time.Second, func() bool {
			a = holder.try("hear", name)
			return a.Error == "" || a.Kind == "no such object"
		}, func() string { return "a call is answered, rather than " + a.Error })
		if a.Text != name {
			t.Errorf("the same stub of %q gives %q, %s", name, a.Text, a.Error)
		}
	}
	var a answer
	eventually(t, 15*time.Second, func() bool {
		if a = holder.try("hear", "lost"); a.Error == "" {
			t.Fatal("what was collected answers")
		}
		return a.Kind == "no such object" && a.Why == rmi.LeaseExpired
	}, func() string { return "the error says that the object's lease had expired, rather than " + a.Error })
	eventually(t, 5*time.Second, func() bool { return owner.Stats().Held == 2 }, func() string { return "the two others are held again" })
	runtime.KeepAlive(rooted)
}
