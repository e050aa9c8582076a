package gen

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

// A refusal is a package that rmigen refuses, and what it says.
type refusal struct {
	name   string
	source string // what follows the package clause; it begins with an empty line, so that its text starts in line 3
	want   []string
}

func refusedSignatures() []refusal {
	return []refusal{
		{"AMethodWithoutContextIsToldHowToBeWritten", `
import "context"

//rmi:remote
type Account interface {
	Close()
	Open(name string, mode int) (bool, error)
	Late(name string, ctx context.Context) error
	Odd(context.Context, int) bool
	Many(names ...string) (ok bool)
	Pointer(ctx *context.Context) error
}`, []string{
			"12:2: Account.Pointer: first parameter must be context.Context: write Pointer(ctx context.Context) error",
			"7:2: Account.Close: first parameter must be context.Context: write Close(ctx context.Context) error",
			"7:2: Account.Close: last result must be error: write Close(ctx context.Context) error",
			"8:2: Account.Open: first parameter must be context.Context: write Open(ctx context.Context, name string, mode int) (bool, error)",
			"9:2: Account.Late: first parameter must be context.Context: write Late(ctx context.Context, name string) error",
			"10:2: Account.Odd: last result must be error: write Odd(context.Context, int) (bool, error)",
			"11:2: Account.Many: first parameter must be context.Context: write Many(ctx context.Context, names ...string) (ok bool, err error)",
			"11:2: Account.Many: last result must be error: write Many(ctx context.Context, names ...string) (ok bool, err error)",
		}},
		{"AnUnexportedMethodIsRefused", `
import "context"

//rmi:remote
type Account interface {
	close(ctx context.Context) error
}`, []string{"7:2: Account.close: an unexported method cannot be remote: export it or take it out of the interface"}},
		{"AStreamOfAnotherShapeIsRefused", `
import ("context"; "iter")

//rmi:remote async
type Account interface {
	Names(ctx context.Context) (iter.Seq[string], error)
	Pairs(ctx context.Context) iter.Seq2[string, int]
	Both(ctx context.Context, n int) (iter.Seq2[int, error], error)
	Ends(ctx context.Context) <-chan int
	Channels(ctx context.Context) iter.Seq2[chan int, error]
	//rmi:oneway
	Nobody(ctx context.Context) iter.Seq2[int, error]
	NoContext() iter.Seq2[int, error]
	//rmi:oneway
	Throw(ctx context.Context, numbers iter.Seq2[int, error]) error
	Give(ctx context.Context, names iter.Seq[string], closers []iter.Seq2[chan int, error]) error
	Send(ctx context.Context, numbers iter.Seq2[chan int, error]) error
}`, []string{
			"7:2: Account.Names: iter.Seq[string] cannot travel: a connection that is lost would look like its end: write iter.Seq2[string, error]",
			"8:2: Account.Pairs: a stream must be of one value and an error: write iter.Seq2[T, error], where T is a struct of string and int",
			"9:2: Account.Both: a stream must be the only result: write Both(ctx context.Context, n int) iter.Seq2[int, error], whose last element may be an error",
			"10:2: Account.Ends: last result must be error: write Ends(ctx context.Context) (<-chan int, error)",
			"11:2: Account.Channels: an item of the stream: chan int cannot travel: take or return a stream, iter.Seq2[T, error], or pass a //rmi:remote interface with a method that receives the values",
			"13:2: Account.Nobody: //rmi:oneway on a method that returns a stream: somebody waits for that: leave the directive out",
			"14:2: Account.NoContext: first parameter must be context.Context: write NoContext(ctx context.Context) iter.Seq2[int, error]",
			"16:2: Account.Throw: //rmi:oneway on a method that takes a stream: somebody must wait until that is read: leave the directive out",
			"17:2: Account.Give: iter.Seq[string] cannot travel: a connection that is lost would look like its end: write iter.Seq2[string, error]",
			"17:2: Account.Give: parameter closers: []iter.Seq2[chan int, error]: a stream (iter.Seq2[chan int, error]) cannot travel inside of another value: make iter.Seq2[T, error] a parameter, or the only result of a method",
			"18:2: Account.Send: parameter numbers, an item of the stream: chan int cannot travel: take or return a stream, iter.Seq2[T, error], or pass a //rmi:remote interface with a method that receives the values",
		}},
		{"AWrongMethodOfAnEmbeddedInterfaceIsRefusedWhereItStands", `
import ("context"; "io"; "fmt")

//rmi:remote
type Account interface {
	Base
	fmt.Stringer
	Read(context.Context, io.ReadSeeker) error
}

type Base interface {
	Ping() error
}`, []string{
			"6:6: Account.String: first parameter must be context.Context: write String(ctx context.Context) (string, error)",
			"6:6: Account.String: last result must be error: write String(ctx context.Context) (string, error)",
			"9:2: Account.Read: parameter 2: interface type io.ReadSeeker cannot travel in this version: send []byte, or pass a //rmi:remote interface whose methods take a context",
			"13:2: Account.Ping: first parameter must be context.Context: write Ping(ctx context.Context) error",
		}},
	}
}

