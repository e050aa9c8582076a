package arch

// An edge lets a package import another one. Both are relative to this module unless they are somebody else's; "x/..." is
// every package below x. Each edge has the reason why it is there, and one that is not used fails the tests.
type edge struct{ from, to, reason string }

// edges are the diagram of ARCHITECTURE.md: what the packages of this module import of each other, bar what generated code
// needs. Everything points down.
var edges = []edge{
	// entry
	{"cmd/registry", "rmi", "the daemon and its subcommands are users of the public API"},
	{"cmd/registry", "inspect", "it prints the cycles that an inspector suspects"},
	{"cmd/registry", "stub", "what a name is bound to is an object of any type"},
	{"cmd/registry", "registry", "it serves the registry's implementation and calls its interface"},
	{"cmd/rmigen", "internal/gen", "the command is flags around the generator"},
	{"cmd/rmigen", "internal/vet", "a subcommand prints what hurts at run time"},
	{"cmd/rmigen", "internal/compat", "a subcommand prints what breaks the other version"},
	{"internal/compat", "internal/gen", "what is compared was read by the generator"},
	{"internal/vet", "internal/gen", "what is vetted was read by the generator"},
	{"internal/vet", "internal/wire", "what every interface-typed value may hold is the codec's to say"},
	{"examples/...", "rmi", "what a user imports"},
	{"examples/...", "examples/...", "an example's programs share the interfaces they speak"},
	{"examples/bank", "registry", "a program that serves a registry of its own makes it there"},
	{"examples/bank", "stub", "whoever implements the registry's interface is handed objects of any type"},

	// facade
	{"rmi", "registry", "Bind and Lookup speak to a registry, and keep bindings alive"},
	{"rmi", "gc", "a node is given its collector"},
	{"rmi", "inspect", "a node answers what its objects refer to"},
	{"rmi", "internal/dynamic", "Invoke calls what it has no generated code for"},
	{"rmi", "skeleton", "Export and Lookup take an interface's descriptor"},
	{"rmi", "stub", "a remote object without a type is a stub"},
	{"rmi", "refs", "Node wraps the node of the remote reference layer"},

	// services
	{"registry", "stub", "its signatures carry objects of any type"},
	{"registry", "refs", "bindings fail with the sentinels of remote references"},
	{"inspect", "refs", "what refers to an object, and to which, is told by references"},
	{"inspect", "stub", "what an object refers to are stubs"},
	{"gc", "refs", "it implements the collector that the remote reference layer asks for"},

	{"internal/dynamic", "skeleton", "any remote object has a descriptor"},
	{"internal/dynamic", "stub", "remote objects among natural values are stub.Object"},
	{"internal/dynamic", "refs", "it reads descriptions and writes arguments"},
	{"internal/dynamic", "internal/wire", "types that mention themselves need the codec's help"},

	// serving and calling
	{"skeleton", "stub", "a descriptor makes stubs"},
	{"skeleton", "refs", "dispatch is the other end of a call"},
	{"stub", "refs", "a stub is a view of a handle"},
	{"stub", "internal/wire", "generated code writes and reads structs by functions of the codec, generic ones, which have no aliases"},

	// reference
	{"refs", "internal/wire", "calls are frames, arguments are encoded graphs"},
	{"refs", "internal/transport", "peers talk over sessions"},

	// for tests
	{"internal/testobj", "internal/wire", "tests that speak the protocol by hand read frames"},
	{"internal/testobj", "stub", "a signature of the test interfaces takes an object of any type"},
}

// foreign are the imports from other modules, by import path.
var foreign = []edge{
	{"internal/transport", "github.com/hashicorp/yamux", "many streams over one connection"},
	{"internal/transport", "github.com/hashicorp/golang-lru/v2/simplelru", "which idle session to close first"},
	{"refs", "github.com/cenkalti/backoff/v5", "the pauses between attempts"},
	{"docs", "github.com/fxamacker/cbor/v2", "the protocol's examples are well-formed to somebody else's library"},
	{"internal/wire", "github.com/fxamacker/cbor/v2", "the encoding of flat values"},
	{"internal/wire", "pgregory.net/rapid", "tests draw types and graphs, and shrink those that fail"},
	{"internal/testobj", "pgregory.net/rapid", "tests draw values for generated code, and shrink those that fail"},
	{"internal/leak", "go.uber.org/goleak", "finds goroutines that outlive a test"},
	{"cmd/registry", "github.com/spf13/cobra", "subcommands, flags, help and completion"},
	{"cmd/rmigen", "github.com/spf13/cobra", "flags, help and usage errors like the other command's"},
}

