package skeleton

import (
	"crypto/sha256"
	"encoding/binary"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/rmigo/rmigo/refs"
)

// Go gives each instance of a generic interface a type of its own, but no place for its descriptor: so there is a function that makes
// one each time it is called. What depends on the type arguments is worked out there, from their names: the instance's own name, and
// the signatures of its methods, of which the ids are hashes. A name must be the same in every process, as it is in what rmigen writes
// for interfaces that are not generic.

// A TypeArg is a type argument of a generic interface. Its name is as in the signatures of methods:
// "[]example.com/shop.Pair[string, int]".
type TypeArg struct {
	Type reflect.Type
	Name string
}

// box is there for its name, in which Go spells T with import paths; [reflect.Type.Name] leaves out the path of T itself, and
// has nothing to say of a type without a name.
type box[T any] struct{}

// Arg returns T as a type argument.
func Arg[T any]() TypeArg {
	text := reflect.TypeFor[box[T]]().Name()
	return TypeArg{reflect.TypeFor[T](), canonical(text[len("box[") : len(text)-1])}
}

// canonical rewrites a type as Go spells it among type arguments into the text of signatures. Import paths have escapes there
// (cmd/internal/objabi.PathToPrefix). Types that cannot be named on the wire stay as they are.
func canonical(text string) string {
	text = strings.NewReplacer("interface {}", "any", "struct {}", "struct{}").Replace(text)
	if strings.ContainsRune(text, '"') {
		return text // a struct with tags
	}
	text = regexp.MustCompile(`%[0-9a-f]{2}`).ReplaceAllStringFunc(text, func(escape string) string {
		b, _ := strconv.ParseUint(escape[1:], 16, 8)
		return string([]byte{byte(b)})
	})
	return regexp.MustCompile(`,\s*`).ReplaceAllString(text, ", ")
}

// instanceName is the name of an instance: names of interfaces have no blanks.
func instanceName(path string, args []TypeArg) string {
	var b strings.Builder
	b.WriteString(path)
	for i, a := range args {
		b.WriteString([]string{"[", ","}[min(i, 1)])
		b.WriteString(strings.ReplaceAll(a.Name, ", ", ","))
	}
	return b.String() + "]"
}

// identified returns methods with the ids that their signatures have.
func identified(methods []Method) []Method {
	all := make([]Method, len(methods))
	for i, m := range methods {
		sum := sha256.Sum256([]byte(m.Signature))
		m.ID = binary.BigEndian.Uint64(sum[:])
		all[i] = m
	}
	return all
}

// Using returns the interface as one whose messages may carry more: of a generic interface, what its type arguments lead to, since
// that cannot be found from the types themselves. It is the descriptors of remote interfaces, and Values for interfaces that are not
// remote:
//
//	RemoteStore[string, bank.Account]().Using(bank.RemoteAccount)
//
// Interfaces in the signatures that share type arguments with this one are given the same. Stubs that are made with other types given are
// other views of an object.
func (d *Interface[T]) Using(types ...Type) *Interface[T] {
	more := *d
	more.given = append(d.given[:len(d.given):len(d.given)], types...)
	return &more
}

// Given returns the names of the types that Using has given.
func (d *Interface[T]) Given() string {
	var b strings.Builder
	for _, t := range d.given {
		b.WriteString(t.Name() + "\n")
	}
	return b.String()
}

// TypeArgs returns the type arguments; nil if the interface is not generic.
func (d *Interface[T]) TypeArgs() []reflect.Type {
	var types []reflect.Type
	for _, a := range d.Args {
		types = append(types, a.Type)
	}
	return types
}

// TypeTable returns what the interface's messages may carry by name.
func (d *Interface[T]) TypeTable() []Type {
	types := d.Servant.Types()
	if len(d.given) == 0 {
		return types
	}
	for i, t := range types {
		if g, ok := t.(interface{ giving([]Type) Type }); ok {
			types[i] = g.giving(d.given)
		}
	}
	return append(types, d.given...)
}

// giving is Using for an interface of a type table; one that has no type arguments stays as it is.
func (d *Interface[T]) giving(types []Type) Type {
	if len(d.Args) == 0 {
		return d
	}
	return d.Using(types...)
}

var _ interface {
	refs.Descriptor
	TypeArgs() []reflect.Type
	Given() string
} = (*Interface[any])(nil)
