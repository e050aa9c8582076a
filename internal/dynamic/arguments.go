package dynamic

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/rmigo/rmigo/internal/wire"
	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/stub"
)

// ArgumentError is an argument that does not fit the method's description. Nothing was sent.
type ArgumentError struct {
	Argument int    // from 1 up; 0: there are too many or too few
	Name     string // of the parameter; "" if it has none
	Path     string // to what is wrong inside it: ".Lines[3].Price"
	Says     string // "a string where int64 is expected"
	Err      error  // what it wraps; may be nil
}

func (e *ArgumentError) Error() string {
	if e.Argument == 0 {
		return e.Says
	}
	where := fmt.Sprintf("argument %d", e.Argument)
	if e.Name != "" {
		where += " (" + e.Name + ")"
	}
	if e.Path != "" {
		where += ", " + e.Path
	}
	return where + ": " + e.Says
}

// Unwrap returns the cause.
func (e *ArgumentError) Unwrap() error { return e.Err }

// Objects makes an untyped reference of what stands for a remote object; nil, nil for what does not.
type Objects func(v any) (stub.Object, error)

// Arguments makes the method's arguments of values, or says which one does not fit.
func (m *Method) Arguments(args []any, objects Objects) ([]reflect.Value, error) {
	n := len(m.params)
	if m.described.Variadic && len(args) >= n-1 && !(len(args) == n && spreads(args[n-1])) {
		rest := append([]any{}, args[n-1:]...)
		args = append(args[:n-1:n-1], any(rest))
	}
	if len(args) != n {
		return nil, &ArgumentError{Says: fmt.Sprintf("%d arguments where %s takes %d: %v", len(args), m.described.Name, n, m.described)}
	}
	values := make([]reflect.Value, n)
	for i, s := range m.params {
		c := &conversion{objects: objects, seen: map[uintptr]bool{}}
		values[i] = reflect.New(s.typ).Elem()
		if err := c.set(s, values[i], reflect.ValueOf(args[i])); err != nil {
			return nil, &ArgumentError{Argument: i + 1, Name: m.described.Params[i].Name, Path: c.path(), Says: err.Error(), Err: err}
		}
	}
	return values, nil
}

// spreads reports whether the last argument of a variadic method is the list of the rest already.
func spreads(v any) bool {
	t := reflect.TypeOf(v)
	return t != nil && (t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8)
}

// Put writes an argument.
func (m *Method) Put(e *refs.Encoder, i int, v reflect.Value) {
	switch m.params[i].kind {
	case remoteKind:
		object, _ := v.Interface().(stub.Object)
		anyObject(e, object)
	case errorKind:
		err, _ := v.Interface().(error)
		e.Error(err)
	case interfaceKind:
		e.Interface(v.Interface())
	default:
		e.Value(v.Interface())
	}
}

// conversion makes one argument.
type conversion struct {
	objects Objects
	steps   []string         // to what is being made
	seen    map[uintptr]bool // pointers on the way there
}

func (c *conversion) path() string { return strings.Join(c.steps, "") }

// within makes what is a step further; steps stay where that fails.
func (c *conversion) within(step string, s *shape, to, v reflect.Value) error {
	c.steps = append(c.steps, step)
	if len(c.steps) > 1_000 {
		return errors.New("it is nested too deeply")
	}
	if err := c.set(s, to, v); err != nil {
		return err
	}
	c.steps = c.steps[:len(c.steps)-1]
	return nil
}