// linked is what a program links that imports package rmi, beside the standard library.
var linked = []edge{
	{"rmi", "rmi", "the public API"},
	{"rmi", "registry", "the registry's interface and its embedded implementation"},
	{"rmi", "gc", "the collector"},
	{"rmi", "inspect", "the inspector"},
	{"rmi", "internal/dynamic", "calls without generated code"},
	{"rmi", "skeleton", "dispatch"},
	{"rmi", "stub", "calls"},
	{"rmi", "refs", "the remote reference layer"},
	{"rmi", "internal/wire", "the codec"},
	{"rmi", "internal/transport", "sessions"},
	{"rmi", "github.com/cenkalti/backoff/v5", "pauses between attempts"},
	{"rmi", "github.com/fxamacker/cbor/v2", "flat values"},
	{"rmi", "github.com/x448/float16", "cbor's half precision numbers"},
	{"rmi", "github.com/hashicorp/yamux", "streams"},
	{"rmi", "github.com/hashicorp/golang-lru/v2/simplelru", "idle sessions"},
	{"rmi", "github.com/hashicorp/golang-lru/v2/internal", "the list below simplelru"},
}

// generatedImports is what generated code may import of this module and of the standard library besides the packages that
// the signatures name.
var generatedImports = []edge{
	{"*_rmi.go", "context", "the first parameter of every method"},
	{"*_rmi.go", "iter", "streams"},
	{"*_rmi.go", "time", "instants and durations in signatures, timeouts in directives"},
	{"*_rmi.go", "stub", "the calling half"},
	{"*_rmi.go", "skeleton", "the serving half"},
}

// testAids are packages for tests, which therefore may import them, and nothing else may.
var testAids = []edge{
	{"*_test.go", "internal/leak", "a goroutine that outlives its test fails it"},
	{"*_test.go", "internal/testmod", "modules in temporary directories, written by archives"},
	{"*_test.go", "internal/testobj", "remote interfaces with one of each thing that can be passed"},
}

// constants are the package-level variables that are neither errors made by errors.New or fmt.Errorf, nor descriptors, nor
// assertions, and cannot change all the same.
var constants = []edge{
	{"internal/gen", "shape", "embedded text: the language has no embedded constants"},
	{"internal/gen", "asyncShape", "embedded text: the language has no embedded constants"},
	{"rmi", "AnyObject", "another name of a descriptor"},
	{"internal/wire", "controlMode", "options frozen by cbor: its modes are immutable"},
	{"internal/wire", "errorType", "a reflect.Type, which is immutable"},
	{"refs", "errRetired", "a sentinel of type *Error, which says that the call has not run"},
	{"refs", "errCallOver", "a sentinel of type *Error, which is never changed"},
	{"refs", "errRefused", "a sentinel of type *Error, which is never changed"},
}

// selfEvident are what examples need not show.
var selfEvident = []edge{
	{"registry", "Keeper", "what package rmi keeps bindings alive with; programs use that"},
	{"registry", "Keeper.Close", "as Keeper"},
	{"registry", "Keeper.Forget", "as Keeper"},
	{"registry", "Keeper.Keep", "as Keeper"},
	{"registry", "Keeper.Withdraw", "as Keeper"},
	{"registry", "NewKeeper", "as Keeper"},
	{"registry", "Registry", "programs call it through package rmi, whose ExampleLocateRegistry gets one"},
	{"registry", "URL", "ExampleParseURL has one, which it need not name"},
	{"rmi", "Answer", "ExampleBroadcast has one, which it need not name"},
	{"rmi", "GroupError.Unwrap", "for errors.Is and errors.As"},
	{"rmi", "InterfaceDescription", "part of a Description, which ExampleDescribe reads"},
	{"rmi", "MethodDescription", "part of a Description, which ExampleDescribe reads"},
	{"rmi", "TypeDescription", "part of a Description, which ExampleDescribe reads"},
	{"rmi", "ObjectID", "part of an ID, which ExampleSame compares"},
	{"rmi", "ProcessID", "part of an ID, which ExampleSame compares"},
	{"rmi", "Peer", "ExampleCaller has one, which it need not name"},
	{"rmi", "FilterError", "says in words what ExampleFilter prints"},
	{"rmi", "Marshalled.GoString", "for package fmt"},
	{"rmi", "Marshalled.String", "for package fmt"},
}
