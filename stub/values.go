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
// of Pointers. A Struct is written between BeginStruct and EndStruct. Strings are the encoded names of fields, in
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

// BeginStruct begins a struct among arguments or results, and returns the encoder by which it is written next.
func BeginStruct[T any](e *Encoder) *Encoder { return wire.BeginStruct[T](e) }

// EndStruct ends a struct among arguments or results that BeginStruct began: v is what was written.
func EndStruct[T any](e *Encoder, v T) { wire.EndStruct(e, v) }

// PutPointer writes a pointer to a struct, which put writes unless it is nil or has been written before.
func PutPointer[T any](e *Encoder, v *T, put func(*Encoder, *T)) { wire.PutPointer(e, v, put) }

// PutSlice writes a slice of structs, each of which put writes.
func PutSlice[T any](e *Encoder, v []T, put func(*Encoder, *T)) { wire.PutSlice(e, v, put) }

// PutPointers writes a slice of pointers to structs, as PutPointer would each.
func PutPointers[T any](e *Encoder, v []*T, put func(*Encoder, *T)) { wire.PutPointers(e, v, put) }

// GetStruct reads into *p what was written between BeginStruct and EndStruct.
func GetStruct[T any](d *Decoder, p *T, get func(*Decoder, *T)) { wire.GetStruct(d, p, get) }

// GetPointer reads what PutPointer wrote.
func GetPointer[T any](d *Decoder, p **T, get func(*Decoder, *T)) { wire.GetPointer(d, p, get) }

// GetSlice reads what PutSlice wrote.
func GetSlice[T any](d *Decoder, p *[]T, get func(*Decoder, *T)) { wire.GetSlice(d, p, get) }

// GetPointers reads what PutPointers wrote.
func GetPointers[T any](d *Decoder, p *[]*T, get func(*Decoder, *T)) { wire.GetPointers(d, p, get) }

// FieldStruct writes a field that is a struct.
func FieldStruct[T any](f *FieldWriter, key string, v *T, put func(*Encoder, *T)) {
	wire.FieldStruct(f, key, v, put)
}

// FieldPointer writes a field that is a pointer to a struct.
func FieldPointer[T any](f *FieldWriter, key string, v *T, put func(*Encoder, *T)) {
	wire.FieldPointer(f, key, v, put)
}

// FieldSlice writes a field that is a slice of structs.
func FieldSlice[T any](f *FieldWriter, key string, v []T, put func(*Encoder, *T)) {
	wire.FieldSlice(f, key, v, put)
}

// FieldPointers writes a field that is a slice of pointers to structs.
func FieldPointers[T any](f *FieldWriter, key string, v []*T, put func(*Encoder, *T)) {
	wire.FieldPointers(f, key, v, put)
}

// ReadStruct reads a field that FieldStruct wrote.
func ReadStruct[T any](f *FieldReader, key string, p *T, get func(*Decoder, *T)) {
	wire.ReadStruct(f, key, p, get)
}

// ReadPointer reads a field that FieldPointer wrote.
func ReadPointer[T any](f *FieldReader, key string, p **T, get func(*Decoder, *T)) {
	wire.ReadPointer(f, key, p, get)
}

// ReadSlice reads a field that FieldSlice wrote.
func ReadSlice[T any](f *FieldReader, key string, p *[]T, get func(*Decoder, *T)) {
	wire.ReadSlice(f, key, p, get)
}

// ReadPointers reads a field that FieldPointers wrote.
func ReadPointers[T any](f *FieldReader, key string, p *[]*T, get func(*Decoder, *T)) {
	wire.ReadPointers(f, key, p, get)
}