// set makes to, of the shape's Go type, of v.
func (c *conversion) set(s *shape, to, v reflect.Value) error {
	for v.IsValid() && v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if s.kind == remoteKind || s.kind == errorKind || s.kind == interfaceKind {
		return c.setInterface(s, to, v)
	}
	if s.kind == pointerKind {
		if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
			return nil
		}
		target := reflect.New(s.elem.typ)
		to.Set(target)
		return c.set(s.elem, target.Elem(), v)
	}
	if v.IsValid() && v.Type() == to.Type() {
		to.Set(v)
		return nil
	}
	if v.IsValid() && v.Kind() == reflect.Pointer && !v.IsNil() && s.kind != builtinKind {
		if c.seen[v.Pointer()] {
			return errors.New("it refers to itself")
		}
		c.seen[v.Pointer()] = true
		defer delete(c.seen, v.Pointer())
		return c.set(s, to, v.Elem())
	}
	if !v.IsValid() {
		if s.kind == listKind || s.kind == mapKind || s.kind == bytesKind {
			return nil
		}
		return fmt.Errorf("nothing where %s is expected", s.name)
	}
	switch s.kind {
	case basic:
		return setBasic(s, to, v)
	case listKind, arrayKind:
		return c.setList(s, to, v)
	case mapKind:
		return c.setMap(s, to, v)
	case structKind:
		return c.setStruct(s, to, v)
	case knotKind:
		real := reflect.New(s.real.typ).Elem()
		if err := c.set(s.real, real, v); err != nil {
			return err
		}
		to.FieldByName("V").Set(real)
		return nil
	}
	return setText(s, to, v)
}

func mismatch(s *shape, v reflect.Value) error {
	if number, ok := v.Interface().(json.Number); ok {
		return fmt.Errorf("%s where %s is expected", number, s.name)
	}
	switch v.Kind() {
	case reflect.String:
		return fmt.Errorf("the text %.40q where %s is expected", v.String(), s.name)
	case reflect.Map:
		return fmt.Errorf("a map where %s is expected", s.name)
	case reflect.Slice, reflect.Array:
		return fmt.Errorf("a list where %s is expected", s.name)
	}
	return fmt.Errorf("the %v %v where %s is expected", v.Type(), v.Interface(), s.name)
}

func setBasic(s *shape, to, v reflect.Value) error {
	if number, ok := v.Interface().(json.Number); ok {
		return setNumber(s, to, string(number), v)
	}
	switch to.Kind() {
	case reflect.Bool:
		if v.Kind() == reflect.Bool {
			to.SetBool(v.Bool())
			return nil
		}
	case reflect.String:
		if v.Kind() == reflect.String {
			to.SetString(v.String())
			return nil
		}
	case reflect.Complex64, reflect.Complex128:
		if v.CanComplex() && !to.OverflowComplex(v.Complex()) {
			to.SetComplex(v.Complex())
			return nil
		}
	default:
		if v.CanInt() || v.CanUint() || v.CanFloat() {
			return setNumber(s, to, numeral(v), v)
		}
	}
	return mismatch(s, v)
}

// numeral writes a number so that nothing is lost.
func numeral(v reflect.Value) string {
	switch {
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10)
	case v.Float() == math.Trunc(v.Float()) && math.Abs(v.Float()) < 1<<63:
		return strconv.FormatFloat(v.Float(), 'f', -1, 64)
	}
	return strconv.FormatFloat(v.Float(), 'g', -1, 64)
}

func setNumber(s *shape, to reflect.Value, text string, v reflect.Value) error {
	switch {
	case to.CanInt():
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return outOf(s, text, v, err)
		}
		if to.OverflowInt(n) {
			return fmt.Errorf("%s is out of the range of %s", text, s.name)
		}
		to.SetInt(n)
	case to.CanUint():
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return outOf(s, text, v, err)
		}
		if to.OverflowUint(n) {
			return fmt.Errorf("%s is out of the range of %s", text, s.name)
		}
		to.SetUint(n)
	case to.CanFloat():
		x, err := strconv.ParseFloat(text, to.Type().Bits())
		if err != nil {
			return outOf(s, text, v, err)
		}
		to.SetFloat(x)
	default:
		return mismatch(s, v)
	}
	return nil
}

func outOf(s *shape, text string, v reflect.Value, err error) error {
	if errors.Is(err, strconv.ErrRange) || strings.HasPrefix(text, "-") {
		return fmt.Errorf("%s is out of the range of %s", text, s.name)
	}
	return mismatch(s, v)
}

