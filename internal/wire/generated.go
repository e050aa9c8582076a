package wire

import (
	"errors"
	"reflect"
)

// Items and fields whose types generated code writes and reads: structs, pointers to them, and slices of either. The bytes are
// those of the types' plans, and so are the failures: where generated code fails, the item is begun again by reflection, which
// finds the path to what is wrong, or can do what generated code leaves to it. So values must not change meanwhile.

// A Put writes the struct that v points to, by a FieldWriter.
type Put[T any] = func(e *Encoder, v *T)

// A Get reads a struct into the zero value that v points to, by a FieldReader.
type Get[T any] = func(d *Decoder, v *T)

// before is the state of an encoder before the item that generated code writes.
type before struct {
	ok                              bool // there is such an item
	buf, met, visits, bodies, level int
}

// openItem begins an item of a type, by which is found whether references in it can be the same, once there is one. It reports
// whether the item is to be written.
func (e *Encoder) openItem(t reflect.Type) bool {
	b := &e.before
	if b.ok = e.begin(); !b.ok {
		return false
	}
	e.item = t
	b.buf, b.met, b.level, b.visits, b.bodies = len(e.buf), e.met, e.level, 0, 0
	if e.g != nil {
		b.visits, b.bodies = len(e.g.visits), len(e.g.bodies)
	}
	return true
}

// again writes an item that failed by its plan, for the path of the failure.
func (e *Encoder) again(v reflect.Value) {
	b := e.before
	failed := e.Err
	e.Err, e.fault, e.buf, e.level = nil, nil, e.buf[:b.buf], b.level
	if e.g != nil {
		if b.visits == 0 && len(e.g.visits) > 0 { // the early ones have moved there since
			b.visits, b.met = b.met, 0
		}
		e.g.visits, e.g.bodies, e.g.indexed = e.g.visits[:b.visits], e.g.bodies[:b.bodies], 0
		clear(e.g.index)
	}
	e.met = b.met
	e.item = nil
	e.codec.plan(v.Type()).enc(e, v)
	if e.within(); e.Err == nil {
		e.Err = failed
	}
	e.end(rootName(v.Type()))
}

// BeginStruct begins an item that is a struct, which generated code writes next, and returns the encoder; EndStruct ends it, given
// the same value. The two do for structs what one function does for the others, since a struct that is passed to a function
// by way of a variable must be moved to the heap. So generated code writes the struct also where the encoder has failed, or never had a
// message: then it is given another one, of which nothing becomes.
func BeginStruct[T any](e *Encoder) *Encoder {
	if e.openItem(reflect.TypeFor[T]()) {
		return e
	}
	idle := &Encoder{Err: e.Err, codec: e.codec}
	if idle.codec == nil {
		idle.codec = NewCodec(Limits{})
	}
	return idle
}

// EndStruct ends what BeginStruct began.
func EndStruct[T any](e *Encoder, v T) {
	if e.before.ok && !e.within() {
		e.again(reflect.ValueOf(v))
	}
}

// PutPointer writes an item that is a pointer to a struct; PutSlice and PutPointers write slices.
func PutPointer[T any](e *Encoder, v *T, put Put[T]) {
	if !e.openItem(reflect.TypeFor[*T]()) {
		return
	}
	if writePointer(e, v, put); !e.within() {
		e.again(reflect.ValueOf(v))
	}
}

func PutSlice[T any](e *Encoder, v []T, put Put[T]) {
	if !e.openItem(reflect.TypeFor[[]T]()) {
		return
	}
	if writeSlice(e, v, put); !e.within() {
		e.again(reflect.ValueOf(v))
	}
}

func PutPointers[T any](e *Encoder, v []*T, put Put[T]) {
	if !e.openItem(reflect.TypeFor[[]*T]()) {
		return
	}
	if writePointers(e, v, put); !e.within() {
		e.again(reflect.ValueOf(v))
	}
}

// FieldStruct writes a field that is a struct, of which a positional one may be a field only of another; FieldPointer, FieldSlice and FieldPointers write the others.
func FieldStruct[T any](f *FieldWriter, key string, v *T, put Put[T]) {
	start := len(f.e.buf)
	put(f.key(key), v)
	if e := f.e; key != "" && e.Err == nil && len(e.buf) == start+len(key)+1 { // an empty map: it is zero
		e.buf = e.buf[:start]
		f.n--
	}
}

