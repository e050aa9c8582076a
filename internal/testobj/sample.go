package testobj

import (
	"context"
	"math/big"
	"net/netip"
	"time"
)

// Sampler echoes one value of each described type.
//
//rmi:remote
//rmi:types Disc
type Sampler interface {
	Sample(ctx context.Context, v Sample) (Sample, error)
	Scale(ctx context.Context, by int8, lines ...Line) (int, error)
	Answer(ctx context.Context, l Listener, cause error) (Listener, error, error)
}

// Sample has a field of each type that can be described.
type Sample struct {
	Bool    bool
	Int     int
	Int8    int8
	Int16   int16
	Int32   int32
	Int64   int64
	Uint    uint
	Uint8   uint8
	Uint16  uint16
	Uint32  uint32
	Uint64  uint64
	Uintptr uintptr
	F32     float32
	F64     float64
	C64     complex64
	C128    complex128
	Text    string
	Bytes   []byte
	Cents   Cents
	For     time.Duration
	At      time.Time
	Big     *big.Int
	Ratio   *big.Rat
	Real    *big.Float
	Addr    netip.Addr
	List    []string
	Three   [3]int
	ByName  map[string]int
	ByID    map[int16]string
	ByOn    map[bool]int
	Opt     *int
	Line    Line
	Pair    Pair
	Inline  struct{ A, B int }
	Next    *Sample
	Hears   Listener
	Err     error
	Any     any
	Shape   Outline
}

// Cents is a number by another name.
type Cents int64

// Line is a struct within one.
type Line struct {
	Name  string
	Price map[string]Cents
	Parts []Line
}

// Pair travels as an array.
type Pair struct {
	_    struct{} `cbor:",toarray"`
	X, Y int
}

// Outline is an interface that is not remote.
type Outline interface{ Area() float64 }

// Disc is what an Outline may be.
type Disc struct{ R float64 }

// Area is that of the disc.
func (d Disc) Area() float64 { return 3 * d.R * d.R }
