package dynamic

import (
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rmigo/rmigo/internal/wire"
	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/stub"
)

// A shape is a described type: the Go type whose values travel alike, and what it was described as.
type shape struct {
	name   string       // as it is spelled
	typ    reflect.Type // nil while it is being made
	kind   kind
	elem   *shape   // of lists, maps, pointers
	key    *shape   // of maps
	fields []field  // of structs, in the order of the Go type's; of knots too
	real   *shape   // of a knot: the struct that it stands for
	busy   bool     // it is being made: what refers to it now needs a knot
	knot   *shape   // that stands for it, if it mentions itself
	hidden int      // blank fields that lead the Go type
	holds  []string // of interfaces
}

type field struct {
	name string
	of   *shape
}

type kind uint8

const (
	basic kind = iota
	bytesKind
	timeKind
	durationKind
	builtinKind
	listKind
	arrayKind
	mapKind
	pointerKind
	structKind
	knotKind
	opaqueKind
	remoteKind
	errorKind
	interfaceKind
	closerKind // of results only
)

// Bounds on what a description may make of memory: types are never given back.
const (
	mostShapes = 2_000
	mostFields = 1_000
	mostArray  = 1 << 16
	mostBytes  = 1 << 20 // of one value, without what it refers to
	mostNested = 100     // levels of a type's text
)

// opaque is a struct that marshals itself, as bytes.
type opaque struct{ data []byte }

func (o opaque) MarshalBinary() ([]byte, error) { return o.data, nil }

func (o *opaque) UnmarshalBinary(data []byte) error {
	o.data = append([]byte{}, data...)
	return nil
}

// builder makes shapes of a description's types.
type builder struct {
	named  map[string]refs.TypeDescription
	shapes map[string]*shape
	knots  []*shape
}

func newBuilder(d *refs.Description) *builder {
	b := &builder{map[string]refs.TypeDescription{}, map[string]*shape{}, nil}
	for _, t := range d.Types {
		b.named[t.Name] = t
	}
	return b
}

// shape returns the shape of a type that is spelled so.
func (b *builder) shape(text string) (*shape, error) {
	p := &parser{b: b, rest: text}
	s, err := p.parse(0)
	if err == nil && p.rest != "" {
		err = fmt.Errorf("%q follows the type", p.rest)
	}
	if err != nil {
		return nil, fmt.Errorf("%.200q: %w", text, err)
	}
	return s, nil
}

// finish returns what the knots stand for, and what interfaces may hold.
func (b *builder) finish() (map[reflect.Type]reflect.Type, []refs.Type, error) {
	var held []refs.Type
	seen := map[string]bool{}
	for {
		var names []string
		for _, s := range b.shapes {
			for _, name := range s.holds {
				if !seen[name] {
					seen[name] = true
					names = append(names, name)
				}
			}
		}
		if len(names) == 0 {
			break
		}
		for _, name := range names {
			s, err := b.shape(name)
			if err != nil {
				return nil, nil, err
			}
			if s.typ.Kind() != reflect.Interface {
				held = append(held, refs.ValueType(name, s.typ))
			}
		}
	}
	knots := map[reflect.Type]reflect.Type{}
	for _, s := range b.knots {
		knots[s.typ] = s.real.typ
	}
	return knots, held, nil
}

// make adds a shape under its name.
func (b *builder) make(name string, s shape) (*shape, error) {
	if s.name = name; len(b.shapes) >= mostShapes {
		return nil, fmt.Errorf("more than %d types", mostShapes)
	}
	if s.typ != nil && s.typ.Size() > mostBytes {
		return nil, fmt.Errorf("values of more than %d bytes", mostBytes)
	}
	b.shapes[name] = &s
	return &s, nil
}

// a parser reads the spelling of a type:
//
//	type   = basic | path "." name | "error" | "any" | "*" type | "[]" type | "[" length "]" type
//	       | "map[" type "]" type | "struct{" [ field { "; " field } ] "}" | func .
//	field  = name " " type [ " " quoted ] .
//	func   = "func(" … ") " ( "(" … ")" | "error" ) .
type parser struct {
	b    *builder
	rest string
}

func (p *parser) eat(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *parser) parse(level int) (*shape, error) {
	if level > mostNested {
		return nil, fmt.Errorf("nested more than %d deep", mostNested)
	}
	before := p.rest
	spelled := func() string { return before[:len(before)-len(p.rest)] }
	switch {
	case p.eat("*"):
		elem, err := p.parse(level + 1)
		if err != nil {
			return nil, err
		}
		return p.b.make("*"+elem.name, shape{kind: pointerKind, typ: reflect.PointerTo(elem.typ), elem: elem})
	case p.eat("[]"):
		elem, err := p.parse(level + 1)
		if err != nil {
			return nil, err
		}
		s := shape{kind: listKind, typ: reflect.SliceOf(elem.typ), elem: elem}
		if elem.typ.Kind() == reflect.Uint8 {
			s.kind = bytesKind
		}
		return p.b.make(spelled(), s)
	case p.eat("["):
		return p.array(level)
	case p.eat("map["):
		return p.mapping(level, spelled)
	case p.eat("struct{"):
		return p.structure(level, spelled)
	case p.eat("func("):
		return p.function(spelled)
	}
	return p.word(level)
}

