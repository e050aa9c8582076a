package main

import (
	"context"
	"io"

	"github.com/rmigo/rmigo/bench/payload"
	"github.com/rmigo/rmigo/bench/remote"
	"github.com/rmigo/rmigo/rmi"
)

// rmigo is rmigo with its defaults.
type rmigo struct{}

func (rmigo) serve() (addr string, stop func(), err error) {
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		return "", nil, err
	}
	if _, err := node.Listen("tcp://127.0.0.1:0"); err != nil {
		return "", nil, err
	}
	ref, err := rmi.Export(node, remote.RemoteFlow.Of(new(remote.Source)))
	if err != nil {
		return "", nil, err
	}
	text, err := ref.MarshalText()
	return string(text), func() { node.Close() }, err
}

func (rmigo) dial(ctx context.Context, addr string) (session, error) {
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		return nil, err
	}
	flow, err := rmi.Resolve(ctx, node, remote.RemoteFlow, addr)
	return &rmigoSession{node, flow}, err
}

type rmigoSession struct {
	node *rmi.Node
	flow remote.Flow
}

func (s *rmigoSession) close() { s.node.Close() }

func (s *rmigoSession) items(ctx context.Context, more func() bool) error {
	want := payload.NewSmall()
	for item, err := range s.flow.Items(ctx) {
		switch {
		case err != nil:
			return err
		case item.ID != want.ID || len(item.Tags) != len(want.Tags):
			return errAnswer
		}
		if want.ID++; !more() {
			break
		}
	}
	return nil
}

func (s *rmigoSession) upload(ctx context.Context, r io.Reader) (int64, error) {
	return s.flow.Upload(ctx, r)
}

func (s *rmigoSession) small(ctx context.Context) error {
	sent := payload.NewSmall()
	echo, err := s.flow.Small(ctx, sent)
	if err == nil && echo.ID != sent.ID {
		err = errAnswer
	}
	return err
}
