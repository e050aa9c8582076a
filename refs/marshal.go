package refs

import (
	"errors"
	"fmt"

	"github.com/rmigo/rmigo/internal/wire"
)

// archive carries references in and out of messages that are stored rather than sent: nothing is exported for their sake, and
// nobody is told of what goes into them.
type archive struct{ courier }

// Export implements wire.Objects for stubs and for objects that are exported already.
func (a *archive) Export(t wire.Type, v any) (wire.Record, error) {
	rec, ok := a.Known(t, v)
	if _, function := t.(Function); function {
		return rec, &Error{Op: "marshal", Kind: ErrMarshal, NotRun: true,
			Err: errors.New("a function lives while a receiver holds it, and what is stored keeps nothing alive: store a remote object with a method")}
	}
	if !ok {
		return rec, &Error{Op: "marshal", Kind: ErrMarshal, NotRun: true,
			Err: fmt.Errorf("this %T is not exported, and what is stored keeps nothing alive: export it first", v)}
	}
	return rec, nil
}

// Marshal returns what write writes, as a message of the methods of the given interfaces would have it. It holds references to
// nothing, and keeps nothing alive.
func (n *Node) Marshal(interfaces []Descriptor, write func(*Encoder)) ([]byte, error) {
	table, err := storedTable(interfaces)
	if err != nil {
		return nil, &Error{Op: "marshal", NotRun: true, Err: err}
	}
	var e Encoder
	e.Reset(n.codec, table, &archive{courier{node: n}}, "value", nil)
	write(&e)
	data, err := e.Finish()
	if err != nil {
		kind, reason := codecKind(err)
		return nil, &Error{Op: "marshal", Kind: kind, Reason: reason, NotRun: true, Err: err}
	}
	return data, nil
}

// Unmarshal has read read what Marshal returned, here or in another process.
func (n *Node) Unmarshal(interfaces []Descriptor, data []byte, read func(*Decoder)) error {
	table, err := storedTable(interfaces)
	if err != nil {
		return &Error{Op: "unmarshal", NotRun: true, Err: err}
	}
	var d Decoder
	d.Reset(n.codec, table, &archive{courier{node: n}}, "value", data)
	d.SetFilters(n.cfg.Filter, nil)
	read(&d)
	err = d.Finish()
	if rest := d.Rest(); err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes follow the value", len(rest))
	}
	if err != nil {
		kind, reason := codecKind(err)
		return &Error{Op: "unmarshal", Kind: kind, Reason: reason, NotRun: true, Err: err}
	}
	return nil
}

// storedTable is the table of what the methods of all these interfaces know, and of the interfaces themselves.
func storedTable(interfaces []Descriptor) (*wire.Table, error) {
	var all []Type
	for _, d := range interfaces {
		all = append(all, Entries(d)...)
	}
	return wire.NewTable(builtinTypes(), all)
}