func refusedTypes() []refusal {
	return []refusal{
		{"WhatCannotTravelIsNamedByItsPath", `
import "context"

//rmi:remote
type Account interface {
	Put(ctx context.Context, v Order) error
	Get(ctx context.Context) (order *Order, err error)
}

type Order struct {
	Lines []Line
	next  chan int
	Skip  func() ` + "`cbor:\"-\"`" + `
}

type Line struct {
	Extra any
	More  map[string]struct{ Done chan<- bool }
	By    map[[1]any]int
}`, []string{
			"7:2: Account.Put: parameter v: Order.Lines[].More[].Done: chan<- bool cannot travel: take or return a stream, iter.Seq2[T, error], or pass a //rmi:remote interface with a method that receives the values",
			"8:2: Account.Get: result order: Order.Lines[].More[].Done: chan<- bool cannot travel: take or return a stream, iter.Seq2[T, error], or pass a //rmi:remote interface with a method that receives the values",
		}},
		{"AnInterfaceTypedParameterIsRefusedByItsKind", `
import ("context"; "io")

type Shape interface{ Area() float64 }

//rmi:remote
type Account interface {
	Any(ctx context.Context, v any, list []any) error
	Shape(ctx context.Context, s Shape) (Shape, error)
	Again(ctx, other context.Context) error
	Write(ctx context.Context, w io.WriterAt) error
	Literal(ctx context.Context, v interface{ M() }) error
}`, []string{
			"10:2: Account.Shape: parameter s: no type is known that interface type Shape may hold: mark it //rmi:remote, or list what it may hold: //rmi:types",
			"10:2: Account.Shape: result 1: no type is known that interface type Shape may hold: mark it //rmi:remote, or list what it may hold: //rmi:types",
			"11:2: Account.Again: parameter other: interface type context.Context cannot travel: a method has one context, its first parameter",
			"12:2: Account.Write: parameter w: interface type io.WriterAt cannot travel in this version: send []byte, or pass a //rmi:remote interface whose methods take a context",
			"13:2: Account.Literal: parameter v: no type is known that interface type interface{M()} may hold: list what it may hold: //rmi:types",
		}},
		{"StreamsOfBytesAreRefusedTheWrongWayRound", `
import ("context"; "io")

//rmi:remote
type Account interface {
	Put(ctx context.Context, from io.ReadCloser, _ io.WriteCloser) error
	Get(ctx context.Context) (to io.Writer, _ io.Reader, err error)
	Each(ctx context.Context, all []io.ReadCloser) (map[string]io.WriteCloser, error)
	Open(ctx context.Context, all ...io.Reader) error
}`, []string{
			"7:2: Account.Put: parameter from: io.ReadCloser travels as a result: take io.Reader, which the caller closes when the call has returned",
			"7:2: Account.Put: parameter 3: io.WriteCloser travels as a result: take io.Writer, which the caller closes when the call has returned",
			"8:2: Account.Get: result to: io.Writer travels as a parameter: return io.WriteCloser, which the caller closes",
			"8:2: Account.Get: result 2: io.Reader travels as a parameter: return io.ReadCloser, which the caller closes",
			"9:2: Account.Each: parameter all: []io.ReadCloser: interface type io.ReadCloser cannot travel inside of another value: let it be a result of its own",
			"9:2: Account.Each: result 1: map[string]io.WriteCloser: interface type io.WriteCloser cannot travel inside of another value: let it be a result of its own",
			"10:2: Account.Open: parameter all: []io.Reader: interface type io.Reader cannot travel inside of another value: let it be a parameter of its own",
		}},
		{"WhatIsNearlyRightIsToldHowItWouldBe", `
import ("context"; "iter")

type Numbers iter.Seq2[int, error]

type Failure interface{ error }

//rmi:remote
type Account interface {
	All(ctx context.Context) Numbers
	Each(ctx context.Context, n Numbers) error
	Many(ctx ...context.Context) error
}

//rmi:remote
type Broken interface {
	error
	M(ctx context.Context) error
}

/* rmi:remote */
type Meant interface { M(ctx context.Context) error }

//rmi:remote async
type Store[r, object, all any] interface { M(ctx context.Context) error }`, []string{
			"11:2: Account.All: Numbers: an iterator that is a type of its own cannot travel: write iter.Seq2[T, error] itself, or an alias of it",
			"12:2: Account.Each: parameter n: an iterator that is a type of its own cannot travel: write iter.Seq2[T, error] itself, or an alias of it",
			"13:2: Account.Many: a method has one context, its first parameter: write Many(ctx context.Context) error",
			"17:6: Broken.Error: an interface that embeds error cannot be remote: do not embed it, and give it a method with a context that returns the text",
			"22:1: a directive begins with //rmi: exactly, without blanks: write //rmi:remote",
			"26:12: Store: its type parameter r cannot be written in generated code: give it another name",
			"26:15: Store: its type parameter object cannot be written in generated code: give it another name",
			"26:23: Store: its type parameter all cannot be written in generated code: give it another name",
		}},
		{"FunctionsHaveNoStreams", `
import ("context"; "io"; "iter")

//rmi:remote
type Account interface {
	Each(ctx context.Context, f func(ctx context.Context) iter.Seq2[int, error]) error
	Open(ctx context.Context) (func(ctx context.Context) (io.ReadCloser, error), error)
	Read(ctx context.Context, f func(ctx context.Context, r io.Reader) error) error
}`, []string{
			"7:2: Account.Each: parameter f: a function takes and returns no streams, as methods do: pass a //rmi:remote interface with a method that does",
			"8:2: Account.Open: result 1: a function takes and returns no streams, as methods do: pass a //rmi:remote interface with a method that does",
			"9:2: Account.Read: parameter f: a function takes and returns no streams, as methods do: pass a //rmi:remote interface with a method that does",
		}},
		{"ChannelsFunctionsAndAddressesAreRefused", `
import ("context"; "unsafe")

//rmi:remote
type Account interface {
	Chan(ctx context.Context, c chan int) error
	Plain(ctx context.Context, f func(a, b int) (less bool)) error
	Silent(ctx context.Context, f func(context.Context, ...string)) error
	Named(ctx context.Context) (Visitor, error)
	Inside(ctx context.Context, j Job, f func(context.Context, chan int, Job, func(string)) error) error
	Address(ctx context.Context, p unsafe.Pointer) error
	Held(ctx context.Context, f func(context.Context, Shape, context.Context) error) error
}

type Visitor func(int) error
type Job struct{ Run, Check func(Job) error }
type Shape interface{ Area() float64 }`, []string{
			"7:2: Account.Chan: parameter c: chan int cannot travel: take or return a stream, iter.Seq2[T, error], or pass a //rmi:remote interface with a method that receives the values",
			"8:2: Account.Plain: parameter f: a function travels with context.Context as its first parameter and error as its last result: write func(ctx context.Context, a int, b int) (less bool, err error)",
			"9:2: Account.Silent: parameter f: a function travels with context.Context as its first parameter and error as its last result: write func(context.Context, ...string) error",
			"10:2: Account.Named: result 1: a function travels with context.Context as its first parameter and error as its last result: write func(context.Context, int) error",
			"11:2: Account.Inside: parameter j: Job.Run: a function travels with context.Context as its first parameter and error as its last result: write func(context.Context, Job) error",
			"11:2: Account.Inside: parameter j: Job.Check: a function travels with context.Context as its first parameter and error as its last result: write func(context.Context, Job) error",
			"11:2: Account.Inside: parameter f: func(context.Context, chan int, Job, func(string)) error: chan int cannot travel: take or return a stream, iter.Seq2[T, error], or pass a //rmi:remote interface with a method that receives the values",
			"11:2: Account.Inside: parameter f: Job.Run: a function travels with context.Context as its first parameter and error as its last result: write func(context.Context, Job) error",
			"11:2: Account.Inside: parameter f: Job.Check: a function travels with context.Context as its first parameter and error as its last result: write func(context.Context, Job) error",
			"11:2: Account.Inside: parameter f: func(context.Context, chan int, Job, func(string)) error: a function travels with context.Context as its first parameter and error as its last result: write func(context.Context, string) error",
			"13:2: Account.Held: parameter f: func(context.Context, Shape, context.Context) error: interface type context.Context cannot travel: a method has one context, its first parameter",
			"13:2: Account.Held: parameter f: no type is known that interface type Shape may hold: mark it //rmi:remote, or list what it may hold: //rmi:types",
			"12:2: Account.Address: parameter p: unsafe.Pointer cannot travel: an address means nothing to another process: send what it points to",
		}},
		{"AFunctionThatDependsOnATypeParameterIsRefused", `
import "context"

//rmi:remote
type Store[K comparable, V any] interface {
	Each(ctx context.Context, f func(context.Context, K) (map[string]V, error)) error
	Sum(ctx context.Context, f func(context.Context, int) error) error
}

//rmi:remote
type Shop interface {
	Handlers(ctx context.Context, s Store[string, func(context.Context) error]) error
}`, []string{
			"7:2: Store.Each: parameter f: a function cannot travel whose type has type parameters: pass a //rmi:remote interface, which may be generic",
			"13:2: Shop.Handlers: parameter s: a function cannot travel by Store[string, func(context.Context) error], whose type argument leads to it: pass a //rmi:remote interface that is not generic",
		}},
		{"AFunctionInAListedTypeIsRefused", `
import "context"

//rmi:remote
//rmi:types Job
type Account interface {
	Do(ctx context.Context, what any) error
}

type Job struct{ Then func(context.Context) error }`, []string{
			"6:1: //rmi:types Job: Job has a function in it, which travels as a parameter, as a result or inside one only: pass that function by a method",
		}},
		{"AStructWithoutExportedFieldsIsRefusedUnlessItIsEmpty", `
import ("context"; "sync"; "net/http")

//rmi:remote
type Account interface {
	Empty(ctx context.Context, e struct{}, pad struct{ _ int }) error
	Opaque(ctx context.Context, o opaque, m sync.Mutex) error
	Inside(ctx context.Context, h Holder) error
	Foreign(ctx context.Context, r *http.Request) error
}

type opaque struct{ n int }
type Holder struct{ sync.Mutex; N int }`, []string{
			"8:2: Account.Opaque: parameter o: opaque has no exported field, so nothing of it would arrive: export what should travel, or pass a //rmi:remote interface",
			"8:2: Account.Opaque: parameter m: sync.Mutex has no exported field, so nothing of it would arrive: send a type with exported fields",
			"9:2: Account.Inside: parameter h: Holder.Mutex: sync.Mutex has no exported field, so nothing of it would arrive: send a type with exported fields, or leave the field out with cbor:\"-\"",
			"10:2: Account.Foreign: parameter r: http.Request.Body: interface type io.ReadCloser cannot travel inside of another value: let it be a result of its own",
		}},
		{"FieldTagsThatTheCodecCannotFollowAreRefused", `
import "context"

//rmi:remote
type Account interface {
	Put(ctx context.Context, p Pair, q Twice) error
}

type Pair struct {
	_ struct{} ` + "`cbor:\",toarray\"`" + `
	A int      ` + "`cbor:\"one,keyasint\"`" + `
}
type Twice struct {
	A int ` + "`cbor:\"B\"`" + `
	B int
}`, []string{
			`7:2: Account.Put: parameter p: Pair.A: "one" is no number, as the cbor option keyasint wants it: give it one: cbor:"1,keyasint"`,
			`7:2: Account.Put: parameter q: Twice.B: it travels as "B", and so does field A: give it another cbor name`,
		}},
		{"AMarshalerOfAnEmbeddedFieldMustNotSwallowTheOthers", `
import ("context"; "time"; "net/url")

//rmi:remote
type Account interface {
	Put(ctx context.Context, e Event, l Link, d Deep) error
	Fine(ctx context.Context, o Own, a Alone, t Text, p Open) error
}

type Event struct { time.Time; Title string; seq int }
type Link struct { Title string; *url.URL; seq int }
type Deep struct { Stamp; seq int }
type Stamp struct { time.Time; Title string }
type Own struct { time.Time; Title string; seq int }
func (Own) MarshalBinary() ([]byte, error) { return nil, nil }
func (*Own) UnmarshalBinary([]byte) error { return nil }
type Text struct { url.URL; Title string; seq int }
func (Text) MarshalText() ([]byte, error) { return nil, nil }
func (*Text) UnmarshalText([]byte) error { return nil }
type Alone struct { time.Time; seq int; Hidden string ` + "`cbor:\"-\"`" + ` }
type Open struct { time.Time; Title string }`, []string{
			"7:2: Account.Put: parameter e: Event would travel by the methods of its embedded Time, without its other fields: give that field a name",
			"7:2: Account.Put: parameter l: Link would travel by the methods of its embedded URL, without its other fields: give that field a name",
			"7:2: Account.Put: parameter d: Deep would travel by the methods of its embedded Stamp, without its other fields: give that field a name",
		}},
		{"AFieldThatComesByAnUnexportedEmbeddedStructIsNotLostSilently", `
import "context"

//rmi:remote
type Account interface {
	Put(ctx context.Context, d Doc, p Pointing, f Far) error
	Fine(ctx context.Context, o Out, e Empty, n Named) error
}

type base struct { n int; ID int }
type loop struct { *loop; n int }
type Doc struct { base; Title string }
type Pointing struct { *base; Title string }
type Far struct { Title string; middle }
type middle struct { base; lost }
type lost struct { C chan int }
type Out struct { base ` + "`cbor:\"-\"`" + `; Title string }
type Empty struct { loop; Title string }
type Named struct { b base; Title string }`, []string{
			"7:2: Account.Put: parameter p: Pointing.base: an embedded type that is not exported does not travel by pointer, or by its own methods, nor does its field ID: export the type, embed it without the pointer, or give the field a name",
			"7:2: Account.Put: parameter f: Far.middle.lost.C: chan int cannot travel: take or return a stream, iter.Seq2[T, error], or pass a //rmi:remote interface with a method that receives the values",
		}},
		{"AnErrorOfAnotherInterfaceIsReturnedAsError", `
import "context"

//rmi:remote
type Account interface { M(ctx context.Context) (MyErr, error) }

type MyErr interface { error; Code() int }`, []string{
			"6:26: Account.M: result 1: interface type MyErr cannot travel: return error, in which a caller finds the type by errors.As",
		}},
	}
}