// function reads a function type, which is that of a remote object. What it takes and returns is of no interest here.
func (p *parser) function(spelled func() string) (*shape, error) {
	err := p.parentheses()
	switch {
	case err != nil:
	case p.eat(" ("):
		err = p.parentheses()
	case !p.eat(" error"):
		err = errors.New("a function has no results")
	}
	if err != nil {
		return nil, err
	}
	return p.b.make(spelled(), shape{kind: remoteKind, typ: reflect.TypeFor[stub.Object]()})
}

// parentheses passes over what is within parentheses, the opening one of which is read.
func (p *parser) parentheses() error {
	for depth := 1; depth > 0; {
		i := strings.IndexAny(p.rest, `()"`)
		if i < 0 {
			return errors.New("a function has no end")
		}
		switch p.rest[i] {
		case '(':
			depth++
		case ')':
			depth--
		default:
			tag, err := strconv.QuotedPrefix(p.rest[i:])
			if err != nil {
				return errors.New("a field's tag has no end")
			}
			i += len(tag) - 1
		}
		p.rest = p.rest[i+1:]
	}
	return nil
}

func (p *parser) array(level int) (*shape, error) {
	text, rest, ok := strings.Cut(p.rest, "]")
	n, err := strconv.Atoi(text)
	if !ok || err != nil || n < 0 || n > mostArray {
		return nil, fmt.Errorf("an array of %.20q elements", text)
	}
	p.rest = rest
	elem, err := p.parse(level + 1)
	if err != nil {
		return nil, err
	}
	if uint64(n)*uint64(elem.typ.Size()) > mostBytes {
		return nil, fmt.Errorf("an array of more than %d bytes", mostBytes)
	}
	return p.b.make("["+text+"]"+elem.name, shape{kind: arrayKind, typ: reflect.ArrayOf(n, elem.typ), elem: elem})
}

func (p *parser) mapping(level int, spelled func() string) (*shape, error) {
	key, err := p.parse(level + 1)
	if err != nil {
		return nil, err
	}
	if !p.eat("]") {
		return nil, errors.New("a map's key has no end")
	}
	elem, err := p.parse(level + 1)
	if err != nil {
		return nil, err
	}
	if !key.typ.Comparable() {
		return nil, fmt.Errorf("a map with keys of the type %s", key.name)
	}
	return p.b.make(spelled(), shape{kind: mapKind, typ: reflect.MapOf(key.typ, elem.typ), elem: elem, key: key})
}

func (p *parser) structure(level int, spelled func() string) (*shape, error) {
	var fields []refs.Value
	list := false
	for !p.eat("}") {
		if len(fields) > 0 && !p.eat("; ") && !list {
			return nil, errors.New("a struct has no end")
		}
		name, rest, ok := strings.Cut(p.rest, " ")
		if !ok {
			return nil, errors.New("a field has no type")
		}
		p.rest = rest
		at := p.rest
		if _, err := p.parse(level + 1); err != nil {
			return nil, err
		}
		f := refs.Value{Name: name, Type: at[:len(at)-len(p.rest)]}
		if p.eat(" ") {
			quoted, err := strconv.QuotedPrefix(p.rest)
			if err != nil {
				return nil, errors.New("a field's tag has no end")
			}
			p.rest = p.rest[len(quoted):]
			text, _ := strconv.Unquote(quoted)
			f.Tag = reflect.StructTag(text).Get("cbor")
		}
		if list = list || name == "_"; name != "_" {
			fields = append(fields, f)
		} else {
			p.eat("; ")
		}
	}
	s, err := p.b.make(spelled(), shape{kind: structKind})
	if err == nil {
		err = p.b.fill(s, fields, list)
	}
	return s, err
}

// fill makes the Go type of a struct of its fields.
func (b *builder) fill(s *shape, fields []refs.Value, list bool) error {
	if len(fields) > mostFields {
		return fmt.Errorf("a struct with %d fields", len(fields))
	}
	var all []reflect.StructField
	seen := map[string]bool{}
	for _, f := range fields {
		if !identifier(f.Name) || seen[f.Name] {
			return fmt.Errorf("a struct with the field %.40q", f.Name)
		}
		seen[f.Name] = true
		of, err := b.shape(f.Type)
		if err != nil {
			return err
		}
		s.fields = append(s.fields, field{f.Name, of})
		tag := reflect.StructTag("")
		if f.Tag != "" {
			tag = reflect.StructTag("cbor:" + strconv.Quote(f.Tag))
		}
		all = append(all, reflect.StructField{Name: f.Name, Type: of.typ, Tag: tag})
	}
	size := uintptr(0)
	for _, f := range all {
		size += f.Type.Size() + 8
	}
	if size > mostBytes {
		return fmt.Errorf("a struct of more than %d bytes", mostBytes)
	}
	if list {
		s.hidden = 1
		marker := reflect.StructField{Name: "_", PkgPath: "dynamic", Type: reflect.TypeFor[struct{}](), Tag: `cbor:",toarray"`}
		all = append([]reflect.StructField{marker}, all...)
	}
	s.typ = reflect.StructOf(all)
	return nil
}

