package wire

import (
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"time"
	"unicode"
	"unicode/utf8"
)

// Values of interface types. What they hold travels, as far as possible, as it would by itself: nil, a boolean, an int, a
// float64, a string, a non-nil []byte, []any or map[string]any, a time. Remote objects travel as references, errors as
// errors. All else is tag 27 of the type's name and the value, where the name is one of the table's; a name that came before
// is its number.

// naming is a name that a message gave a type.
type naming struct {
	at    int // its place in the data
	value *plan
}

// namingRoom is the memory of a naming, with the room that a growing list has spare.
const namingRoom = 64

// natural reports whether a value of an interface type goes without the name of its type.
func natural(v reflect.Value) bool {
	switch v.Type() {
	case reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[float64](), reflect.TypeFor[time.Time]():
		return true
	case reflect.TypeFor[string]():
		return utf8.ValidString(v.String())
	case reflect.TypeFor[[]byte](), reflect.TypeFor[[]any](), reflect.TypeFor[map[string]any]():
		return !v.IsNil()
	}
	return false
}

// encodeInterface writes what an interface holds: an error, a reference, or a value of one of the table's types.
func encodeInterface(e *Encoder, v reflect.Value) {
	t := v.Type()
	switch remote, ok := e.table.remote(t); {
	case v.IsNil():
		e.null()
	case t == errorType:
		e.error(v.Interface().(error))
	case ok:
		e.remote(remote, v.Interface())
	default:
		e.dynamic(v.Elem())
	}
}

// dynamic writes the value that an interface holds; the zero reflect.Value for none.
func (e *Encoder) dynamic(v reflect.Value) {
	switch {
	case !v.IsValid():
		e.null()
	case natural(v):
		e.codec.plan(v.Type()).enc(e, v)
	default:
		e.named(v)
	}
}

func (e *Encoder) named(v reflect.Value) {
	t := v.Type()
	use := e.table.use(t)
	if (use.name == "" || use.remote) && e.object(v) {
		return
	}
	if use.name == "" {
		if err, ok := v.Interface().(error); ok {
			e.error(err)
			return
		}
		e.fail(e.notListed(t))
		return
	}
	if !e.enter() {
		return
	}
	e.head(majorTag, tagNamed)
	e.head(majorArray, 2)
	e.typeName(t, use.name)
	e.codec.plan(t).enc(e, v)
	e.leave()
}

// object writes the reference of a remote object, if the value is one.
func (e *Encoder) object(v reflect.Value) bool {
	if e.objects == nil || e.table == nil || e.table.anyRemote == nil || !v.CanInterface() {
		return false
	}
	r, ok := e.objects.Known(e.table.anyRemote, v.Interface())
	if ok {
		e.record(r)
	}
	return ok
}

// typeName writes the name of a type, or the number that it has got.
func (e *Encoder) typeName(t reflect.Type, name string) {
	g := e.graph()
	if n, named := g.names[t]; named {
		e.head(majorUint, n)
		return
	}
	if g.names == nil {
		g.names = map[reflect.Type]uint64{}
	}
	g.names[t] = uint64(len(g.names))
	e.string(name)
}

// notListed says why an interface cannot hold a value, with a remedy that its type allows: rmigen does not list a type that it cannot
// name, or of which nothing would travel.
func (e *Encoder) notListed(t reflect.Type) error {
	elem := t
	for elem.Name() == "" && (elem.Kind() == reflect.Pointer || elem.Kind() == reflect.Slice || elem.Kind() == reflect.Array || elem.Kind() == reflect.Map) {
		elem = elem.Elem()
	}
	switch elem.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return cannotTravel(t)
	}
	remedy := fmt.Sprintf("list it above the remote interface, //rmi:types %v, or export it if it is an object", t)
	switch {
	case elem.Kind() == reflect.Struct && !travelsInPart(elem) && e.codec.plan(elem).refused:
		remedy = fmt.Sprintf("%v has no exported field: export the value if it is an object, else give the type exported fields, "+
			"or MarshalBinary and UnmarshalBinary, and list it above the remote interface: //rmi:types", elem)
	case elem.PkgPath() != "" && !exportedName(elem.Name()):
		remedy = fmt.Sprintf("the name of %v is not exported, so that only interfaces of its own package can list it: give it an exported name, and list that "+
			"above the remote interface, //rmi:types, or export the value if it is an object", elem)
	}
	return fmt.Errorf("a %v cannot travel in an interface: %s", t, remedy)
}

// exportedName reports whether a name of a declared type can be used in other packages.
func exportedName(name string) bool {
	first, _ := utf8.DecodeRuneInString(name)
	return unicode.IsUpper(first)
}

func decodeInterface(d *Decoder, v reflect.Value) {
	t := v.Type()
	if d.null() {
		return
	}
	if t == errorType {
		if err := d.error(); err != nil {
			v.Set(reflect.ValueOf(err))
		}
		return
	}
	var got reflect.Value
	if remote, ok := d.table.remote(t); !ok {
		got = d.dynamic()
	} else if object := d.remote(remote); object != nil {
		got = reflect.ValueOf(object)
	}
	switch {
	case d.Err != nil || !got.IsValid():
	case !got.Type().AssignableTo(t):
		d.failf("a %v, which is no %v", got.Type(), t)
	default:
		v.Set(got)
	}
}

