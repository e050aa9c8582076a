package testobj

import "context"

// Cell is an object that knows its number.
//
//rmi:remote
type Cell interface {
	Number(ctx context.Context) (int64, error)
}

// Hub is a process's door for cells.
//
//rmi:remote
type Hub interface {
	Keep(ctx context.Context, c Cell) error           // from now on
	Hold(ctx context.Context, n int64, c Cell) error  // the same, without asking the cell
	Give(ctx context.Context, pick int) (Cell, error) // one that is kept; nil where there is none
	Show(ctx context.Context, c Cell) (int64, error)  // calls it, and keeps nothing
	Send(ctx context.Context, to Hub, pick int) error // one that is kept goes to another process
}