func refusedInterfaces() []refusal {
	return []refusal{
		{"AGenericInterfaceIsRefusedWhereItsParametersCannotBeWritten", `
import "context"

//rmi:remote
type Box[_ any, call comparable, T any] interface {
	Get(context.Context, call) (T, error)
	Send(context.Context, Other[T, chan T]) (map[call]func(T), error)
}

//rmi:remote
type Other[string, RemoteBox any] interface { M(context.Context) error }

//rmi:remote
type Text[T interface{ ~string }] interface { ~string; M(context.Context) error }`, []string{
			"6:10: Box: its type parameter _ cannot be written in generated code: give it another name",
			"6:17: Box: its type parameter call cannot be written in generated code: give it another name",
			"12:12: Other: its type parameter string cannot be written in generated code: give it another name",
			"15:6: Text: a type constraint cannot be remote: write an interface of methods only",
		}},
		{"WhatATypeArgumentLeadsToMustTravel", `
import "context"

//rmi:remote
type Box[T any] interface { Get(context.Context) (T, error) }

//rmi:remote
type Account interface {
	Chan(context.Context, Box[chan int]) error
	Each(context.Context) (map[string]Box[Deep[int]], error)
	Shapes(context.Context, Box[Shape]) error
}

type Deep[T any] struct { Next *Deep[T]; Do func(T) }

type Shape interface{ Area() float64 }`, []string{
			"10:2: Account.Chan: parameter 2: Box[chan int]: chan int cannot travel: take or return a stream, iter.Seq2[T, error], or pass a //rmi:remote interface with a method that receives the values",
			"11:2: Account.Each: result 1: [][]Deep[int].Do: a function travels with context.Context as its first parameter and error as its last result: write func(context.Context, int) error",
			"12:2: Account.Shapes: parameter 2: Box[Shape]: no type is known that interface type Shape may hold: mark it //rmi:remote, or list what it may hold: //rmi:types",
		}},
		{"ATypeParameterMayNotHaveADescriptorsName", `
import "context"

//rmi:remote
type Box[RemoteBox any] interface { Get(context.Context) (RemoteBox, error) }`, []string{
			"6:6: Box: its descriptor will be called RemoteBox, a name already used at DIR/p.go:6:10: rename that or the interface",
		}},
		{"OnlyAnInterfaceOfMethodsCanBeRemote", `
import "context"

//rmi:remote
type Account struct{}

//rmi:remote
type Number interface{ ~int | ~string }

//rmi:remote
type Nothing interface{}

//rmi:remote
type Alias = Real

type Real interface { M(context.Context) error }

//rmi:remote
type _ interface { M(context.Context) error }`, []string{
			"6:6: Account: //rmi:remote on a type that is no interface: mark the interface by which it is called",
			"9:6: Number: a type constraint cannot be remote: write an interface of methods only",
			"12:6: Nothing: an interface without methods cannot be remote: use stub.Object for any remote object",
			"15:6: Alias: //rmi:remote on an alias: mark the interface that it stands for",
			"20:6: _ cannot be a remote interface: give it a name of its own",
		}},
		{"ATakenDescriptorNameIsRefused", `
import ("context"; remotePlain "fmt")

//rmi:remote
type Account interface { M(context.Context) error }

//rmi:remote
type plain interface { M(context.Context) error }

func RemoteAccount() { remotePlain.Println() }`, []string{
			"6:6: Account: its descriptor will be called RemoteAccount, a name already used at DIR/p.go:11:6: rename that or the interface",
			"9:6: plain: its descriptor will be called remotePlain, a name already used at DIR/p.go:3:20: rename that or the interface",
		}},
		{"APackageThatHidesNamesOfGoItselfIsRefused", `
import "context"

//rmi:remote
type Account interface { M(ctx context.Context, s string) error }

type nil struct{}
type string struct{ N int }
func append() {}
type any = interface{}
func len() {}`, []string{
			"8:6: nil hides Go's own nil, which generated code uses: give it another name",
			"9:6: string hides Go's own string, which generated code uses: give it another name",
			"10:6: append hides Go's own append, which generated code uses: give it another name",
		}},
		{"TypesNamedAsLocalsAreRefusedWhereMethodsMentionThem", `
import "context"

//rmi:remote
type Account interface { M(ctx context.Context, n call, each func(context.Context, []s) error) (impl, error) }

type call struct{ N int }
type s string
type impl int
type ctx struct{}`, []string{
			"6:6: Account.M: parameter each: func(context.Context, []s) error: s has the name of a local of generated methods, which it would mean there: give the type another name",
			"6:6: Account.M: parameter n: call has the name of a local of generated methods, which it would mean there: give the type another name",
			"6:6: Account.M: result 1: impl has the name of a local of generated methods, which it would mean there: give the type another name",
		}},
		{"WhatDoesNotCompileIsRefusedOnlyWhereASignatureLeadsToIt", `
import ("context"; "example.com/nowhere/x"; "example.com/nowhere/y")

//rmi:remote
type Account interface {
	Put(ctx context.Context, o Order, u Undefined) error
	Base
	Missing
}

type Order struct {
	Line Lien
}

type Base interface { Get(ctx context.Context) (x.Thing, error) }

var unrelated Unknown = RemoteAccount
type Other struct { Y y.Thing; Z Unknown }`, []string{
			"7:38: undefined: Undefined",
			"9:2: undefined: Missing",
		}},
		{"ABrokenFieldOrImportIsRefusedWhereItStands", `
import ("context"; "example.com/nowhere/x")

//rmi:remote
type Account interface {
	Put(ctx context.Context, o Order) error
	Base
}

type Order struct {
	Line Lien
}

type Base interface { Get(ctx context.Context) (x.Thing, error) }`, []string{
			"3:20: could not import example.com/nowhere/x (no required module provides package example.com/nowhere/x; to add it: go get example.com/nowhere/x)",
			"12:7: undefined: Lien",
		}},
	}
}

