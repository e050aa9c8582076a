//go:build unix

package rmi_test

import (
	"context"
	"errors"
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

func TestAnOwnerThatWasStoppedPastTheLeaseKeepsWhatIsHeld(t *testing.T) {
	leak.Check(t)
	owner := startParty(t, "-", partyLease)
	holder := tcpWorld(t).node(rmi.Options{Lease: partyLease})
	it, err := hold(ctx(t), holder, owner.ask("make", "it").Text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := it.Hear(ctx(t), ""); err != nil {
		t.Fatal(err)
	}
	owner.ask("drop", "it")
	if s := owner.ask("stats").Stats; s.Held != 1 {
		t.Fatalf("the owner has %+v, want one object held", s)
	}
	given := make(chan error, 1)
	go func() { given <- rmi.Monitor(ctx(t), it) }()
	owner.stop()
	if err := <-given; err == nil {
		t.Error("the stopped owner was not given up")
	}
	owner.tell("stats") // collects garbage as soon as it goes on
	owner.goOn()
	freed := owner.answer().Unreferenced
	err = hearing(t, func() error {
		freed = append(freed, owner.ask("stats").Unreferenced...)
		c, cancel := context.WithTimeout(ctx(t), partyLease)
		defer cancel()
		_, err := it.Hear(c, "")
		return err
	})
	if err != nil {
		t.Errorf("the object that was held all the time: %v", err)
	}
	if len(freed) > 0 {
		t.Errorf("%q: nobody held it any more, though only the owner was away", freed)
	}
}

// hearing calls the object until it answers or ends in an error that is not about connections.
func hearing(t *testing.T, hear func() error) error {
	t.Helper()
	var err error
	eventually(t, 15*time.Second, func() bool {
		err = hear()
		return err == nil || !errors.Is(err, rmi.ErrUnreachable) && !errors.Is(err, rmi.ErrPeerExpired) && !errors.Is(err, context.DeadlineExceeded)
	}, func() string { return "an answer rather than " + err.Error() })
	return err
}