// dynamic reads the value that an interface holds, which is not nil.
func (d *Decoder) dynamic() reflect.Value {
	switch d.peek() >> 5 {
	case majorUint, majorNegative:
		return decodeBoxed(d, d.codec.plan(reflect.TypeFor[int]()))
	case majorBytes:
		return decodeBoxed(d, d.codec.plan(reflect.TypeFor[[]byte]()))
	case majorText:
		return decodeBoxed(d, d.codec.plan(reflect.TypeFor[string]()))
	case majorArray:
		return decodeBoxed(d, d.codec.plan(reflect.TypeFor[[]any]()))
	case majorMap:
		return decodeBoxed(d, d.codec.plan(reflect.TypeFor[map[string]any]()))
	case majorTag:
		return d.dynamicTag()
	}
	if c := d.peek(); c == codeFalse || c == codeTrue {
		return decodeBoxed(d, d.codec.plan(reflect.TypeFor[bool]()))
	}
	return decodeBoxed(d, d.codec.plan(reflect.TypeFor[float64]()))
}

// decodeBoxed decodes a value that an interface will hold.
func decodeBoxed(d *Decoder, p *plan) reflect.Value {
	if !d.charge(int64(p.typ.Size())) || !d.admit(p.typ, -1) {
		return reflect.Value{}
	}
	v := reflect.New(p.typ).Elem()
	p.decode(d, v)
	return v
}

func (d *Decoder) dynamicTag() reflect.Value {
	at := d.pos
	_, tag := d.head()
	switch tag {
	case tagNamed:
		return d.namedValue(at)
	case tagTime:
		d.pos = at
		return decodeBoxed(d, d.codec.plan(reflect.TypeFor[time.Time]()))
	case tagShareable, tagShared, tagForward:
		t := d.naturalType(tag)
		d.pos = at
		if t == nil {
			d.unexpected("a value of an interface type")
			return reflect.Value{}
		}
		return decodeBoxed(d, d.codec.plan(t))
	case tagRemote:
		d.pos = at
		return d.dynamicObject()
	}
	d.pos = at
	d.unexpected("a value of an interface type")
	return reflect.Value{}
}

// naturalType returns the type of what goes without a name at a mark or reference that is being read; nil where there is none.
func (d *Decoder) naturalType(tag uint64) reflect.Type {
	if tag == tagForward {
		if d.peek()>>5 == majorArray {
			return reflect.TypeFor[[]any]()
		}
		return reflect.TypeFor[map[string]any]()
	}
	if tag == tagShared {
		i := d.marked()
		if d.Err != nil {
			return nil
		}
		d.pos = d.g.marks[i].at
		d.head()
	}
	switch d.peek() >> 5 {
	case majorBytes:
		return reflect.TypeFor[[]byte]()
	case majorArray:
		return reflect.TypeFor[[]any]()
	case majorMap:
		return reflect.TypeFor[map[string]any]()
	}
	return nil
}

// namedValue reads what tag 27 at the given place is before: an error, or the name of a type and a value.
func (d *Decoder) namedValue(at int) reflect.Value {
	if d.isError() {
		d.pos = at
		err := d.error()
		return reflect.ValueOf(err)
	}
	d.length(majorArray, "a type's name and a value")
	p := d.typeName()
	if p == nil || !d.enter() {
		return reflect.Value{}
	}
	v := decodeBoxed(d, p)
	d.leave()
	return v
}

// isError reports whether what follows tag 27 is an error item rather than a value with its type.
func (d *Decoder) isError() bool {
	at := d.pos
	defer func() { d.pos = at }()
	if d.peek()>>5 != majorArray {
		return false
	}
	if _, n := d.head(); n != 2 || d.peek()>>5 != majorText {
		return n > 2
	}
	name := d.take(d.length(majorText, "a name"))
	return len(name) > 0 && name[0] == '!'
}

// typeName reads the name of a type or its number, and returns the type's plan.
func (d *Decoder) typeName() *plan {
	if d.peek()>>5 == majorText {
		at := d.pos
		name := d.text("the name of a type")
		d.named(at)
		return d.planNamed(name)
	}
	n := d.uint(1<<31 - 1)
	g := d.graph()
	if n >= uint64(len(g.names)) && g.outOfTurn > 0 && !d.survey() || d.Err != nil {
		return nil
	}
	if n >= uint64(len(g.names)) {
		d.failf("a reference to type name %d of %d", n, len(g.names))
		return nil
	}
	if g.names[n].value == nil {
		back := d.pos
		d.pos = g.names[n].at
		g.names[n].value = d.planNamed(d.text("the name of a type"))
		d.pos = back
	}
	return g.names[n].value
}

