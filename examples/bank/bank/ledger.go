package bank

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Options configure a Ledger. The zero value is valid.
type Options struct {
	// Auditor examines a statement before Account.Audit returns it. It ends early when ctx does. Nil: nobody looks.
	Auditor func(ctx context.Context, s Statement) error
}

// Ledger is a Bank that keeps its books in memory. It may be used concurrently. mu guards accounts and closed; where both are
// held, it is taken before an account's.
type Ledger struct {
	auditor   func(context.Context, Statement) error
	listening sync.WaitGroup // goroutines of subscriptions; added to under mu, and only while closed is false

	mu       sync.Mutex
	accounts map[string]*account
	closed   bool
}

// NewLedger returns a bank without accounts. Close ends its subscriptions.
func NewLedger(o Options) *Ledger {
	if o.Auditor == nil {
		o.Auditor = func(context.Context, Statement) error { return nil }
	}
	return &Ledger{auditor: o.Auditor, accounts: map[string]*account{}}
}

// Open implements Bank.
func (l *Ledger) Open(_ context.Context, owner string) (Account, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.accounts[owner] != nil {
		return nil, fmt.Errorf("opening an account for %q: %w", owner, ErrAccountExists)
	}
	a := &account{ledger: l, owner: owner, watching: map[*subscription]struct{}{}}
	l.accounts[owner] = a
	return a, nil
}

// Account implements Bank.
func (l *Ledger) Account(_ context.Context, owner string) (Account, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.accounts[owner]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("account of %q: %w", owner, ErrNoAccount)
}

// Owners implements Bank.
func (l *Ledger) Owners(context.Context) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.accounts)), nil
}

// Close stops all subscriptions and waits for them. From then on nothing can be watched; all else goes on.
func (l *Ledger) Close() {
	l.mu.Lock()
	l.closed = true
	for _, a := range l.accounts {
		a.unwatch()
	}
	l.mu.Unlock()
	l.listening.Wait()
}

// account implements Account. Listeners are called by their subscriptions' goroutines, never under mu.
type account struct {
	ledger *Ledger
	owner  string

	mu       sync.Mutex
	balance  int64
	entries  []Entry
	watching map[*subscription]struct{}
}

func (a *account) Deposit(_ context.Context, cents int64) (int64, error) {
	if cents <= 0 {
		return 0, ErrAmount
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.enter(cents), nil
}

func (a *account) Withdraw(_ context.Context, cents int64) (int64, error) {
	if cents <= 0 {
		return 0, ErrAmount
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if cents > a.balance {
		return a.balance, &FundsError{Owner: a.owner, Asked: cents, Balance: a.balance}
	}
	return a.enter(-cents), nil
}

// enter changes the balance and returns the new one. mu is held.
func (a *account) enter(cents int64) int64 {
	a.balance += cents
	a.entries = append(a.entries, Entry{At: time.Now(), Cents: cents})
	for s := range a.watching {
		s.note(cents, a.balance)
	}
	return a.balance
}

func (a *account) Balance(context.Context) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.balance, nil
}

func (a *account) Audit(ctx context.Context) (Statement, error) {
	a.mu.Lock()
	s := Statement{Owner: a.owner, Balance: a.balance, Entries: slices.Clone(a.entries)}
	a.mu.Unlock()
	if err := a.ledger.auditor(ctx, s); err != nil {
		return Statement{}, fmt.Errorf("auditing %s: %w", a.owner, err)
	}
	return s, nil
}

func (a *account) unwatch() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for s := range a.watching {
		s.cancel()
	}
}