func FieldPointer[T any](f *FieldWriter, key string, v *T, put Put[T]) {
	if v != nil || key == "" {
		writePointer(f.key(key), v, put)
	}
}

func FieldSlice[T any](f *FieldWriter, key string, v []T, put Put[T]) {
	if v != nil || key == "" {
		writeSlice(f.key(key), v, put)
	}
}

func FieldPointers[T any](f *FieldWriter, key string, v []*T, put Put[T]) {
	if v != nil || key == "" {
		writePointers(f.key(key), v, put)
	}
}

func writePointer[T any](e *Encoder, v *T, put Put[T]) {
	switch {
	case v == nil:
		e.null()
		return
	case !e.within():
		return
	}
	switch e.visit(reflect.ValueOf(v).Pointer(), 0, reflect.TypeFor[*T]()) {
	case inline:
		put(e, v)
	case postponed:
		e.laterByPlan(reflect.ValueOf(v).Elem())
	}
}

// laterByPlan has reflection write the body of a reference that was postponed: it knows paths.
func (e *Encoder) laterByPlan(v reflect.Value) {
	p := e.codec.plan(v.Type())
	e.later(rootName(v.Type()), func(e *Encoder) { p.enc(e, v) })
}

func writeSlice[T any](e *Encoder, v []T, put Put[T]) {
	if v == nil {
		e.null()
		return
	}
	if len(v) > 0 {
		switch e.visit(reflect.ValueOf(&v[0]).Pointer(), len(v), reflect.TypeFor[[]T]()) {
		case elsewhere:
			return
		case postponed:
			all := reflect.ValueOf(v)
			list := e.codec.plan(all.Type())
			e.later("", func(e *Encoder) { list.body(e, all) })
			return
		}
	}
	writeElements(e, v, put)
}

func writeElements[T any](e *Encoder, v []T, put Put[T]) {
	if !e.fits(len(v)) || !e.enter() {
		return
	}
	e.head(majorArray, uint64(len(v)))
	for i := range v {
		if put(e, &v[i]); !e.within() {
			return
		}
	}
	e.leave()
}

func writePointers[T any](e *Encoder, v []*T, put Put[T]) {
	elem := func(e *Encoder, p **T) { writePointer(e, *p, put) }
	writeSlice(e, v, elem)
}

// errByReflection is the failure of generated code at what it leaves to reflection.
var errByReflection = errors.New("to be read by reflection")

// start is the state of a decoder before the item that generated code reads.
type start struct {
	pos, level, objects  int
	alloc                int64
	g                    bool
	marks, bodies, names int
}

// openItem begins an item that generated code reads into what p points to, and reports whether it is to be read; if filters are to
// be asked, reflection reads it.
func (d *Decoder) openItem(p any) bool {
	if !d.begin() {
		return false
	}
	if d.bodies > 0 {
		d.targets = append(d.targets, reflect.ValueOf(p).Elem())
	}
	s := &d.start
	s.pos, s.level, s.objects, s.alloc = d.pos, d.level, d.objects, d.alloc
	if s.g = d.g != nil; s.g {
		s.marks, s.bodies, s.names = len(d.g.marks), len(d.g.bodies), len(d.g.names)
	}
	if d.filters[0] != nil {
		d.Err = errByReflection
	}
	d.generated = true
	return true
}

// closeItem ends an item: where generated code failed, the plan of its type reads it again, into p, which is zero again.
func (d *Decoder) closeItem(p reflect.Value) {
	s := &d.start
	d.Err, d.fault = nil, nil
	d.pos, d.level, d.objects, d.alloc = s.pos, s.level, s.objects, s.alloc
	if s.g {
		d.g.marks, d.g.bodies, d.g.names = d.g.marks[:s.marks], d.g.bodies[:s.bodies], d.g.names[:s.names]
	} else {
		d.g = nil
	}
	v := p.Elem()
	v.SetZero()
	if d.codec.plan(v.Type()).dec(d, v); d.Err != nil {
		d.end(rootName(v.Type()))
		v.SetZero()
	}
}

// GetStruct reads an item that is a struct into the zero value that p points to; GetPointer, GetSlice and GetPointers read the
// others.
func GetStruct[T any](d *Decoder, p *T, get Get[T]) {
	if !d.openItem(p) {
		return
	}
	get(d, p)
	if !d.closeGood() {
		d.closeItem(reflect.ValueOf(p))
	}
}

func GetPointer[T any](d *Decoder, p **T, get Get[T]) {
	if !d.openItem(p) {
		return
	}
	readPointer(d, p, get)
	if !d.closeGood() {
		d.closeItem(reflect.ValueOf(p))
	}
}

