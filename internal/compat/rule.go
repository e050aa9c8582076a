package compat

// A Rule is one kind of change.
type Rule struct {
	Name   string
	Breaks string // whom, in words
	Doc    string // what changed, in one line
}

const (
	noneBreak   = "nobody"
	oldBreak    = "old clients"
	newBreak    = "new clients"
	bothBreak   = "both"
	writerBreak = "who writes what the other does not read"
)

// Rules lists the kinds of changes in the order in which they are documented.
func Rules() []Rule {
	return []Rule{
		{"interface-removed", oldBreak, "an interface is gone, or not marked any more"},
		{"interface-renamed", bothBreak, "an interface has another name or package"},
		{"interface-added", newBreak, "an interface that the old version does not have"},
		{"method-removed", oldBreak, "a method is gone"},
		{"method-renamed", bothBreak, "a method has another name"},
		{"method-changed", bothBreak, "a method has another signature, and so another ID"},
		{"method-added", newBreak, "a method that the old version does not have"},
		{"idempotent-withdrawn", oldBreak, "//rmi:idempotent is gone: old clients may call twice"},
		{"idempotent-added", noneBreak, "new clients may call twice"},
		{"serial-withdrawn", oldBreak, "//rmi:serial is gone: calls run at once"},
		{"serial-added", noneBreak, "calls run one at a time"},
		{"oneway-added", noneBreak, "new clients do not wait"},
		{"oneway-withdrawn", noneBreak, "new clients wait"},
		{"timeout-shortened", noneBreak, "new clients give up earlier"},
		{"orphan-changed", noneBreak, "what becomes of a call whose caller has gone"},
		{"error-removed", bothBreak, "an error does not keep its identity or type any more"},
		{"error-changed", bothBreak, "an error value became an error type, or the other way round"},
		{"error-added", noneBreak, "an error that old clients see as its text"},
		{"type-withdrawn", writerBreak, "a type that interface-typed values may not hold any more"},
		{"type-added", writerBreak, "a type that interface-typed values of the old version may not hold"},
		{"field-added", noneBreak, "a field that the old version passes over, or leaves at zero"},
		{"field-removed", noneBreak, "a field that the new version passes over, or leaves at zero"},
		{"field-renamed", bothBreak, "a field travels by another name"},
		{"positional", bothBreak, "a toarray struct has another number of fields, or a struct became one"},
		{"range", writerBreak, "an integer has another range"},
		{"pointer", writerBreak, "a pointer became a value, or the other way round"},
		{"length", bothBreak, "an array has another length"},
		{"kind", writerBreak, "a type has another form on the wire"},
		{"marshaler", bothBreak, "a struct marshals itself by another method, or not any more"},
		{"opaque", noneBreak, "a type that marshals itself has another name"},
		{"remote", writerBreak, "what travelled by value travels by reference, or the interface of a reference has methods that the object may lack"},
		{"holder", writerBreak, "an interface type asks for more methods"},
	}
}
