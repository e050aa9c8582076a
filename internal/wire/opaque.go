package wire

import (
	"encoding"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"net/url"
	"reflect"
	"runtime"
	"time"
)

// isBuiltin reports whether builtin plans a type.
func isBuiltin(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[time.Time](), reflect.TypeFor[url.Userinfo](),
		reflect.TypeFor[big.Int](), reflect.TypeFor[big.Float](), reflect.TypeFor[big.Rat]():
		return true
	}
	return false
}

// builtin plans the standard library's types whose state is not in exported fields.
func builtin(p *plan) bool {
	switch p.typ {
	case reflect.TypeFor[time.Time]():
		p.enc = func(e *Encoder, v reflect.Value) { e.time(*addressed(v).Interface().(*time.Time)) }
		p.dec = func(d *Decoder, v reflect.Value) { *v.Addr().Interface().(*time.Time) = d.time() }
	case reflect.TypeFor[big.Int]():
		p.enc = func(e *Encoder, v reflect.Value) { e.bigInt(addressed(v).Interface().(*big.Int)) }
		p.dec = func(d *Decoder, v reflect.Value) { d.bigInt(v.Addr().Interface().(*big.Int)) }
	case reflect.TypeFor[url.Userinfo]():
		p.enc = func(e *Encoder, v reflect.Value) { e.userinfo(addressed(v).Interface().(*url.Userinfo)) }
		p.dec = func(d *Decoder, v reflect.Value) { d.userinfo(v.Addr().Interface().(*url.Userinfo)) }
	case reflect.TypeFor[big.Float](), reflect.TypeFor[big.Rat]():
		// Their text loses precision; what they give to gob does not.
		payload(p, gob.GobEncoder.GobEncode, gob.GobDecoder.GobDecode)
	default:
		return false
	}
	return true
}

type cborMarshaler interface{ MarshalCBOR() ([]byte, error) }
type cborUnmarshaler interface{ UnmarshalCBOR([]byte) error }

// marshalsItself reports whether marshaled plans a struct.
func marshalsItself(t reflect.Type) bool {
	return marshals[cborMarshaler, cborUnmarshaler](t) || marshals[encoding.BinaryMarshaler, encoding.BinaryUnmarshaler](t) ||
		marshals[gob.GobEncoder, gob.GobDecoder](t) || marshals[encoding.TextMarshaler, encoding.TextUnmarshaler](t) || marshalsJSONAlone(t)
}

// marshalsJSONAlone reports whether a struct marshals itself as JSON, and nothing of it would travel otherwise. Where there are
// fields that travel, JSON is no match for them: as a rule it has no identity, and fewer types.
func marshalsJSONAlone(t reflect.Type) bool {
	return !travelsInPart(t) && marshals[json.Marshaler, json.Unmarshaler](t)
}

// hasUnexported reports whether a struct has state that reflection does not hand out.
func hasUnexported(t reflect.Type) bool {
	for i := range t.NumField() {
		if f := t.Field(i); !f.IsExported() && f.Name != "_" {
			return true
		}
	}
	return false
}

// marshaled plans a struct that marshals itself, and reports whether it does.
func marshaled(p *plan) bool {
	switch {
	case marshals[cborMarshaler, cborUnmarshaler](p.typ):
		payload(p, cborMarshaler.MarshalCBOR, cborUnmarshaler.UnmarshalCBOR)
	case marshals[encoding.BinaryMarshaler, encoding.BinaryUnmarshaler](p.typ):
		payload(p, encoding.BinaryMarshaler.MarshalBinary, encoding.BinaryUnmarshaler.UnmarshalBinary)
	case marshals[gob.GobEncoder, gob.GobDecoder](p.typ):
		payload(p, gob.GobEncoder.GobEncode, gob.GobDecoder.GobDecode)
	case marshals[encoding.TextMarshaler, encoding.TextUnmarshaler](p.typ):
		payload(p, encoding.TextMarshaler.MarshalText, encoding.TextUnmarshaler.UnmarshalText)
	case marshalsJSONAlone(p.typ):
		payload(p, json.Marshaler.MarshalJSON, json.Unmarshaler.UnmarshalJSON)
	default:
		return false
	}
	return true
}

// Payload returns the bytes as which the struct that p points to travels, if it is one that marshaled plans.
func Payload(p any) (b []byte, ok bool, err error) {
	t := reflect.TypeOf(p).Elem()
	if t.Kind() != reflect.Struct || isBuiltin(t) || !marshalsItself(t) {
		return nil, false, nil
	}
	err = safely(func() (err error) {
		switch {
		case marshals[cborMarshaler, cborUnmarshaler](t):
			b, err = p.(cborMarshaler).MarshalCBOR()
		case marshals[encoding.BinaryMarshaler, encoding.BinaryUnmarshaler](t):
			b, err = p.(encoding.BinaryMarshaler).MarshalBinary()
		case marshals[gob.GobEncoder, gob.GobDecoder](t):
			b, err = p.(gob.GobEncoder).GobEncode()
		case marshals[encoding.TextMarshaler, encoding.TextUnmarshaler](t):
			b, err = p.(encoding.TextMarshaler).MarshalText()
		default:
			b, err = p.(json.Marshaler).MarshalJSON()
		}
		return err
	})
	return b, true, err
}

