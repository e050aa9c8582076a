package codec

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"google.golang.org/protobuf/proto"

	"github.com/rmigo/rmigo/bench/codec/pb"
	"github.com/rmigo/rmigo/internal/wire"
	"github.com/rmigo/rmigo/stub"
)

// A shape is one of the values, and how generated code writes and reads it.
type shape[T any] struct {
	name  string
	value T
	put   func(*stub.Encoder, T)
	get   func(*stub.Decoder, *T)
}

func smallShape() shape[Small] {
	return shape[Small]{"small", small(7), func(e *stub.Encoder, v Small) { putSmall(stub.BeginStruct[Small](e), &v); stub.EndStruct(e, v) },
		func(d *stub.Decoder, p *Small) { stub.GetStruct(d, p, getSmall) }}
}

func orderShape() shape[*Order] {
	return shape[*Order]{"order", order(), func(e *stub.Encoder, v *Order) { stub.PutPointer(e, v, putOrder) },
		func(d *stub.Decoder, p **Order) { stub.GetPointer(d, p, getOrder) }}
}

func manyShape() shape[[]Small] {
	return shape[[]Small]{"thousand", thousand(), func(e *stub.Encoder, v []Small) { stub.PutSlice(e, v, putSmall) },
		func(d *stub.Decoder, p *[]Small) { stub.GetSlice(d, p, getSmall) }}
}

func treeShape() shape[*Tree] {
	return shape[*Tree]{"tree", tree(9), func(e *stub.Encoder, v *Tree) { stub.PutPointer(e, v, putTree) },
		func(d *stub.Decoder, p **Tree) { stub.GetPointer(d, p, getTree) }}
}

func graphShape() shape[*Graph] {
	return shape[*Graph]{"dag", graph(), func(e *stub.Encoder, v *Graph) { stub.PutPointer(e, v, putGraph) },
		func(d *stub.Decoder, p **Graph) { stub.GetPointer(d, p, getGraph) }}
}

// A rival is a way to write and read a shape.
type rival[T any] struct {
	name   string
	encode func() []byte
	decode func(data []byte) T
}

func must(t testing.TB, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// rivals returns all ways. rmigo's encoder and buffer are reused, as they are from call to call.
func rivals[T any](t testing.TB, s shape[T]) []rival[T] {
	codec := wire.NewCodec(wire.Limits{})
	var e wire.Encoder
	var d wire.Decoder
	buf := make([]byte, 0, 1<<20)
	write := func(put func()) []byte {
		e.Reset(codec, nil, nil, "argument", buf)
		put()
		data, err := e.Finish()
		must(t, err)
		return data
	}
	read := func(data []byte, get func(*T)) (v T) {
		d.Reset(codec, nil, nil, "argument", data)
		get(&v)
		must(t, d.Finish())
		return v
	}
	return []rival[T]{
		{"generated", func() []byte { return write(func() { s.put(&e, s.value) }) },
			func(data []byte) T { return read(data, func(p *T) { s.get(&d, p) }) }},
		{"reflective", func() []byte { return write(func() { e.Value(s.value) }) },
			func(data []byte) T { return read(data, func(p *T) { d.Value(p) }) }},
		{"cbor", func() []byte { data, err := cbor.Marshal(s.value); must(t, err); return data },
			func(data []byte) (v T) { must(t, cbor.Unmarshal(data, &v)); return v }},
		{"json", func() []byte { data, err := json.Marshal(s.value); must(t, err); return data },
			func(data []byte) (v T) { must(t, json.Unmarshal(data, &v)); return v }},
		{"gob", func() []byte { var b bytes.Buffer; must(t, gob.NewEncoder(&b).Encode(s.value)); return b.Bytes() },
			func(data []byte) (v T) { must(t, gob.NewDecoder(bytes.NewReader(data)).Decode(&v)); return v }},
	}
}

func benchmark[T any](b *testing.B, s shape[T], more ...rival[T]) {
	for _, r := range append(rivals(b, s), more...) {
		b.Run(s.name+"/"+r.name+"/encode", func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				size = len(r.encode())
			}
			b.ReportMetric(float64(size), "bytes")
		})
		data := bytes.Clone(r.encode())
		b.Run(s.name+"/"+r.name+"/decode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.decode(data)
			}
		})
	}
}

