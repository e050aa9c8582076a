package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// players are the processes on stage, and where they are.
type players struct {
	registry, bank, alice, bob *process
	registryAt, bankAt         string // endpoints
}

// url is the name of the bank in the registry.
func (p *players) url() string {
	return strings.Replace(p.registryAt, "tcp://", "rmi://", 1) + "/bank"
}

const anyPort = "tcp://127.0.0.1:0"

// story is the whole of it, in order.
func story() []step {
	p := &players{}
	return []step{
		{"A registry opens, and a bank binds its object to a name", p.opening},
		{"Two clients look the name up; they share an account", p.lookup},
		{"Both deposit at the same time", p.deposits},
		{"A method's error arrives as what it is", p.overdraft},
		{"A client is called back when the other one deposits", p.callback},
		{"A call ends by its deadline, and the server notices", p.deadline},
		{"The bank's process is killed while a call is under way", p.crash},
		{"The bank is started again, at its old address", p.restart},
		{"The registry is killed and started again; nobody tells the bank", p.registryRestart},
		{"Everybody leaves", p.leave},
	}
}

func (p *players) opening(ctx context.Context, n *narrator) (err error) {
	if err := p.openRegistry(ctx, n, anyPort); err != nil {
		return err
	}
	if err := p.openBank(ctx, n, anyPort); err != nil {
		return err
	}
	if err := n.act(ctx, p.bank, command{Do: "bind", At: p.url()}); err != nil {
		return err
	}
	_, err = n.hear(ctx, p.registry) // that it has bound the name
	return err
}

func (p *players) openRegistry(ctx context.Context, n *narrator, at string) (err error) {
	if p.registry, err = n.enter(ctx, "registry", "registry"); err != nil {
		return err
	}
	p.registryAt, err = n.do(ctx, p.registry, command{Do: "listen", At: at})
	return err
}

func (p *players) openBank(ctx context.Context, n *narrator, at string) (err error) {
	if p.bank, err = n.enter(ctx, "server", "bank"); err != nil {
		return err
	}
	if p.bankAt, err = n.do(ctx, p.bank, command{Do: "listen", At: at}); err != nil {
		return err
	}
	return n.act(ctx, p.bank, command{Do: "export"})
}

func (p *players) lookup(ctx context.Context, n *narrator) (err error) {
	if p.alice, err = n.enter(ctx, "client", "alice's client"); err != nil {
		return err
	}
	if p.bob, err = n.enter(ctx, "client", "bob's client"); err != nil {
		return err
	}
	if err := n.act(ctx, p.alice, command{Do: "list", At: p.url()}); err != nil {
		return err
	}
	return p.joinAccount(ctx, n)
}

// joinAccount has both clients look the bank up and take one account, which is new.
func (p *players) joinAccount(ctx context.Context, n *narrator) error {
	err := n.act(ctx, p.alice, command{Do: "lookup", At: p.url()}, command{Do: "open", Owner: "alice"})
	if err != nil {
		return err
	}
	return n.act(ctx, p.bob, command{Do: "lookup", At: p.url()}, command{Do: "join", Owner: "alice"})
}

func (p *players) deposits(ctx context.Context, n *narrator) error {
	if err := p.alice.order(command{Do: "deposit", Cents: 1_00, Times: 50}); err != nil {
		return err
	}
	if err := p.bob.order(command{Do: "deposit", Cents: 2_50, Times: 50}); err != nil {
		return err
	}
	for _, client := range []*process{p.alice, p.bob} {
		if _, err := n.done(ctx, client); err != nil {
			return err
		}
	}
	return n.act(ctx, p.alice, command{Do: "balance", Cents: 50*1_00 + 50*2_50})
}

func (p *players) overdraft(ctx context.Context, n *narrator) error {
	return n.act(ctx, p.bob, command{Do: "overdraw", Cents: 1_000_00}, command{Do: "balance", Cents: 175_00})
}