// named gives the name of a type at a place its number, unless it has one.
func (d *Decoder) named(at int) {
	g := d.graph()
	if d.Err != nil || g.outOfTurn > 0 || g.surveyed || !d.charge(namingRoom) {
		return
	}
	g.names = append(g.names, naming{at: at})
}

func (d *Decoder) planNamed(name []byte) *plan {
	if d.Err != nil {
		return nil
	}
	if d.table != nil {
		if v, ok := d.table.values[string(name)]; ok {
			return d.codec.plan(v.Type)
		}
	}
	d.failf("the type %.200q, which this method's interface values may not hold: list it by //rmi:types above the remote interface", name)
	return nil
}

// dynamicObject reads a reference, and returns the object as itself if it is at home, else seen through the first of its
// interfaces that the table knows.
func (d *Decoder) dynamicObject() reflect.Value {
	r := d.record()
	if d.Err == nil && d.node == nil {
		d.fail(errNoObjects)
	}
	if d.Err != nil {
		return reflect.Value{}
	}
	if object, ok := d.node.Home(r); ok {
		return reflect.ValueOf(object)
	}
	object, err := d.node.Import(d.table.face(r.Interfaces), r)
	if err != nil {
		d.fail(err)
	}
	return reflect.ValueOf(object)
}

// use is how values of a type travel in interfaces.
type use struct {
	name   string // "" if not as values
	remote bool   // they may be remote objects
}

// use returns how values of a type travel in interfaces, which it remembers.
func (t *Table) use(typ reflect.Type) use {
	if t == nil {
		return use{}
	}
	if known, ok := t.uses.Load(typ); ok {
		return known.(use)
	}
	u := use{name: t.valueNames[typ], remote: mayBeObject(typ)}
	for remote := range t.remotes {
		u.remote = u.remote || typ.Implements(remote)
	}
	t.uses.Store(typ, u)
	return u
}

// face returns the first of the named remote interfaces that the table has, else one that any object has, else any.
func (t *Table) face(names []string) Type {
	for _, name := range append(names, anyObject) {
		if r, ok := t.names[name]; ok && t.remotes[r.GoType()] == r {
			return r
		}
	}
	return t.anyRemote
}

// anyObject is the name of the remote interface that every object has.
const anyObject = "*"

// StandardValues are in every table: the basic types, slices and pointers of them, and some of the standard library that is
// commonly passed where anything may be.
func StandardValues() []Type {
	list := []Type{
		valueType[[]any]("[]any"), valueType[map[string]any]("map[string]any"), valueType[map[any]any]("map[any]any"),
		valueType[map[string]string]("map[string]string"), valueType[map[string]int]("map[string]int"),
		valueType[map[string][]string]("map[string][]string"), valueType[[]map[string]any]("[]map[string]any"), valueType[[][]byte]("[][]uint8"),
		valueType[time.Time]("time.Time"), valueType[*time.Time]("*time.Time"), valueType[[]time.Time]("[]time.Time"),
		valueType[time.Duration]("time.Duration"),
		valueType[*big.Int]("*math/big.Int"), valueType[*big.Float]("*math/big.Float"), valueType[*big.Rat]("*math/big.Rat"),
		valueType[big.Int]("math/big.Int"), valueType[big.Rat]("math/big.Rat"),
		valueType[*url.URL]("*net/url.URL"), valueType[url.URL]("net/url.URL"), valueType[url.Values]("net/url.Values"),
		valueType[netip.Addr]("net/netip.Addr"), valueType[netip.AddrPort]("net/netip.AddrPort"), valueType[netip.Prefix]("net/netip.Prefix"),
		valueType[net.IP]("net.IP"), valueType[net.IPNet]("net.IPNet"), valueType[*net.IPNet]("*net.IPNet"),
		valueType[struct{}]("struct{}"),
	}
	list = append(list, basicValues[bool]("bool")...)
	list = append(list, basicValues[int]("int")...)
	list = append(list, basicValues[int8]("int8")...)
	list = append(list, basicValues[int16]("int16")...)
	list = append(list, basicValues[int32]("int32")...)
	list = append(list, basicValues[int64]("int64")...)
	list = append(list, basicValues[uint]("uint")...)
	list = append(list, basicValues[uint8]("uint8")...)
	list = append(list, basicValues[uint16]("uint16")...)
	list = append(list, basicValues[uint32]("uint32")...)
	list = append(list, basicValues[uint64]("uint64")...)
	list = append(list, basicValues[uintptr]("uintptr")...)
	list = append(list, basicValues[float32]("float32")...)
	list = append(list, basicValues[float64]("float64")...)
	list = append(list, basicValues[complex64]("complex64")...)
	list = append(list, basicValues[complex128]("complex128")...)
	return append(list, basicValues[string]("string")...)
}

func valueType[T any](name string) Type { return ValueType{name, reflect.TypeFor[T]()} }

func basicValues[T any](name string) []Type {
	return []Type{valueType[T](name), valueType[*T]("*" + name), valueType[[]T]("[]" + name)}
}
