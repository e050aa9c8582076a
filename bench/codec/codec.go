// Package codec compares the codec of rmigo, by reflection and by generated code, with encoding/gob, encoding/json, protobuf and
// fxamacker/cbor, on values of five shapes:
//
//	go test -bench . ./codec
//
// Its tests hold the bytes of generated code to those of reflection.
package codec

import (
	"context"
	"fmt"
)

//go:generate go tool rmigen

// Small is a struct of ten fields.
type Small struct {
	ID      int64
	Name    string
	Email   string
	Age     int32
	Score   float64
	Active  bool
	Balance int64
	City    string
	Flags   uint32
	Rate    float32
}

// Order has twenty items and a map.
type Order struct {
	ID       int64
	Customer string
	Items    []Item
	Labels   map[string]string
	Total    float64
	Paid     bool
}

// Item is one line of an Order.
type Item struct {
	SKU      string
	Title    string
	Quantity int
	Price    float64
}

// Tree is a binary tree.
type Tree struct {
	Value       int
	Left, Right *Tree
}

// Graph has vertices that others share.
type Graph struct{ Vertices []*Vertex }

// Vertex is a node of a Graph.
type Vertex struct {
	Name  string
	Value float64
	Next  []*Vertex
}

// Echo has each of them as an argument, so that rmigen writes code for it.
//
//rmi:remote
type Echo interface {
	Small(ctx context.Context, v Small) (Small, error)
	Order(ctx context.Context, v *Order) (*Order, error)
	Many(ctx context.Context, v []Small) ([]Small, error)
	Tree(ctx context.Context, v *Tree) (*Tree, error)
	Graph(ctx context.Context, v *Graph) (*Graph, error)
}

// small returns the struct of somebody whose name and address nobody else has.
func small(i int) Small {
	name := fmt.Sprintf("Ada Lovelace %d", i)
	return Small{ID: int64(i), Name: name, Email: fmt.Sprintf("ada%d@example.com", i), Age: 36, Score: 99.5, Active: true, Balance: -1234567, City: "London", Flags: 7, Rate: 0.25}
}

func order() *Order {
	o := &Order{ID: 4711, Customer: "Ada Lovelace", Total: 1234.5, Paid: true, Labels: map[string]string{"region": "eu", "tier": "gold", "via": "web"}}
	for i := range 20 {
		o.Items = append(o.Items, Item{SKU: fmt.Sprintf("sku-%06d", 37*i), Title: "A thing of some length", Quantity: i + 1, Price: 9.75})
	}
	return o
}

func thousand() (all []Small) {
	for i := range 1000 {
		all = append(all, small(i))
	}
	return all
}

// tree returns a tree of 2ⁿ−1 nodes.
func tree(n int) *Tree {
	if n == 0 {
		return nil
	}
	return &Tree{Value: n * 100, Left: tree(n - 1), Right: tree(n - 1)}
}

// graph returns layers of vertices, each of which has those of the next in common.
func graph() *Graph {
	g := &Graph{}
	var next []*Vertex
	for layer := range 4 {
		var here []*Vertex
		for i := range 4 {
			here = append(here, &Vertex{Name: "vertex", Value: float64(layer*10 + i), Next: append([]*Vertex{}, next...)})
		}
		next, g.Vertices = here, append(g.Vertices, here...)
	}
	return g
}