// marshals reports whether a struct has both methods, and they are about all of it: methods that it has by an embedded field
// know nothing of the exported fields beside that one.
func marshals[M, U any](t reflect.Type) bool {
	m, u := reflect.TypeFor[M](), reflect.TypeFor[U]()
	return has(t, m) && has(t, u) && !leavesFields(t, m) && !leavesFields(t, u)
}

func has(t, method reflect.Type) bool { return reflect.PointerTo(t).Implements(method) }

// leavesFields reports whether a struct has the one method of an interface by an embedded field, or by one of that field's
// own, and has other exported fields beside it.
func leavesFields(t, method reflect.Type) bool {
	if t.Kind() != reflect.Struct || !promoted(t, method.Method(0).Name) {
		return false
	}
	others, within := 0, false
	for i := range t.NumField() {
		switch f := t.Field(i); {
		case f.Anonymous && has(pointee(f.Type), method):
			within = within || leavesFields(pointee(f.Type), method)
		case f.Tag.Get("cbor") != "-" && (f.IsExported() || exportedWithin(f, map[reflect.Type]bool{}) != ""):
			others++
		}
	}
	return within || others > 0
}

// promoted reports whether a type has a method by an embedded field: then what the type's method table leads to was made by
// the compiler. Where that cannot be told, the method is taken for the type's own; rmigen, which knows, refuses such types.
func promoted(t reflect.Type, name string) bool {
	m, ok := t.MethodByName(name)
	if !ok {
		m, ok = reflect.PointerTo(t).MethodByName(name)
	}
	if !ok {
		return false
	}
	entry := m.Func.Pointer()
	code := runtime.FuncForPC(entry)
	if code == nil {
		return false
	}
	file, _ := code.FileLine(entry)
	return file == "<autogenerated>"
}

