package bank_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rmigo/rmigo/examples/bank/bank"
	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/rmi"
)

// everywhere runs a test with a bank in this process as an ordinary object, and with a stub of it in another node: the
// interface promises the same.
func everywhere(t *testing.T, o bank.Options, test func(t *testing.T, b bank.Bank)) {
	t.Run("here", func(t *testing.T) {
		leak.Check(t)
		ledger := bank.NewLedger(o)
		t.Cleanup(ledger.Close)
		test(t, ledger)
	})
	t.Run("elsewhere", func(t *testing.T) {
		leak.Check(t)
		b, _ := remote(t, o)
		test(t, b)
	})
}

// remote serves a bank in one node, and returns its stub in another one, which listens nowhere.
func remote(t *testing.T, o bank.Options) (bank.Bank, *rmi.Node) {
	t.Helper()
	ledger := bank.NewLedger(o)
	t.Cleanup(ledger.Close)
	server, client := node(t), node(t)
	if _, err := server.Listen("tcp://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ref, err := rmi.Export(server, bank.RemoteBank.Of(ledger))
	if err != nil {
		t.Fatal(err)
	}
	text, err := ref.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	b, err := rmi.Resolve(ctx(t), client, bank.RemoteBank, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return b, client
}

func node(t *testing.T) *rmi.Node {
	t.Helper()
	n, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// ctx ends with the test, and long before the test's own time limit.
func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return c
}

// open opens an account with something in it.
func open(t *testing.T, b bank.Bank, cents int64) bank.Account {
	t.Helper()
	a, err := b.Open(ctx(t), "ada")
	if err != nil {
		t.Fatal(err)
	}
	deposit(t, a, cents)
	return a
}

func deposit(t *testing.T, a bank.Account, cents int64) {
	t.Helper()
	if _, err := a.Deposit(ctx(t), cents); err != nil {
		t.Fatal(err)
	}
}

func TestAnOwnerHasOneAccountAndFindsItAgain(t *testing.T) {
	leak.Check(t)
	everywhere(t, bank.Options{}, func(t *testing.T, b bank.Bank) {
		if _, err := b.Account(ctx(t), "ada"); !errors.Is(err, bank.ErrNoAccount) {
			t.Errorf("an account that nobody opened: %v, want ErrNoAccount", err)
		}
		a := open(t, b, 1)
		if _, err := b.Open(ctx(t), "ada"); !errors.Is(err, bank.ErrAccountExists) {
			t.Errorf("opening it again: %v, want ErrAccountExists", err)
		}
		if again, err := b.Account(ctx(t), "ada"); again != a || err != nil {
			t.Errorf("asked for again, the account is %v, %v; want %v, by ==", again, err, a)
		}
		if _, err := b.Open(ctx(t), "Ada"); err != nil {
			t.Error(err)
		}
		if owners, err := b.Owners(ctx(t)); !slices.Equal(owners, []string{"Ada", "ada"}) || err != nil {
			t.Errorf("owners %q, %v; want Ada and ada, sorted", owners, err)
		}
	})
}

func TestConcurrentDepositsAddUp(t *testing.T) {
	leak.Check(t)
	everywhere(t, bank.Options{}, func(t *testing.T, b bank.Bank) {
		a := open(t, b, 1)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, err := a.Deposit(ctx(t), 7); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if balance, err := a.Balance(ctx(t)); balance != 701 || err != nil {
			t.Errorf("the balance is %d, %v; want 701", balance, err)
		}
	})
}

func TestAWithdrawalBeyondTheBalanceTakesNothingAndSaysWhatIsMissing(t *testing.T) {
	leak.Check(t)
	everywhere(t, bank.Options{}, func(t *testing.T, b bank.Bank) {
		a := open(t, b, 100)
		_, err := a.Withdraw(ctx(t), 250)
		var funds *bank.FundsError
		if !errors.Is(err, bank.ErrInsufficientFunds) || !errors.As(err, &funds) || *funds != (bank.FundsError{Owner: "ada", Asked: 250, Balance: 100}) {
			t.Errorf("got %#v, want a *FundsError that says 250 of 100", err)
		}
		if balance, err := a.Withdraw(ctx(t), 100); balance != 0 || err != nil {
			t.Errorf("withdrawing all of it: %d, %v; want 0", balance, err)
		}
	})
}

func TestAmountsAreMoreThanZero(t *testing.T) {
	leak.Check(t)
	everywhere(t, bank.Options{}, func(t *testing.T, b bank.Bank) {
		a := open(t, b, 1)
		for _, cents := range []int64{0, -1} {
			if _, err := a.Deposit(ctx(t), cents); !errors.Is(err, bank.ErrAmount) {
				t.Errorf("depositing %d: %v, want ErrAmount", cents, err)
			}
			if _, err := a.Withdraw(ctx(t), cents); !errors.Is(err, bank.ErrAmount) {
				t.Errorf("withdrawing %d: %v, want ErrAmount", cents, err)
			}
		}
	})
}

func TestAnAuditReturnsTheEntriesThatWereExamined(t *testing.T) {
	leak.Check(t)
	refused := errors.New("a coin is missing")
	o := bank.Options{Auditor: func(_ context.Context, s bank.Statement) error {
		if s.Balance == 13 {
			return refused
		}
		return nil
	}}
	everywhere(t, o, func(t *testing.T, b bank.Bank) {
		a := open(t, b, 100)
		if _, err := a.Withdraw(ctx(t), 30); err != nil {
			t.Fatal(err)
		}
		s, err := a.Audit(ctx(t))
		if err != nil || s.Owner != "ada" || s.Balance != 70 || len(s.Entries) != 2 || s.Entries[0].Cents != 100 || s.Entries[1].Cents != -30 {
			t.Errorf("got %+v, %v; want ada's 70, by 100 and -30", s, err)
		}
		if _, err := a.Withdraw(ctx(t), 57); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Audit(ctx(t)); err == nil || err.Error() != "auditing ada: a coin is missing" {
			t.Errorf("got %v, want the auditor's objection", err)
		}
	})
}

func TestADeadlineEndsAnAuditOnBothSides(t *testing.T) {
	leak.Check(t)
	ended := make(chan error, 2)
	o := bank.Options{Auditor: func(ctx context.Context, _ bank.Statement) error {
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}}
	everywhere(t, o, func(t *testing.T, b bank.Bank) {
		a := open(t, b, 100)
		c, cancel := context.WithTimeout(ctx(t), 50*time.Millisecond)
		defer cancel()
		if _, err := a.Audit(c); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the client got %v, want context.DeadlineExceeded", err)
		}
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			t.Errorf("the auditor's context ended with %v", err)
		}
	})
}

