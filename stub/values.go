package stub

import (
	"github.com/rmigo/rmigo/internal/wire"
	"github.com/rmigo/rmigo/refs"
)

// What generated code writes and reads structs by, faster than reflection would and with the same bytes:
//
//	func putOrder(e *stub.Encoder, v *Order) {
//		f := e.Struct()
//		f.Int("\x62ID", v.ID)
//		stub.FieldSlice(&f, "\x65Lines", v.Lines, putLine)
//		f.End()
//	}
//
// Put and Get write and read an argument or result, Field and Read a field: a Struct, a Pointer to one, a Slice of them, or a slice
// of Pointers. A Struct is written between the Encoder's BeginStruct and EndStruct. Strings are the encoded names of fields, in
// their order; a struct that travels as an array begins with Positional instead, and its fields have "".
type (
	Encoder     = refs.Encoder     // writes the arguments or results of a call
	Decoder     = refs.Decoder     // reads them
	FieldWriter = wire.FieldWriter // writes the fields of a struct
	FieldReader = wire.FieldReader // reads them
)

// PutValue writes an argument or result by its static type, which the Decoder's Value reads: a type parameter may stand for an
// interface, and a remote one is found in the table of the call's interface.
func PutValue[T any](e *Encoder, v T) { wire.PutValue(e, v) }

func EndStruct[T any](e *Encoder, v T)                              { wire.EndStruct(e, v) }
func PutPointer[T any](e *Encoder, v *T, put func(*Encoder, *T))    { wire.PutPointer(e, v, put) }
func PutSlice[T any](e *Encoder, v []T, put func(*Encoder, *T))     { wire.PutSlice(e, v, put) }
func PutPointers[T any](e *Encoder, v []*T, put func(*Encoder, *T)) { wire.PutPointers(e, v, put) }

func GetStruct[T any](d *Decoder, p *T, get func(*Decoder, *T))      { wire.GetStruct(d, p, get) }
func GetPointer[T any](d *Decoder, p **T, get func(*Decoder, *T))    { wire.GetPointer(d, p, get) }
func GetSlice[T any](d *Decoder, p *[]T, get func(*Decoder, *T))     { wire.GetSlice(d, p, get) }
func GetPointers[T any](d *Decoder, p *[]*T, get func(*Decoder, *T)) { wire.GetPointers(d, p, get) }

func FieldStruct[T any](f *FieldWriter, key string, v *T, put func(*Encoder, *T)) {
	wire.FieldStruct(f, key, v, put)
}
func FieldPointer[T any](f *FieldWriter, key string, v *T, put func(*Encoder, *T)) {
	wire.FieldPointer(f, key, v, put)
}
func FieldSlice[T any](f *FieldWriter, key string, v []T, put func(*Encoder, *T)) {
	wire.FieldSlice(f, key, v, put)
}
func FieldPointers[T any](f *FieldWriter, key string, v []*T, put func(*Encoder, *T)) {
	wire.FieldPointers(f, key, v, put)
}

func ReadStruct[T any](f *FieldReader, key string, p *T, get func(*Decoder, *T)) {
	wire.ReadStruct(f, key, p, get)
}
func ReadPointer[T any](f *FieldReader, key string, p **T, get func(*Decoder, *T)) {
	wire.ReadPointer(f, key, p, get)
}
func ReadSlice[T any](f *FieldReader, key string, p *[]T, get func(*Decoder, *T)) {
	wire.ReadSlice(f, key, p, get)
}
func ReadPointers[T any](f *FieldReader, key string, p *[]*T, get func(*Decoder, *T)) {
	wire.ReadPointers(f, key, p, get)
}