// pointee returns what a pointer type points to, or the type.
func pointee(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// payload plans a type as the byte string that its own code makes of it. That code gets bytes only, never the encoder or
// a half-made value, and may panic.
func payload[M, U any](p *plan, marshal func(M) ([]byte, error), unmarshal func(U, []byte) error) {
	p.enc = func(e *Encoder, v reflect.Value) {
		var b []byte
		err := safely(func() (err error) {
			b, err = marshal(addressed(v).Interface().(M))
			return err
		})
		if err != nil {
			e.fail(fmt.Errorf("marshaling a %v: %w", p.typ, err))
			return
		}
		e.bytes(append([]byte{}, b...))
	}
	p.dec = func(d *Decoder, v reflect.Value) {
		b := d.take(d.length(majorBytes, "a byte string"))
		if !d.charge(int64(len(b))) {
			return
		}
		err := safely(func() error { return unmarshal(v.Addr().Interface().(U), append([]byte{}, b...)) })
		if err != nil {
			d.fail(fmt.Errorf("unmarshaling a %v: %w", p.typ, err))
		}
	}
}

// bigInt writes an integer as such where 64 bits and a sign hold it, else as a bignum.
func (e *Encoder) bigInt(x *big.Int) {
	major, tag, n := byte(majorUint), uint64(tagPositiveBig), x
	if x.Sign() < 0 {
		major, tag, n = majorNegative, tagNegativeBig, new(big.Int).Not(x)
	}
	if n.IsUint64() {
		e.head(major, n.Uint64())
		return
	}
	e.head(majorTag, tag)
	e.bytes(n.Bytes())
}

func (d *Decoder) bigInt(x *big.Int) {
	at := d.pos
	major, n := d.head()
	switch {
	case d.Err != nil:
		return
	case major == majorUint || major == majorNegative:
		if !d.charge(bigIntRoom) {
			return
		}
		x.SetUint64(n)
	case major == majorTag && (n == tagPositiveBig || n == tagNegativeBig):
		b := d.take(d.length(majorBytes, "a byte string"))
		if d.Err == nil && (len(b) <= 8 || b[0] == 0) {
			d.failf("a bignum takes more bytes than it needs")
		}
		if !d.charge(int64(len(b)) + bigIntRoom) {
			return
		}
		x.SetBytes(b)
		major = byte(n - tagPositiveBig)
	default:
		d.pos = at
		d.unexpected("an integer")
		return
	}
	if major == majorNegative {
		x.Not(x)
	}
}

// bigIntRoom is what the memory of a big.Int may be larger than its bytes: spare words, and those of a small one that was
// negated.
const bigIntRoom = 56

// userinfo writes the user's name, and the password if one is set.
func (e *Encoder) userinfo(u *url.Userinfo) {
	password, set := u.Password()
	if !set {
		e.head(majorArray, 1)
		e.string(u.Username())
		return
	}
	e.head(majorArray, 2)
	e.string(u.Username())
	e.string(password)
}

func (d *Decoder) userinfo(u *url.Userinfo) {
	n := d.length(majorArray, "a user's name and password")
	if n < 1 || n > 2 {
		d.failf("a user's name and password are %d items", n)
		return
	}
	if name := d.string(); n == 1 {
		*u = *url.User(name)
	} else {
		*u = *url.UserPassword(name, d.string())
	}
}

// The keys of an extended time (RFC 9581). A reader passes over negative keys that it does not know, and refuses others.
const (
	timeSeconds     = 1
	timeNanoseconds = -9
	timeOffset      = -10 // text: "+01:00", with ":30" after it where the offset has seconds
)

// time writes seconds since 1970, and what is not zero of nanoseconds and offset.
func (e *Encoder) time(v time.Time) {
	_, offset := v.Zone()
	if offset <= -farthestOffset || offset >= farthestOffset {
		offset = 0
	}
	pairs := uint64(1)
	if v.Nanosecond() != 0 {
		pairs++
	}
	if offset != 0 {
		pairs++
	}
	e.head(majorTag, tagTime)
	e.head(majorMap, pairs)
	e.int(timeSeconds)
	e.int(v.Unix())
	if v.Nanosecond() != 0 {
		e.int(timeNanoseconds)
		e.int(int64(v.Nanosecond()))
	}
	if offset != 0 {
		e.int(timeOffset)
		e.string(offsetText(offset))
	}
}

// farthestOffset bounds the offsets that travel; times of stranger zones arrive in UTC.
const farthestOffset = 100 * 60 * 60

func offsetText(offset int) string {
	sign := '+'
	if offset < 0 {
		sign, offset = '-', -offset
	}
	text := fmt.Sprintf("%c%02d:%02d", sign, offset/3600, offset/60%60)
	if offset%60 != 0 {
		text += fmt.Sprintf(":%02d", offset%60)
	}
	return text
}

// parseOffset reads what offsetText writes.
func parseOffset(text string) (int, bool) {
	if len(text) != len("+hh:mm") && len(text) != len("+hh:mm:ss") || text[0] != '+' && text[0] != '-' {
		return 0, false
	}
	offset, unit := 0, 3600
	for i := 1; i < len(text); i += 3 {
		tens, ones := text[i]-'0', text[i+1]-'0'
		if tens > 9 || ones > 9 || i > 1 && (text[i-1] != ':' || tens > 5) {
			return 0, false
		}
		offset += int(10*tens+ones) * unit
		unit /= 60
	}
	if text[0] == '-' {
		offset = -offset
	}
	return offset, true
}

func (d *Decoder) time() time.Time {
	if !d.tag(tagTime, "a time") {
		return time.Time{}
	}
	n := d.length(majorMap, "the map of a time")
	var values [3]int64
	var came [3]bool
	for ; n > 0 && d.Err == nil; n-- {
		d.timePair(&values, &came)
	}
	if !came[0] {
		d.failf("a time without seconds")
	}
	if d.Err != nil {
		return time.Time{}
	}
	t := time.Unix(values[0], values[1])
	zone := d.zone(int(values[2]))
	if zone == nil {
		return time.Time{}
	}
	return t.In(zone)
}

// zoneRoom is the memory of a time.Location of one zone.
const zoneRoom = 192

// zone returns the nameless zone of an offset, nil on failure. Of one message's times most have one offset.
func (d *Decoder) zone(offset int) *time.Location {
	if offset == 0 {
		return time.UTC
	}
	if d.zoneMade == nil || d.zoneOffset != offset {
		if !d.charge(zoneRoom) {
			return nil
		}
		d.zoneMade, d.zoneOffset = time.FixedZone("", offset), offset
	}
	return d.zoneMade
}

// timePair reads one pair of a time into the seconds, the nanoseconds or the offset.
func (d *Decoder) timePair(values *[3]int64, came *[3]bool) {
	key := d.int(math.MinInt64, math.MaxInt64)
	var i int
	least, most := int64(math.MinInt64), int64(math.MaxInt64)
	switch {
	case key == timeSeconds:
		i = 0
	case key == timeNanoseconds:
		i, least, most = 1, 0, 999_999_999
	case key == timeOffset:
		i = 2
	case key < 0:
		d.skip()
		return
	default:
		d.failf("a time with key %d, which is unknown", key)
		return
	}
	if came[i] {
		d.fail(errTwice)
	}
	came[i] = true
	if key != timeOffset {
		values[i] = d.int(least, most)
		return
	}
	offset, _ := parseOffset(string(d.text("the offset of a time"))) // any other text is as if it were not there
	values[i] = int64(offset)
}

// tag reads the head of the wanted tag.
func (d *Decoder) tag(tag uint64, want string) bool {
	at := d.pos
	major, n := d.head()
	if d.Err == nil && (major != majorTag || n != tag) {
		d.pos = at
		d.unexpected(want)
	}
	return d.Err == nil
}