func refusedDirectives() []refusal {
	return []refusal{
		{"AMisspeltDirectiveIsAnsweredWithTheRightOne", `
import "context"

//rmi:remot
type Account interface {
	//rmi:idempotant
	M(context.Context) error
}

//rmi:frobnicate
// rmi:remote
type Other interface{ M(context.Context) error }`, []string{
			"5:1: //rmi:remot is no directive: did you mean //rmi:remote?",
			"7:2: //rmi:idempotant is no directive: did you mean //rmi:idempotent?",
			"11:1: //rmi:frobnicate is no directive: there are //rmi:errors, //rmi:idempotent, //rmi:oneway, //rmi:orphan, //rmi:remote, //rmi:resumable, //rmi:serial, //rmi:timeout, //rmi:types and //rmi:use",
			"12:1: a directive begins with //rmi: exactly, without blanks: write //rmi:remote",
		}},
		{"AListedTypeMustBeOneThatCanTravelAndBeNamed", `
import ("context"; "net/http"; "time")

//rmi:remote
//rmi:types time.Month
//rmi:types *http.NoSuch
//rmi:types 5
//rmi:types error
//rmi:types chan int
//rmi:types time.Duration, time.Month
//rmi:types map[string]*http.body
//rmi:types sealed
//rmi:types *http.Protocols
//rmi:types open
type Account interface {
	M(context.Context, any) error
}

type sealed struct{ n int }
type open struct{ N int }

var _ http.Header

//rmi:types int
type Unmarked interface{ M(time.Month) }`, []string{
			"7:1: //rmi:types *http.NoSuch: write one type a line, as in Go: pkg.T, *pkg.T or []pkg.T, of the package or of imports of this file",
			"8:1: //rmi:types 5: write one type a line, as in Go: pkg.T, *pkg.T or []pkg.T, of the package or of imports of this file",
			"9:1: //rmi:types error: list the types that an interface may hold, not the interface",
			"10:1: //rmi:types chan int: chan int cannot travel: take or return a stream, iter.Seq2[T, error], or pass a //rmi:remote interface with a method that receives the values",
			"11:1: //rmi:types time.Duration, time.Month: write one type a line, as in Go: pkg.T, *pkg.T or []pkg.T, of the package or of imports of this file",
			"12:1: //rmi:types map[string]*http.body: http.body is not exported by its package, which alone can list it: give it an exported name, or let the interface hold a type of your own in its place",
			"13:1: //rmi:types sealed: sealed has no exported field, so nothing of it would arrive: export what should travel, or pass a //rmi:remote interface",
			"14:1: //rmi:types *http.Protocols: http.Protocols has no exported field, so nothing of it would arrive: send a type with exported fields",
			"25:1: //rmi:types without //rmi:remote: Unmarked is not marked",
		}},
		{"ADirectiveThatIsNoDirectiveButForItsLooksIsRefused", `
import "context"

/*rmi:remote*/
type Account interface {
	//RMI:oneway
	M(context.Context) error
	// rmi:timeout 5s
	N(context.Context) error
	//rmi:onway
	O(context.Context) error
	//rmi: idempotent
	P(context.Context) error
	//rmi:Serial
	Q(context.Context) error
}

// rmi:remote is prose here, and so is
// rmi:errors are.
//
//	rmi:orphan keep
// rmi:use example.com/x.Y=example.com/yrmi
var _ Account`, []string{
			"5:1: a directive begins with //rmi: exactly, without blanks: write //rmi:remote",
			"7:2: a directive begins with //rmi: exactly, without blanks: write //rmi:oneway",
			"9:2: a directive begins with //rmi: exactly, without blanks: write //rmi:timeout 5s",
			"11:2: //rmi:onway is no directive: did you mean //rmi:oneway?",
			"13:2: a directive begins with //rmi: exactly, without blanks: write //rmi:idempotent",
			"15:2: a directive begins with //rmi: exactly, without blanks: write //rmi:serial",
			"22:1: a directive begins with //rmi: exactly, without blanks: write //rmi:orphan keep",
			"23:1: a directive begins with //rmi: exactly, without blanks: write //rmi:use example.com/x.Y=example.com/yrmi",
		}},
		{"TheMeaningOfADirectiveIsChecked", `
import "context"

//rmi:remote
//rmi:remote
//rmi:serial always
type Account interface {
	//rmi:oneway
	Get(ctx context.Context, key string) (value string, err error)
	//rmi:oneway
	Set(ctx context.Context, keys ...string) error
	//rmi:timeout
	A(context.Context) error
	//rmi:timeout 5
	B(context.Context) error
	//rmi:timeout -1s
	C(context.Context) error
	//rmi:timeout 5s
	//rmi:timeout 6s
	D(context.Context) error
	//rmi:orphan
	E(context.Context) error
	//rmi:orphan kept
	F(context.Context) error
	//rmi:orphan forget
	G(context.Context) error
	//rmi:oneway
	//rmi:resumable
	H(context.Context) error
}

//rmi:remote asnyc
type Other interface{ M(context.Context) error }

//rmi:remote please
type Third interface{ M(context.Context) error }

//rmi:use example.com/x.Y
//rmi:use example.com/x=example.com/yrmi
//rmi:use example.com/x.y=example.com/yrmi
//rmi:use Y=example.com/yrmi
//rmi:use "example.com/x".Y="example.com/yrmi"

func f() {
	//rmi:use example.com/x.Y=example.com/yrmi
}`, []string{
			"6:1: //rmi:remote stands here twice: leave one of them out",
			"7:1: //rmi:serial takes no always: write //rmi:serial",
			"10:2: Account.Get: //rmi:oneway on a method with results: nobody waits for them: write Get(ctx context.Context, key string) error, or leave the directive out",
			"13:2: //rmi:timeout: write a duration as in Go, with its unit: //rmi:timeout 1m30s",
			"15:2: //rmi:timeout 5: write a duration as in Go, with its unit: //rmi:timeout 1m30s",
			"17:2: //rmi:timeout -1s: a call cannot end before it begins: write a positive duration, or leave the line out for no timeout of its own",
			"20:2: //rmi:timeout stands here twice: leave one of them out",
			"22:2: //rmi:orphan: write //rmi:orphan cancel, //rmi:orphan finish, //rmi:orphan keep",
			"24:2: //rmi:orphan kept: write //rmi:orphan keep",
			"26:2: //rmi:orphan forget: write //rmi:orphan cancel, //rmi:orphan finish, //rmi:orphan keep",
			"28:2: Account.H: //rmi:oneway and //rmi:resumable exclude each other: nobody waits for a one-way call, so nobody can resume it",
			"33:1: //rmi:remote takes no asnyc: did you mean //rmi:remote async?",
			"36:1: //rmi:remote takes no please: write //rmi:remote",
			"39:1: //rmi:use example.com/x.Y: name the interface and the package of its descriptor: //rmi:use example.com/x.Y=example.com/yrmi",
			"40:1: //rmi:use example.com/x=example.com/yrmi: name the interface and the package of its descriptor: //rmi:use example.com/x.Y=example.com/yrmi",
			"41:1: //rmi:use example.com/x.y=example.com/yrmi: name the interface and the package of its descriptor: //rmi:use example.com/x.Y=example.com/yrmi",
			"42:1: //rmi:use Y=example.com/yrmi: name the interface and the package of its descriptor: //rmi:use example.com/x.Y=example.com/yrmi",
			"43:1: //rmi:use \"example.com/x\".Y=\"example.com/yrmi\": name the interface and the package of its descriptor: //rmi:use example.com/x.Y=example.com/yrmi",
			"46:2: //rmi:use belongs in the doc comment of an interface type, or outside of declarations",
		}},
		{"AnAsynchronousViewWhoseNamesAreTakenIsRefused", `
import "context"

//rmi:remote async
type Account interface {
	Promise(context.Context) error
	Two(context.Context) (int, int, error)
}

type AsyncAccount int

func AsyncAccountOf() {}

type AsyncAccountTwo struct{}`, []string{
			"6:6: Account: its asynchronous view will declare AsyncAccount, a name already used at DIR/p.go:11:6: rename that or the interface",
			"6:6: Account: its asynchronous view will declare AsyncAccountOf, a name already used at DIR/p.go:13:6: rename that or the interface",
			"6:6: Account: its asynchronous view will declare AsyncAccountTwo, a name already used at DIR/p.go:15:6: rename that or the interface",
			"7:2: Account.Promise: the asynchronous view has a method Promise of its own: rename this one, or leave async out",
		}},
		{"ADirectiveWhereItMeansNothingIsRefused", `
import "context"

//rmi:remote

type Account interface {
	//rmi:remote
	M(context.Context) error //rmi:idempotent
	//rmi:idempotent now
	N(context.Context) error
	//rmi:idempotent
	Base
}

//rmi:idempotent
type Base interface{ P(context.Context) error }

//rmi:errors ErrX
func f() {
	//rmi:remote
}

//rmi:remote
type (
	//rmi:errors ErrX
	Unmarked interface{ M(context.Context) error }
)`, []string{
			"5:1: //rmi:remote belongs in the doc comment of an interface type, directly above it",
			"8:2: //rmi:remote belongs in the doc comment of an interface type, directly above it",
			"9:27: //rmi:idempotent belongs in the doc comment of an interface's method, directly above it",
			"10:2: //rmi:idempotent takes no now: write //rmi:idempotent",
			"12:2: //rmi:idempotent belongs in the doc comment of an interface's method, directly above it",
			"16:1: //rmi:idempotent belongs in the doc comment of an interface's method, directly above it",
			"19:1: //rmi:errors belongs in the doc comment of an interface type, directly above it",
			"21:2: //rmi:remote belongs in the doc comment of an interface type, directly above it",
			"24:1: //rmi:remote belongs in the doc comment of an interface type, directly above it",
			"26:2: //rmi:errors without //rmi:remote: Unmarked is not marked",
		}},
		{"AnErrorThatCannotCrossIsRefused", `
import ("context"; "encoding/json"; "io"; "os/exec")

//rmi:remote
//rmi:errors io.EOF
//rmi:errors io.NoSuch
//rmi:errors nowhere.ErrX
//rmi:errors io.EOF, io.EOF
//rmi:errors
//rmi:errors io.ReadAll
//rmi:errors errHidden
//rmi:errors Typed
//rmi:errors *Opaque
//rmi:errors *exec.Error
//rmi:errors *OpError
//rmi:errors StatusError
//rmi:errors *json.SyntaxError
//rmi:errors Whole
type Account interface { M(context.Context) error }

var errHidden = io.EOF
var Typed = &Opaque{}
type Opaque struct { n int }
func (*Opaque) Error() string { return "" }
type OpError struct { Op string; err error }
func (*OpError) Error() string { return "" }
type StatusError struct { *Inner; Status int }
type Inner struct { error; Inner2 }
type Inner2 struct { *Inner; N int }
type Whole struct { Op string; err error }
func (Whole) Error() string { return "" }
func (Whole) MarshalText() ([]byte, error) { return nil, nil }
func (*Whole) UnmarshalText([]byte) error { return nil }`, []string{
			"16:1: //rmi:errors *OpError: OpError.err: the field is not exported and would be lost: export it, or give the type MarshalBinary and UnmarshalBinary",
			"17:1: //rmi:errors StatusError: StatusError.Inner.error: the field is not exported and would be lost: export it, or give the type MarshalBinary and UnmarshalBinary",
			"18:1: //rmi:errors *json.SyntaxError: json.SyntaxError.msg: the field is not exported and would be lost: leave the line out: the error then arrives as its text and what it wraps",
			"7:1: //rmi:errors io.NoSuch: there is no such name in the package or in the imports of this file",
			"8:1: //rmi:errors nowhere.ErrX: there is no such name in the package or in the imports of this file",
			"9:1: //rmi:errors io.EOF, io.EOF: write one Go expression a line: a variable pkg.ErrX, or an error type pkg.T or *pkg.T",
			"10:1: //rmi:errors : write one Go expression a line: a variable pkg.ErrX, or an error type pkg.T or *pkg.T",
			"11:1: //rmi:errors io.ReadAll: it is neither a variable of type error nor an error type",
			"12:1: //rmi:errors errHidden: it is not exported, so that a peer could not have it",
			"13:1: //rmi:errors Typed: a sentinel is a variable of type error: name the type of this one instead",
			"14:1: //rmi:errors *Opaque: Opaque has no exported field, so nothing of it would arrive: export what should travel, or pass a //rmi:remote interface",
		}},
	}
}

