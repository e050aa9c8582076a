package bank

import (
	"context"
	"errors"
	"sync"
	"time"
)

// patience is how long one call to a listener may take.
const patience = 10 * time.Second

// subscription implements Subscription. Between deposits and the listener stands a change of one element, to which what
// happens during a call to the listener is added: a slow listener holds up nobody and makes nothing grow.
//
// One goroutine calls the listener, so that it hears of one change at a time. It ends by Stop, Ledger.Close or the listener's
// failure, and closes done.
type subscription struct {
	account  *account
	listener Listener
	cancel   context.CancelFunc
	wake     chan struct{} // has an element if untold may be true
	done     chan struct{}

	mu      sync.Mutex
	pending Change
	untold  bool // there is something in pending
}

var errClosed = errors.New("bank: closed")

func (a *account) Watch(_ context.Context, l Listener) (Subscription, error) {
	if l == nil {
		return nil, errors.New("bank: no listener to tell of changes")
	}
	ctx, cancel := context.WithCancel(context.Background()) // the call to Watch is over before the first change
	s := &subscription{account: a, listener: l, cancel: cancel, wake: make(chan struct{}, 1), done: make(chan struct{})}
	a.ledger.mu.Lock()
	defer a.ledger.mu.Unlock()
	if a.ledger.closed {
		cancel()
		return nil, errClosed
	}
	a.mu.Lock()
	a.watching[s] = struct{}{}
	a.mu.Unlock()
	a.ledger.listening.Go(func() { s.run(ctx) })
	return s, nil
}

func (s *subscription) run(ctx context.Context) {
	defer close(s.done)
	defer s.forget()
	defer s.cancel()
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
		if ctx.Err() != nil || s.tell(ctx) != nil {
			return
		}
	}
}

// tell tells the listener what is untold.
func (s *subscription) tell(ctx context.Context) error {
	s.mu.Lock()
	c, untold := s.pending, s.untold
	s.pending, s.untold = Change{}, false
	s.mu.Unlock()
	if !untold {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.listener.Changed(ctx, c)
}

// note adds a change to what the listener is to be told. It does not wait.
func (s *subscription) note(cents, balance int64) {
	s.mu.Lock()
	s.pending = Change{Owner: s.account.owner, Cents: s.pending.Cents + cents, Balance: balance}
	s.untold = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // it will be told of this one with the one before
	}
}

func (s *subscription) forget() {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	delete(s.account.watching, s)
}

func (s *subscription) Listener(context.Context) (Listener, error) { return s.listener, nil }

func (s *subscription) Stop(ctx context.Context) error {
	s.cancel()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
