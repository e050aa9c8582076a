package main

import (
	"context"
	"fmt"

	"github.com/rmigo/rmigo/examples/bank/bank"
	"github.com/rmigo/rmigo/rmi"
)

// serverRole serves a bank.
type serverRole struct {
	*player
	ledger *bank.Ledger
}

func newServer(p *player) role {
	s := &serverRole{player: p}
	s.ledger = bank.NewLedger(bank.Options{Auditor: s.audit})
	return s
}

// audit is an auditor who never comes to an end by himself.
func (s *serverRole) audit(ctx context.Context, st bank.Statement) error {
	s.say("audits %s's account, which will take for ever", st.Owner)
	<-ctx.Done()
	s.say("gives the audit up: its context has ended")
	return ctx.Err()
}

func (s *serverRole) do(ctx context.Context, c command) (string, error) {
	switch c.Do {
	case "listen":
		endpoint, err := s.node.Listen(c.At)
		if err != nil {
			return "", err
		}
		s.say("listens at %s", endpoint)
		return endpoint, nil
	case "export":
		ref, err := rmi.Export(s.node, bank.RemoteBank.Of(s.ledger))
		if err != nil {
			return "", err
		}
		s.say("exports %v", ref)
		return "", nil
	case "bind":
		s.say("binds it to %s", c.At)
		return "", rmi.Bind(ctx, s.node, c.At, bank.RemoteBank.Of(s.ledger))
	case "rebind":
		s.say("binds its new object to %s, in place of the old one", c.At)
		return "", rmi.Rebind(ctx, s.node, c.At, bank.RemoteBank.Of(s.ledger))
	}
	return "", fmt.Errorf("a bank does not know how to %s", c.Do)
}

// leave takes the name out of the registry, lets calls end, and stops the subscriptions.
func (s *serverRole) leave(ctx context.Context) error {
	defer s.ledger.Close()
	return s.node.Shutdown(ctx)
}