func BenchmarkCodec(b *testing.B) {
	benchmark(b, smallShape(), protobuf[Small](b, pbSmall(small(7)), new(pb.Small)))
	benchmark(b, orderShape(), protobuf[*Order](b, pbOrder(order()), new(pb.Order)))
	benchmark(b, manyShape(), protobuf[[]Small](b, pbMany(thousand()), new(pb.Many)))
	benchmark(b, treeShape(), protobuf[*Tree](b, pbTree(tree(9)), new(pb.Tree)))
	benchmark(b, graphShape(), protobuf[*Graph](b, pbGraph(graph()), new(pb.Graph)))
}

// protobuf writes and reads a message that has the shape's value; what it reads stays a message.
func protobuf[T any](t testing.TB, message, kind proto.Message) rival[T] {
	return rival[T]{"protobuf", func() []byte { data, err := proto.Marshal(message); must(t, err); return data },
		func(data []byte) (v T) {
			must(t, proto.Unmarshal(data, kind.ProtoReflect().New().Interface()))
			return v
		}}
}

func pbSmall(v Small) *pb.Small {
	return &pb.Small{Id: v.ID, Name: v.Name, Email: v.Email, Age: v.Age, Score: v.Score, Active: v.Active, Balance: v.Balance, City: v.City, Flags: v.Flags, Rate: v.Rate}
}

func pbOrder(v *Order) *pb.Order {
	o := &pb.Order{Id: v.ID, Customer: v.Customer, Labels: v.Labels, Total: v.Total, Paid: v.Paid}
	for _, i := range v.Items {
		o.Items = append(o.Items, &pb.Item{Sku: i.SKU, Title: i.Title, Quantity: int64(i.Quantity), Price: i.Price})
	}
	return o
}

func pbMany(list []Small) *pb.Many {
	all := &pb.Many{}
	for _, v := range list {
		all.All = append(all.All, pbSmall(v))
	}
	return all
}

func pbTree(v *Tree) *pb.Tree {
	if v == nil {
		return nil
	}
	return &pb.Tree{Value: int64(v.Value), Left: pbTree(v.Left), Right: pbTree(v.Right)}
}

func pbGraph(g *Graph) *pb.Graph {
	all := &pb.Graph{}
	for _, v := range g.Vertices {
		all.Vertices = append(all.Vertices, pbVertex(v))
	}
	return all
}

func pbVertex(v *Vertex) *pb.Vertex {
	p := &pb.Vertex{Name: v.Name, Value: v.Value}
	for _, n := range v.Next {
		p.Next = append(p.Next, pbVertex(n))
	}
	return p
}

func testShape[T any](t *testing.T, s shape[T]) {
	t.Run(s.name, func(t *testing.T) {
		all := rivals(t, s)
		generated, reflective := bytes.Clone(all[0].encode()), bytes.Clone(all[1].encode())
		if !bytes.Equal(generated, reflective) {
			t.Errorf("generated code writes\n%x, reflection\n%x", generated, reflective)
		}
		for _, r := range all[:2] {
			if got := r.decode(reflective); !reflect.DeepEqual(got, s.value) {
				t.Errorf("%s reads %+v, want %+v", r.name, got, s.value)
			}
			if got := r.decode(reflective); !bytes.Equal(rivals(t, shape[T]{value: got})[1].encode(), reflective) {
				t.Errorf("what %s reads has other bytes: it shares something else", r.name)
			}
		}
	})
}

func TestGeneratedCodeHasTheBytesOfReflection(t *testing.T) {
	testShape(t, smallShape())
	testShape(t, orderShape())
	testShape(t, manyShape())
	testShape(t, treeShape())
	testShape(t, graphShape())
	testShape(t, shape[*Tree]{"deep", func() *Tree {
		var t *Tree
		for i := range 1000 {
			t = &Tree{Value: i, Left: t}
		}
		t.Right = t.Left
		return t
	}(), treeShape().put, treeShape().get})
	testShape(t, shape[*Order]{"nil and empty", &Order{Items: []Item{}, Labels: map[string]string{}}, orderShape().put, orderShape().get})
	testShape(t, shape[*Order]{"nil", nil, orderShape().put, orderShape().get})
	testShape(t, shape[[]Small]{"empty", []Small{{}}, manyShape().put, manyShape().get})
}