func TestADirectiveInATestFileIsRefused(t *testing.T) {
	leak.Check(t)
	dir := newModule(t, "example.com/p")
	writeFile(t, filepath.Join(dir, "job.go"), stoppable)
	writeFile(t, filepath.Join(dir, "job_test.go"), "package p\n\nimport \"context\"\n\n//rmi:remote\ntype Fake interface {\n\t//rmi:idempotent\n\tStop(context.Context) error\n}\n")
	writeFile(t, filepath.Join(dir, "only", "only_test.go"), "package only_test\n\n//rmi:remote\ntype Fake interface{}\n\nconst text = `\n//rmi:remote\n`\n\nfunc {\n")
	const where = " in a test file: nothing is generated for interfaces in test files: move it to another file"
	compareLines(t, refusals(t, dir, "./..."), []string{
		"job_test.go:5:1: //rmi:remote" + where,
		"job_test.go:7:2: //rmi:idempotent" + where,
		"only/only_test.go:3:1: //rmi:remote" + where,
	})
}

// All the packages are of one module and refused in one run, so that each case also shows that no other hides it.
func TestRefusals(t *testing.T) {
	leak.Check(t)
	dir := newModule(t, "example.com/refused")
	cases := slices.Concat(refusedSignatures(), refusedTypes(), refusedInterfaces(), refusedDirectives())
	for i, c := range cases {
		writeFile(t, filepath.Join(dir, fmt.Sprintf("c%02d", i), "p.go"), "package p\n"+c.source+"\n")
	}
	got := refusals(t, dir, "./...")
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			prefix := fmt.Sprintf("c%02d/p.go:", i)
			var mine []string
			for _, line := range got {
				if rest, ok := strings.CutPrefix(filepath.ToSlash(line), prefix); ok {
					mine = append(mine, rest)
				}
			}
			want := make([]string, len(c.want))
			for k, line := range c.want {
				want[k] = strings.ReplaceAll(line, "DIR", fmt.Sprintf("c%02d", i))
			}
			compareLines(t, mine, want)
		})
	}
}

// compareLines compares what was said with what should be; lines of one position may come in any order.
func compareLines(t *testing.T, got, want []string) {
	t.Helper()
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("want, but did not get:\n\t%s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("got, but did not want:\n\t%s", line)
		}
	}
}
