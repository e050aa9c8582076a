// Package bank is a bank whose accounts are used from other processes: the interfaces that its clients call, and Ledger, which
// serves them.
//
// Start reading here. Three things make these ordinary interfaces remote ones: the line //rmi:remote above each, a context as
// the first parameter of every method, and an error as its last result. From that, go generate writes bank_rmi.go: a stub and
// a skeleton for each interface, and a descriptor, such as RemoteBank. A server binds its object by it,
//
//	err := rmi.Bind(ctx, node, "rmi://127.0.0.1:1099/bank", bank.RemoteBank.Of(ledger))
//
// and a client looks the object up and calls it:
//
//	b, err := rmi.Lookup(ctx, node, bank.RemoteBank, "rmi://127.0.0.1:1099/bank")
//	account, err := b.Open(ctx, "ada")
//	balance, err := account.Deposit(ctx, 12_50)
//
// What travels how:
//
//  1. Structs such as Statement and Change are copied.
//  2. An Account, Listener or Subscription is passed by reference: the receiver calls the one object there is, wherever it is.
//     Nobody has to export or bind it.
//  3. The errors declared here arrive as themselves, for errors.Is and errors.As.
//
// Nothing in this package but bank_rmi.go knows of the runtime: a Ledger works just as well in the process that made it.
package bank

import (
	"context"
	"errors"
	"fmt"
	"time"
)

//go:generate go run github.com/rmigo/rmigo/cmd/rmigen

// Bank gives access to accounts by their owners' names. All amounts of this package are in cents.
//
//rmi:remote
type Bank interface {
	// Open opens an account with nothing in it; ErrAccountExists if the owner has one already.
	Open(ctx context.Context, owner string) (Account, error)

	// Account returns the owner's account; ErrNoAccount if there is none. It is the same object at every call: clients may
	// compare accounts with ==.
	//rmi:idempotent
	Account(ctx context.Context, owner string) (Account, error)

	// Owners lists who has an account, sorted.
	//rmi:idempotent
	Owners(ctx context.Context) ([]string, error)
}

// Account is one owner's money.
//
//rmi:remote
type Account interface {
	// Deposit adds cents, which must be more than zero (ErrAmount), and returns the balance after it.
	Deposit(ctx context.Context, cents int64) (balance int64, err error)

	// Withdraw takes cents, which must be more than zero (ErrAmount), and returns the balance after it. If there are not so
	// many, nothing is taken and the error is a *FundsError.
	Withdraw(ctx context.Context, cents int64) (balance int64, err error)

	// Balance returns what is there.
	//rmi:idempotent
	Balance(ctx context.Context) (int64, error)

	// Watch tells the listener of changes from now on, until the subscription is stopped or the listener fails.
	Watch(ctx context.Context, l Listener) (Subscription, error)

	// Audit has the account's entries examined, and returns them. It takes as long as the auditor does: give it a deadline.
	Audit(ctx context.Context) (Statement, error)
}

// Listener is what a client passes to Account.Watch. It runs in the client's process, which need not listen anywhere: calls to
// it come over the connection that the client has made.
//
//rmi:remote
type Listener interface {
	// Changed is called after a change, once at a time. Changes that happen during a call are told together by the next one.
	// An error ends the subscription.
	Changed(ctx context.Context, c Change) error
}

// Subscription is a Listener's being told of changes.
//
//rmi:remote
type Subscription interface {
	// Listener returns who is told. In the process that passed the listener, that is the listener itself and no stub of it.
	Listener(ctx context.Context) (Listener, error)

	// Stop ends the subscription, and the context of a call to the listener that is under way. Once it has returned nil, no
	// call begins. Stopping twice is harmless.
	//rmi:idempotent
	Stop(ctx context.Context) error
}

// Change is what happened to an account since its listener was last told.
type Change struct {
	Owner   string
	Cents   int64 // by which the balance has changed; negative if it has fallen
	Balance int64 // the balance now
}

// Entry is one deposit, or one withdrawal: then Cents is negative.
type Entry struct {
	At    time.Time
	Cents int64
}

// Statement is an account with all that went in and out, the oldest first.
type Statement struct {
	Owner   string
	Balance int64
	Entries []Entry
}

// The errors to decide by.
var (
	ErrNoAccount         = errors.New("bank: no such account")
	ErrAccountExists     = errors.New("bank: the owner has an account already")
	ErrAmount            = errors.New("bank: an amount must be more than zero")
	ErrInsufficientFunds = errors.New("bank: insufficient funds")
)

// FundsError says what was missing for a withdrawal. It wraps ErrInsufficientFunds.
type FundsError struct {
	Owner   string
	Asked   int64
	Balance int64
}

func (e *FundsError) Error() string {
	return fmt.Sprintf("%v: %s has %s and asked for %s", ErrInsufficientFunds, e.Owner, Money(e.Balance), Money(e.Asked))
}

// Unwrap returns ErrInsufficientFunds.
func (e *FundsError) Unwrap() error { return ErrInsufficientFunds }

// Money writes cents as an amount: "12.50".
func Money(cents int64) string {
	sign, abs := "", uint64(cents)
	if cents < 0 {
		sign, abs = "-", -abs
	}
	return fmt.Sprintf("%s%d.%02d", sign, abs/100, abs%100)
}