func (c *conversion) setList(s *shape, to, v reflect.Value) error {
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return mismatch(s, v)
	}
	if s.kind == arrayKind {
		if v.Len() != to.Len() {
			return fmt.Errorf("%d elements where %s is expected", v.Len(), s.name)
		}
	} else if v.Kind() == reflect.Array || !v.IsNil() {
		to.Set(reflect.MakeSlice(s.typ, v.Len(), v.Len()))
	} else {
		return nil
	}
	for i := range v.Len() {
		if err := c.within(fmt.Sprintf("[%d]", i), s.elem, to.Index(i), v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func (c *conversion) setMap(s *shape, to, v reflect.Value) error {
	if v.Kind() != reflect.Map {
		return mismatch(s, v)
	}
	if v.IsNil() {
		return nil
	}
	to.Set(reflect.MakeMapWithSize(s.typ, v.Len()))
	for pair := v.MapRange(); pair.Next(); {
		given := pair.Key()
		for given.Kind() == reflect.Interface {
			given = given.Elem()
		}
		step := fmt.Sprintf("[%v]", given)
		if given.Kind() == reflect.String {
			step = fmt.Sprintf("[%q]", given.String())
			given = keyOf(s.key, given)
		}
		key, value := reflect.New(s.key.typ).Elem(), reflect.New(s.elem.typ).Elem()
		if err := c.within(step, s.key, key, given); err != nil {
			return err
		}
		if err := c.within(step, s.elem, value, pair.Value()); err != nil {
			return err
		}
		to.SetMapIndex(key, value)
	}
	return nil
}

// keyOf is a key that is no text, as JSON has it: in one.
func keyOf(s *shape, text reflect.Value) reflect.Value {
	if s.kind != basic || s.typ.Kind() == reflect.String {
		return text
	}
	if on, err := strconv.ParseBool(text.String()); err == nil && s.typ.Kind() == reflect.Bool {
		return reflect.ValueOf(on)
	}
	return reflect.ValueOf(json.Number(text.String()))
}

func (c *conversion) setStruct(s *shape, to, v reflect.Value) error {
	get := map[string]reflect.Value{}
	switch {
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
		for pair := v.MapRange(); pair.Next(); {
			get[pair.Key().String()] = pair.Value()
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && wire.Travels(f) {
				get[f.Name] = v.Field(i)
			}
		}
	default:
		return mismatch(s, v)
	}
	for i, f := range s.fields {
		value, there := get[f.name]
		if !there {
			continue
		}
		delete(get, f.name)
		if err := c.within("."+f.name, f.of, to.Field(i+s.hidden), value); err != nil {
			return err
		}
	}
	for name := range get {
		var has []string
		for _, f := range s.fields {
			has = append(has, f.name)
		}
		return fmt.Errorf("%s has no field %q: it has %s", s.name, name, strings.Join(has, ", "))
	}
	return nil
}

// textOf returns a text. A json.Number, which reflection takes for one, is none.
func textOf(v reflect.Value) (text string, ok bool) {
	if _, number := v.Interface().(json.Number); number || v.Kind() != reflect.String {
		return "", false
	}
	return v.String(), true
}

// setText makes what JSON has as text.
func setText(s *shape, to, v reflect.Value) error {
	text, isText := textOf(v)
	var err error
	switch s.kind {
	case bytesKind, opaqueKind:
		return setBytes(s, to, v)
	case timeKind:
		if !isText {
			return mismatch(s, v)
		}
		var at time.Time
		if at, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return fmt.Errorf("the text %.40q where a time as in %s is expected", text, time.RFC3339)
		}
		to.Set(reflect.ValueOf(at))
		return nil
	case durationKind:
		if !isText {
			return setBasic(s, to, v)
		}
		var d time.Duration
		if d, err = time.ParseDuration(text); err != nil {
			return fmt.Errorf("the text %.40q where a duration as in 1m30s is expected", text)
		}
		to.SetInt(int64(d))
		return nil
	}
	if v.Kind() == reflect.Pointer && v.Type().Elem() == to.Type() && !v.IsNil() {
		to.Set(v.Elem())
		return nil
	}
	if number, ok := v.Interface().(json.Number); ok {
		text, isText = string(number), true
	} else if v.CanInt() || v.CanUint() {
		text, isText = numeral(v), true
	}
	switch number := to.Addr().Interface().(type) {
	case *big.Int:
		if _, ok := number.SetString(text, 10); ok && isText {
			return nil
		}
	case *big.Rat:
		if _, ok := number.SetString(text); ok && isText {
			return nil
		}
	case *big.Float:
		if _, ok := number.SetString(text); ok && isText {
			return nil
		}
	}
	return mismatch(s, v)
}

func setBytes(s *shape, to, v reflect.Value) error {
	var b []byte
	switch {
	case v.Kind() == reflect.String:
		var err error
		if b, err = base64.StdEncoding.DecodeString(v.String()); err != nil {
			return fmt.Errorf("the text %.40q where bytes in base64 are expected", v.String())
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		b = v.Bytes()
	default:
		own := reflect.New(v.Type())
		own.Elem().Set(v)
		made, marshals, err := wire.Payload(own.Interface())
		switch {
		case !marshals || s.kind != opaqueKind:
			return mismatch(s, v)
		case err != nil:
			return fmt.Errorf("the %v cannot be marshalled: %w", v.Type(), err)
		}
		b = made
	}
	if s.kind == opaqueKind {
		to.Set(reflect.ValueOf(opaque{b}))
		return nil
	}
	list := reflect.MakeSlice(s.typ, len(b), len(b))
	for i, x := range b {
		list.Index(i).SetUint(uint64(x))
	}
	to.Set(list)
	return nil
}

// setInterface makes a remote object, an error, or a value whose type goes along.
func (c *conversion) setInterface(s *shape, to, v reflect.Value) error {
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil
	}
	if s.kind == errorKind {
		err, ok := v.Interface().(error)
		if !ok {
			text, isText := textOf(v)
			if !isText {
				return mismatch(s, v)
			}
			err = errors.New(text)
		}
		to.Set(reflect.ValueOf(err))
		return nil
	}
	object, err := c.objects(v.Interface())
	switch {
	case err != nil:
		return err
	case object != nil:
		to.Set(reflect.ValueOf(object))
		return nil
	case s.kind == remoteKind:
		if text, isText := textOf(v); isText {
			return fmt.Errorf("the text %.40q where a reference to a remote object (%s) is expected", text, s.name)
		}
		return fmt.Errorf("a %v where a remote object (%s) is expected: give a stub, a reference, or an object seen through its interface, as the descriptor's Of makes it",
			v.Type(), s.name)
	}
	held, err := c.free(v)
	if err == nil && held.IsValid() {
		to.Set(held)
	}
	return err
}

// free makes a value of a basic type, or a list or map of such, which needs no description.
func (c *conversion) free(v reflect.Value) (reflect.Value, error) {
	for v.IsValid() && (v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer) {
		v = v.Elem()
	}
	if !v.IsValid() {
		return v, nil
	}
	if number, ok := v.Interface().(json.Number); ok {
		if n, err := strconv.Atoi(string(number)); err == nil {
			return reflect.ValueOf(n), nil
		}
		x := reflect.New(reflect.TypeFor[float64]()).Elem()
		return x, setNumber(&shape{name: "float64"}, x, string(number), v)
	}
	switch v.Kind() {
	case reflect.Map:
		if v.Type().Key().Kind() != reflect.String {
			return v, nil
		}
		out := map[string]any{}
		for pair := v.MapRange(); pair.Next(); {
			item, err := c.held(fmt.Sprintf("[%q]", pair.Key()), pair.Value())
			if err != nil {
				return v, err
			}
			out[pair.Key().String()] = item
		}
		return reflect.ValueOf(out), nil
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return v, nil
		}
		out := make([]any, v.Len())
		for i := range out {
			item, err := c.held(fmt.Sprintf("[%d]", i), v.Index(i))
			if err != nil {
				return v, err
			}
			out[i] = item
		}
		return reflect.ValueOf(out), nil
	}
	return v, nil
}

func (c *conversion) held(step string, v reflect.Value) (any, error) {
	var out any
	err := c.within(step, &shape{kind: interfaceKind, name: "any"}, reflect.ValueOf(&out).Elem(), v)
	return out, err
}
