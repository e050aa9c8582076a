package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rmigo/rmigo/examples/bank/bank"
	"github.com/rmigo/rmigo/rmi"
)

// clientRole uses a bank. Its commands run one at a time; only the listener is called meanwhile.
type clientRole struct {
	*player
	bank     bank.Bank
	account  bank.Account
	listener *listener
	watching bank.Subscription
}

func newClient(p *player) role { return &clientRole{player: p} }

func (c *clientRole) do(ctx context.Context, cmd command) (string, error) {
	deeds := map[string]func(context.Context, command) error{
		"list": c.list, "lookup": c.lookup, "lookup nothing": c.lookupNothing, "lookup again": c.lookupAgain,
		"open": c.open, "join": c.join, "deposit": c.deposit, "balance": c.balance, "overdraw": c.overdraw,
		"watch": c.watch, "stop": c.stop, "heard": c.heard,
		"audit": c.audit, "lose": c.lose, "call the dead": c.callTheDead, "call the old": c.callTheOld,
	}
	deed := deeds[cmd.Do]
	if deed == nil {
		return "", fmt.Errorf("a client does not know how to %s", cmd.Do)
	}
	return "", deed(ctx, cmd)
}

func (c *clientRole) leave(ctx context.Context) error { return c.node.Shutdown(ctx) }

func (c *clientRole) list(ctx context.Context, cmd command) error {
	names, err := rmi.List(ctx, c.node, cmd.At)
	if err == nil {
		c.check("the names in the registry", names, "[bank]")
	}
	return err
}

func (c *clientRole) lookup(ctx context.Context, cmd command) (err error) {
	c.bank, err = rmi.Lookup(ctx, c.node, bank.RemoteBank, cmd.At)
	if err == nil {
		c.say("looks up %s: %v", cmd.At, c.bank)
	}
	return err
}

// lookupNothing looks a name up while there is no registry.
func (c *clientRole) lookupNothing(ctx context.Context, cmd command) error {
	_, err := rmi.Lookup(ctx, c.node, bank.RemoteBank, cmd.At)
	c.say("looks up: %v", err)
	c.check("errors.Is(err, rmi.ErrUnreachable)", errors.Is(err, rmi.ErrUnreachable), true)
	return nil
}

// lookupAgain looks up what the client has already.
func (c *clientRole) lookupAgain(ctx context.Context, cmd command) error {
	before := c.bank
	if err := c.lookup(ctx, cmd); err != nil {
		return err
	}
	c.check("it is the stub that was there before, by ==", c.bank == before, true)
	return nil
}

func (c *clientRole) open(ctx context.Context, cmd command) (err error) {
	c.account, err = c.bank.Open(ctx, cmd.Owner)
	if err == nil {
		c.say("opens an account for %s: %v", cmd.Owner, c.account)
	}
	return err
}

func (c *clientRole) join(ctx context.Context, cmd command) (err error) {
	c.account, err = c.bank.Account(ctx, cmd.Owner)
	if err == nil {
		c.say("asks for %s's account: %v", cmd.Owner, c.account)
	}
	return err
}

