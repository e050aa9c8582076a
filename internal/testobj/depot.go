package testobj

import "context"

// Token is an object that its number tells from all others.
//
//rmi:remote
type Token interface {
	Number(ctx context.Context) (uint64, error)
}

// Ticket is a token inside a value, with what whoever gets it is to expect: which one it is, and Since, of which the sender and the
// receiver know what it means.
type Ticket struct {
	Number uint64
	Since  int64
	Token  Token
}

// Depot keeps tokens and moves them about, in every way in which a reference can travel.
//
//rmi:remote
type Depot interface {
	// Take keeps an argument.
	Take(ctx context.Context, number uint64, since int64, t Token) error
	// Swap keeps what is inside a value, and returns another one with the tokens of the given numbers.
	Swap(ctx context.Context, in []Ticket, out []uint64) ([]Ticket, error)
	// Give returns a token as a result.
	Give(ctx context.Context, number uint64) (since int64, t Token, err error)
	// Borrow calls a token back, and forgets it.
	Borrow(ctx context.Context, t Token) (uint64, error)
	// HandOn passes a token to a third depot.
	HandOn(ctx context.Context, number uint64, to Depot) error
	// Fetch returns a token that a third depot gives.
	Fetch(ctx context.Context, number uint64, from Depot) (since int64, t Token, err error)
}