func (p *players) callback(ctx context.Context, n *narrator) error {
	if err := n.act(ctx, p.alice, command{Do: "watch"}); err != nil {
		return err
	}
	if err := n.act(ctx, p.bob, command{Do: "deposit", Cents: 5_00, Times: 1}); err != nil {
		return err
	}
	if _, err := n.hear(ctx, p.alice); err != nil { // her listener
		return err
	}
	if err := n.act(ctx, p.alice, command{Do: "stop"}); err != nil {
		return err
	}
	if err := n.act(ctx, p.bob, command{Do: "deposit", Cents: 5_00, Times: 1}); err != nil {
		return err
	}
	return n.act(ctx, p.alice, command{Do: "heard", Times: 1}, command{Do: "balance", Cents: 185_00})
}

func (p *players) deadline(ctx context.Context, n *narrator) error {
	if err := p.alice.order(command{Do: "audit", Within: 300 * time.Millisecond}); err != nil {
		return err
	}
	if _, err := n.hear(ctx, p.alice); err != nil { // that she asks
		return err
	}
	for range 2 { // the audit's beginning and its end
		if _, err := n.hear(ctx, p.bank); err != nil {
			return err
		}
	}
	_, err := n.done(ctx, p.alice)
	return err
}

func (p *players) crash(ctx context.Context, n *narrator) error {
	if err := p.alice.order(command{Do: "lose"}); err != nil {
		return err
	}
	if _, err := n.hear(ctx, p.alice); err != nil { // that she asks
		return err
	}
	if _, err := n.hear(ctx, p.bank); err != nil { // that the audit has begun
		return err
	}
	if err := n.killed(p.bank); err != nil {
		return err
	}
	if _, err := n.done(ctx, p.alice); err != nil {
		return err
	}
	return n.act(ctx, p.alice, command{Do: "call the dead", Cents: 1_00})
}

// killed kills a process.
func (n *narrator) killed(p *process) error {
	if err := p.kill(); err != nil {
		return fmt.Errorf("killing the %s: %w", p.name, err)
	}
	n.line("narrator", "has killed the process of the "+p.name)
	return nil
}

func (p *players) restart(ctx context.Context, n *narrator) error {
	if err := p.openBank(ctx, n, p.bankAt); err != nil {
		return err
	}
	if err := n.act(ctx, p.bank, command{Do: "rebind", At: p.url()}); err != nil {
		return err
	}
	if _, err := n.hear(ctx, p.registry); err != nil { // that it has bound the name
		return err
	}
	if err := n.act(ctx, p.alice, command{Do: "call the old", Cents: 1_00}); err != nil {
		return err
	}
	n.line("narrator", "knows that this bank keeps its books in memory: the clients begin anew")
	if err := p.joinAccount(ctx, n); err != nil {
		return err
	}
	return n.act(ctx, p.bob, command{Do: "deposit", Cents: 20_00, Times: 1}, command{Do: "balance", Cents: 20_00})
}

func (p *players) registryRestart(ctx context.Context, n *narrator) error {
	if err := n.killed(p.registry); err != nil {
		return err
	}
	err := n.act(ctx, p.alice, command{Do: "lookup nothing", At: p.url()},
		command{Do: "deposit", Cents: 10_00, Times: 1}, command{Do: "balance", Cents: 30_00})
	if err != nil {
		return err
	}
	if err := p.openRegistry(ctx, n, p.registryAt); err != nil {
		return err
	}
	if _, err := n.hear(ctx, p.registry); err != nil { // that the name is there again
		return err
	}
	return n.act(ctx, p.alice, command{Do: "lookup again", At: p.url()}, command{Do: "list", At: p.url()})
}

// leave has the processes end in good order.
func (p *players) leave(ctx context.Context, n *narrator) error {
	for _, leaving := range []*process{p.alice, p.bob, p.bank} {
		if err := n.check(leaving.name, newCheck("its process ended with", outcome(leaving.end()), "status 0")); err != nil {
			return err
		}
	}
	if _, err := n.hear(ctx, p.registry); err != nil { // that the bank's name is free
		return err
	}
	if err := n.check("registry", newCheck("its process ended with", outcome(p.registry.end()), "status 0")); err != nil {
		return err
	}
	left := 0
	for _, started := range n.cast {
		if !started.over() {
			left++
		}
	}
	return n.check("narrator", newCheck("processes left", left, 0))
}

func outcome(err error) string {
	if err == nil {
		return "status 0"
	}
	return err.Error()
}