// deposit makes all its deposits at once; they share the process's one connection to the bank.
func (c *clientRole) deposit(ctx context.Context, cmd command) error {
	errs := make([]error, cmd.Times)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { _, errs[i] = c.account.Deposit(ctx, cmd.Cents) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if cmd.Times == 1 {
		c.say("deposits %s", bank.Money(cmd.Cents))
	} else {
		c.say("deposits %s, %d times at once", bank.Money(cmd.Cents), cmd.Times)
	}
	return nil
}

func (c *clientRole) balance(ctx context.Context, cmd command) error {
	balance, err := c.account.Balance(ctx)
	if err == nil {
		c.check("the balance", bank.Money(balance), bank.Money(cmd.Cents))
	}
	return err
}

func (c *clientRole) overdraw(ctx context.Context, cmd command) error {
	_, err := c.account.Withdraw(ctx, cmd.Cents)
	c.say("withdraws %s: %v", bank.Money(cmd.Cents), err)
	c.check("errors.Is(err, bank.ErrInsufficientFunds)", errors.Is(err, bank.ErrInsufficientFunds), true)
	var funds *bank.FundsError
	if c.check("errors.As(err, &fundsError)", errors.As(err, &funds), true); funds != nil {
		c.check("fundsError.Asked", bank.Money(funds.Asked), bank.Money(cmd.Cents))
	}
	return nil
}

// listener is called back by the bank.
type listener struct {
	to    *player
	calls atomic.Int64
}

func (l *listener) Changed(_ context.Context, c bank.Change) error {
	l.calls.Add(1)
	l.to.say("is called back: %s's balance is now %s", c.Owner, bank.Money(c.Balance))
	return nil
}

// watch passes a listener. Nothing else is needed for being called back: the client's node listens nowhere.
func (c *clientRole) watch(ctx context.Context, _ command) (err error) {
	c.listener = &listener{to: c.player}
	c.watching, err = c.account.Watch(ctx, c.listener)
	if err != nil {
		return err
	}
	c.say("passes a listener, and gets a %v", c.watching)
	ref, exported := c.node.RefOf(c.listener)
	c.check("endpoints at which the listener's process listens", len(ref.Endpoints()), 0)
	c.check("passing the listener has exported it", exported, true)
	back, err := c.watching.Listener(ctx)
	if err == nil {
		c.check("the listener that the bank passes back is the listener itself, by ==", back == bank.Listener(c.listener), true)
	}
	return err
}

func (c *clientRole) stop(ctx context.Context, _ command) error {
	c.say("stops the subscription")
	return c.watching.Stop(ctx)
}

func (c *clientRole) heard(_ context.Context, cmd command) error {
	c.check("calls of the listener so far", c.listener.calls.Load(), cmd.Times)
	return nil
}

// audit waits no longer than it wants to.
func (c *clientRole) audit(ctx context.Context, cmd command) error {
	c.say("asks for an audit within %v", cmd.Within)
	ctx, cancel := context.WithTimeout(ctx, cmd.Within)
	defer cancel()
	_, err := c.account.Audit(ctx)
	c.say("gets: %v", err)
	c.check("errors.Is(err, context.DeadlineExceeded)", errors.Is(err, context.DeadlineExceeded), true)
	c.check("rmi.MayHaveRun(err)", rmi.MayHaveRun(err), true)
	return nil
}

// lose makes a call that the bank does not live to answer.
func (c *clientRole) lose(ctx context.Context, _ command) error {
	c.say("asks for an audit, and will wait")
	_, err := c.account.Audit(ctx)
	c.say("gets: %v", err)
	c.check("errors.Is(err, rmi.ErrUnreachable)", errors.Is(err, rmi.ErrUnreachable), true)
	c.check("rmi.MayHaveRun(err)", rmi.MayHaveRun(err), true)
	return nil
}

// callTheDead makes a call to a bank whose process is gone.
func (c *clientRole) callTheDead(ctx context.Context, cmd command) error {
	_, err := c.account.Deposit(ctx, cmd.Cents)
	c.say("deposits %s: %v", bank.Money(cmd.Cents), err)
	c.check("errors.Is(err, rmi.ErrUnreachable)", errors.Is(err, rmi.ErrUnreachable), true)
	c.check("rmi.MayHaveRun(err)", rmi.MayHaveRun(err), false)
	return nil
}

// callTheOld makes a call by a stub of the bank that was, where another one answers.
func (c *clientRole) callTheOld(ctx context.Context, cmd command) error {
	_, err := c.account.Deposit(ctx, cmd.Cents)
	c.say("deposits %s by its old stub: %v", bank.Money(cmd.Cents), err)
	c.check("errors.Is(err, rmi.ErrNoSuchObject)", errors.Is(err, rmi.ErrNoSuchObject), true)
	var e *rmi.Error
	if c.check("errors.As(err, &rmiError)", errors.As(err, &e), true); e != nil {
		c.check("rmiError.Reason", e.Reason, rmi.Restarted)
	}
	c.check("rmi.MayHaveRun(err)", rmi.MayHaveRun(err), false)
	return nil
}