func GetSlice[T any](d *Decoder, p *[]T, get Get[T]) {
	if !d.openItem(p) {
		return
	}
	readSlice(d, p, get)
	if !d.closeGood() {
		d.closeItem(reflect.ValueOf(p))
	}
}

func GetPointers[T any](d *Decoder, p *[]*T, get Get[T]) {
	if !d.openItem(p) {
		return
	}
	readPointers(d, p, get)
	if !d.closeGood() {
		d.closeItem(reflect.ValueOf(p))
	}
}

// closeGood ends what generated code has to do with an item, and reports whether it has read it without failure.
func (d *Decoder) closeGood() bool {
	d.generated = false
	return d.Err == nil
}

// ReadStruct reads a field that is a struct; ReadPointer, ReadSlice and ReadPointers read the others.
func ReadStruct[T any](f *FieldReader, key string, p *T, get Get[T]) {
	if f.at(key) {
		get(f.d, p)
	}
}

func ReadPointer[T any](f *FieldReader, key string, p **T, get Get[T]) {
	if f.at(key) {
		readPointer(f.d, p, get)
	}
}

func ReadSlice[T any](f *FieldReader, key string, p *[]T, get Get[T]) {
	if f.at(key) {
		readSlice(f.d, p, get)
	}
}

func ReadPointers[T any](f *FieldReader, key string, p *[]*T, get Get[T]) {
	if f.at(key) {
		readPointers(f.d, p, get)
	}
}

func readPointer[T any](d *Decoder, p **T, get Get[T]) {
	var at place
	at.forward, at.mark = -1, -1
	switch {
	case d.null():
		return
	case d.tagged():
		known, where := d.reference(reflect.TypeFor[*T]())
		if known != nil {
			*p = known.(*T)
			return
		}
		at = where
	}
	if !d.charge(int64(reflect.TypeFor[T]().Size())) {
		return
	}
	v := new(T)
	*p = v
	if at.forward >= 0 {
		d.awaitByPlan(at, v, reflect.ValueOf(v).Elem())
		return
	}
	if at.mark >= 0 {
		d.place(at, v)
	}
	get(d, v)
}

// awaitByPlan has reflection read a body into v, of which it can do all that there may be to do.
func (d *Decoder) awaitByPlan(at place, made any, v reflect.Value) {
	d.await(at, made, func(d *Decoder) { d.codec.plan(v.Type()).dec(d, v) })
}

func readSlice[T any](d *Decoder, p *[]T, get Get[T]) {
	switch {
	case d.null():
		return
	case d.tagged():
		readSharedSlice(d, p, get)
		return
	}
	if n := d.length(majorArray, "an array"); d.chargeEach(n, int64(reflect.TypeFor[T]().Size())) {
		*p = make([]T, n)
		readElements(d, *p, get)
	}
}

func readElements[T any](d *Decoder, v []T, get Get[T]) {
	if !d.enter() {
		return
	}
	for i := range v {
		if get(d, &v[i]); d.Err != nil {
			return
		}
	}
	d.leave()
}

func readSharedSlice[T any](d *Decoder, p *[]T, get Get[T]) {
	known, at := d.reference(reflect.TypeFor[[]T]())
	if known != nil {
		*p = known.([]T)
		return
	}
	n := at.length
	if at.forward < 0 {
		n = d.length(majorArray, "an array")
	}
	if !d.chargeEach(n, int64(reflect.TypeFor[T]().Size())) {
		return
	}
	v := make([]T, n)
	*p = v
	if at.forward < 0 {
		d.place(at, v)
		readElements(d, v, get)
		return
	}
	d.awaitElements(at, v, reflect.ValueOf(v))
}

// awaitElements is awaitByPlan for the elements of a slice.
func (d *Decoder) awaitElements(at place, made any, v reflect.Value) {
	d.await(at, made, func(d *Decoder) {
		n := d.length(majorArray, "an array")
		if d.Err == nil && n != v.Len() {
			d.failf("a body of %d elements, a slice of %d was announced", n, v.Len())
		}
		if d.enter() {
			d.codec.plan(v.Type().Elem()).decodeEach(d, v, n)
			d.leave()
		}
	})
}

func readPointers[T any](d *Decoder, p *[]*T, get Get[T]) {
	readSlice(d, p, func(d *Decoder, p **T) { readPointer(d, p, get) })
}
