package rmi

import (
	"context"

	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/stub"
)

// What becomes of one-way calls.
type (
	OneWays     = refs.OneWays     // how many there were, see Node.OneWays
	OneWayError = refs.OneWayError // what Flush returns where some failed
)

// Flush returns when the one-way calls that this process has made on the object behind the stub v have ended, whichever stub of it they
// were made through, and says what became of them since Flush was last called for it: nil where all of them ran without an error, a
// *OneWayError that counts those that failed, or that may have been lost with a connection, and tells the first of them. Where ctx or the
// connection ends first, that is among the errors too. Called by what is called back by a one-way call on the object, it does not wait for
// that. Of a local object, whose calls are ordinary ones, there is nothing to wait for.
func Flush(ctx context.Context, v any) error {
	s, ok := stub.Of(v)
	if !ok {
		return nil
	}
	return s.Handle().Flush(ctx)
}

// OneWays counts the one-way calls that the node has made.
func (n *Node) OneWays() OneWays { return n.refs.OneWays() }