func identifier(name string) bool {
	for i, r := range name {
		if i == 0 && !unicode.IsUpper(r) || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' {
			return false
		}
	}
	return name != ""
}

// word reads the name of a type.
func (p *parser) word(level int) (*shape, error) {
	end, depth := len(p.rest), 0
	for i, r := range p.rest {
		switch {
		case r == '[':
			depth++
			continue
		case r == ']' && depth > 0:
			depth--
			continue
		}
		if depth == 0 && (r == ']' || r == ';' || r == '}' || r == ' ') {
			end = i
			break
		}
	}
	name := p.rest[:end]
	p.rest = p.rest[end:]
	return p.b.word(name, level)
}

func (b *builder) word(name string, level int) (*shape, error) {
	if s := b.shapes[name]; s != nil {
		return b.met(s)
	}
	if t := basicType(name); t != nil {
		return b.make(name, shape{kind: basic, typ: t})
	}
	switch name {
	case "error":
		return b.make(name, shape{kind: errorKind, typ: reflect.TypeFor[error]()})
	case "any":
		return b.make(name, shape{kind: interfaceKind, typ: reflect.TypeFor[any]()})
	case "time.Duration":
		return b.make(name, shape{kind: durationKind, typ: reflect.TypeFor[time.Duration]()})
	}
	d, known := b.named[name]
	if !known {
		return nil, fmt.Errorf("the type %.100q is not described", name)
	}
	switch d.Kind {
	case refs.KindRemote:
		return b.make(name, shape{kind: remoteKind, typ: reflect.TypeFor[stub.Object]()})
	case refs.KindInterface:
		return b.make(name, shape{kind: interfaceKind, typ: reflect.TypeFor[any](), holds: d.Holds})
	case refs.KindBytes:
		return b.make(name, shape{kind: opaqueKind, typ: reflect.TypeFor[opaque]()})
	case refs.KindBuiltin:
		return b.builtin(name)
	case refs.KindStruct, refs.KindList:
		s, err := b.make(name, shape{kind: structKind, busy: true})
		if err == nil {
			err = b.fill(s, d.Fields, d.Kind == refs.KindList)
		}
		if s == nil || err != nil {
			return nil, err
		}
		s.busy = false
		return b.met(s)
	case refs.KindNamed:
		p := &parser{b: b, rest: d.Type}
		beneath, err := p.parse(level + 1)
		if err == nil && p.rest != "" {
			err = fmt.Errorf("%q follows the type", p.rest)
		}
		if err != nil {
			return nil, fmt.Errorf("%.100q is described as %.100q, which is no type: %w", name, d.Type, err)
		}
		return b.make(name, *beneath)
	}
	return nil, fmt.Errorf("%.100q is of a kind that is unknown: %.40q", name, d.Kind)
}

// met returns a shape that is known, or the knot that stands for it where it mentions itself.
func (b *builder) met(s *shape) (*shape, error) {
	if s.busy && s.knot == nil {
		knot, err := b.make("knot "+s.name, shape{kind: knotKind, typ: wire.Knot(len(b.knots)), real: s})
		if err != nil {
			return nil, err
		}
		knot.name = s.name
		s.knot = knot
		b.knots = append(b.knots, knot)
	}
	if s.knot != nil {
		return s.knot, nil
	}
	return s, nil
}

func (b *builder) builtin(name string) (*shape, error) {
	types := map[string]reflect.Type{
		"time.Time": reflect.TypeFor[time.Time](), "net/url.Userinfo": reflect.TypeFor[url.Userinfo](),
		"math/big.Int": reflect.TypeFor[big.Int](), "math/big.Float": reflect.TypeFor[big.Float](), "math/big.Rat": reflect.TypeFor[big.Rat](),
	}
	t := types[name]
	if t == nil {
		return nil, fmt.Errorf("this version does not know %.100q", name)
	}
	k := builtinKind
	if name == "time.Time" {
		k = timeKind
	}
	return b.make(name, shape{kind: k, typ: t})
}

func basicType(name string) reflect.Type {
	for _, t := range []reflect.Type{
		reflect.TypeFor[bool](), reflect.TypeFor[string](),
		reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
		reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
		reflect.TypeFor[uintptr](), reflect.TypeFor[float32](), reflect.TypeFor[float64](),
		reflect.TypeFor[complex64](), reflect.TypeFor[complex128](),
	} {
		if t.Name() == name {
			return t
		}
	}
	return nil
}