// ear is a Listener that passes on what it hears, and hears no more until somebody takes it.
type ear struct{ heard chan bank.Change }

func (e *ear) Changed(ctx context.Context, c bank.Change) error {
	select {
	case e.heard <- c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func watch(t *testing.T, a bank.Account, l bank.Listener) bank.Subscription {
	t.Helper()
	s, err := a.Watch(ctx(t), l)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAListenerHearsOfEachChangeUntilItIsStopped(t *testing.T) {
	leak.Check(t)
	everywhere(t, bank.Options{}, func(t *testing.T, b bank.Bank) {
		a, e := open(t, b, 100), &ear{make(chan bank.Change)}
		s := watch(t, a, e)
		deposit(t, a, 5)
		if c := <-e.heard; c != (bank.Change{Owner: "ada", Cents: 5, Balance: 105}) {
			t.Errorf("heard %+v, want 5 more, 105", c)
		}
		if _, err := a.Withdraw(ctx(t), 25); err != nil {
			t.Fatal(err)
		}
		if c := <-e.heard; c != (bank.Change{Owner: "ada", Cents: -25, Balance: 80}) {
			t.Errorf("heard %+v, want 25 less, 80", c)
		}
		for range 2 {
			if err := s.Stop(ctx(t)); err != nil {
				t.Errorf("stopping: %v", err)
			}
		}
		deposit(t, a, 1)
		select {
		case c := <-e.heard:
			t.Errorf("heard %+v after the subscription was stopped", c)
		default:
		}
	})
}

func TestChangesDuringACallOfTheListenerAreToldTogether(t *testing.T) {
	leak.Check(t)
	everywhere(t, bank.Options{}, func(t *testing.T, b bank.Bank) {
		a, e := open(t, b, 100), &ear{make(chan bank.Change)}
		s := watch(t, a, e)
		for range 20 {
			deposit(t, a, 1)
		}
		var sum int64
		calls := 0
		for sum < 20 {
			c := <-e.heard
			sum += c.Cents
			calls++
		}
		if sum != 20 || calls > 2 {
			t.Errorf("heard of %d more in %d calls; want 20, in at most 2, as the first kept the listener busy", sum, calls)
		}
		if err := s.Stop(ctx(t)); err != nil {
			t.Error(err)
		}
	})
}

func TestStopEndsTheContextOfACallToTheListener(t *testing.T) {
	leak.Check(t)
	everywhere(t, bank.Options{}, func(t *testing.T, b bank.Bank) {
		a, l := open(t, b, 100), &patient{begun: make(chan struct{}), ended: make(chan error, 1)}
		s := watch(t, a, l)
		deposit(t, a, 5)
		<-l.begun
		if err := s.Stop(ctx(t)); err != nil {
			t.Errorf("stopping: %v", err)
		}
		if err := <-l.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the listener's context ended with %v, want context.Canceled", err)
		}
	})
}

// patient is a Listener that returns only when its context ends.
type patient struct {
	begun chan struct{}
	ended chan error
}

func (p *patient) Changed(ctx context.Context, _ bank.Change) error {
	close(p.begun)
	<-ctx.Done()
	p.ended <- ctx.Err()
	return ctx.Err()
}

func TestAListenerThatFailsIsNotCalledAgain(t *testing.T) {
	leak.Check(t)
	everywhere(t, bank.Options{}, func(t *testing.T, b bank.Bank) {
		a, f, e := open(t, b, 100), &failing{called: make(chan struct{}, 2)}, &ear{make(chan bank.Change)}
		failed, fine := watch(t, a, f), watch(t, a, e)
		deposit(t, a, 5)
		<-e.heard
		<-f.called
		deposit(t, a, 5)
		<-e.heard
		for _, s := range []bank.Subscription{failed, fine} {
			if err := s.Stop(ctx(t)); err != nil {
				t.Error(err)
			}
		}
		if len(f.called) > 0 {
			t.Error("a listener that had failed was called again")
		}
	})
}

// failing is a Listener that fails.
type failing struct{ called chan struct{} }

func (f *failing) Changed(context.Context, bank.Change) error {
	f.called <- struct{}{}
	return errors.New("out of order")
}

func TestTheListenerThatComesBackIsItself(t *testing.T) {
	leak.Check(t)
	everywhere(t, bank.Options{}, func(t *testing.T, b bank.Bank) {
		a, e := open(t, b, 100), &ear{make(chan bank.Change)}
		s := watch(t, a, e)
		if back, err := s.Listener(ctx(t)); back != bank.Listener(e) || err != nil {
			t.Errorf("got %v, %v; want the listener itself", back, err)
		}
		if err := s.Stop(ctx(t)); err != nil {
			t.Error(err)
		}
		if _, err := a.Watch(ctx(t), nil); err == nil {
			t.Error("watching without a listener succeeded")
		}
	})
}

func TestASubscriptionEndsWithTheClient(t *testing.T) {
	leak.Check(t)
	ledger := bank.NewLedger(bank.Options{})
	t.Cleanup(ledger.Close)
	a := open(t, ledger, 100)
	server, client := node(t), node(t)
	if _, err := server.Listen("tcp://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ref, err := rmi.Export(server, bank.RemoteAccount.Of(a))
	if err != nil {
		t.Fatal(err)
	}
	text, err := ref.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	there, err := rmi.Resolve(ctx(t), client, bank.RemoteAccount, string(text))
	if err != nil {
		t.Fatal(err)
	}
	p := &patient{begun: make(chan struct{}), ended: make(chan error, 1)}
	watch(t, there, p)
	deposit(t, a, 5)
	<-p.begun
	client.Close()
	if err := <-p.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the listener's context ended with %v, want context.Canceled", err)
	}
	ledger.Close() // returns only once the subscription's goroutine has ended
	if _, err := a.Watch(ctx(t), p); err == nil {
		t.Error("watching an account of a bank that is closed succeeded")
	}
}

func TestMoneyIsWrittenWithTwoDecimals(t *testing.T) {
	leak.Check(t)
	for cents, want := range map[int64]string{0: "0.00", 5: "0.05", 1250: "12.50", -5: "-0.05", -1 << 63: "-92233720368547758.08"} {
		if got := bank.Money(cents); got != want {
			t.Errorf("Money(%d) = %q, want %q", cents, got, want)
		}
	}
}
