package testobj

import (
	"context"
	"time"
)

// Shaper echoes structs of every form that generated code writes.
//
//rmi:remote
type Shaper interface {
	Shapes(ctx context.Context, v *Shapes) (*Shapes, error)
	Points(ctx context.Context, list []Point, p Point) ([]*Point, error)
	Boxes(ctx context.Context, b Box[Wide]) (*Box[Point], error)
}

// Shapes leads to the others in every way.
type Shapes struct {
	corner
	Wide  Wide
	Wides []*Wide
	Point Point
	Pts   []Point
	At    *Point
	Box   Box[int32]
	Boxes []*Box[Point]
	Omit  Omit
	Omits []Omit
	Next  *Shapes
}

// corner is embedded, and not exported.
type corner struct {
	X, Y int16
	Of   *Shapes
	note string
}

// Point is an array on the wire.
type Point struct {
	_    struct{} `cbor:",toarray"`
	X, Y float32
	Name string
	Tags []string
	Tip  Tip
	Back *Point
	Seen time.Time
	Raw  []byte
	By   map[string]string
	On   bool
	N    uint8
	Any  any
	Ups  []*Point
	note int
}

// Tip is an array within one.
type Tip struct {
	_ struct{} `cbor:",toarray"`
	A int
	B *Tip
}

// Box is generic.
type Box[T any] struct {
	V    T
	List []T
	By   map[string]T `cbor:",omitempty"`
	Next *Box[T]
	Num  int `cbor:"1,keyasint"`
}

// Omit leaves out what is empty.
type Omit struct {
	List  []Tip             `cbor:"l,omitempty"`
	Raw   []byte            `cbor:"r,omitempty"`
	Words map[string]string `cbor:"w,omitempty"`
	Kids  map[int]*Omit     `cbor:"k,omitempty"`
	N     int               `cbor:"n,omitempty"`
	Self  []*Omit           `cbor:",omitempty"`
}

// Wide has more fields than a head of one byte counts.
type Wide struct {
	A1, A2, A3, A4, A5, A6, A7, A8, A9, A10 int
	B1, B2, B3, B4, B5, B6, B7, B8, B9, B10 string
	C1, C2, C3, C4, C5, C6, C7, C8, C9, C10 *Wide
	D1, D2, D3, D4, D5, D6, D7, D8, D9, D10 []byte
}
