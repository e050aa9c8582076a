// Package payload has the values that the calls carry, and says what must come back.
//
//	small := payload.NewSmall()
//	reply, err := service.Small(ctx, small)
//	ok := reply.Equal(small)
//
// Every peer carries values of the same content, in types of its own where its code is generated.
package payload

import (
	"encoding/binary"
	"slices"
	"strconv"
)

// Small is what an everyday call carries.
type Small struct {
	ID     int64
	Name   string // 16 characters
	Tags   []string
	Score  float64
	Detail Detail
}

// Detail is the struct within Small.
type Detail struct {
	Version int64
	Region  string
}

// NewSmall returns the one that is sent.
func NewSmall() Small {
	return Small{
		ID: 4_815_162_342, Name: "sixteen-letters!", Tags: []string{"red", "round", "ripe"}, Score: 0.618,
		Detail: Detail{Version: 7, Region: "eu-north"},
	}
}

// Equal reports whether both are the same.
func (s Small) Equal(o Small) bool {
	return s.ID == o.ID && s.Name == o.Name && s.Score == o.Score && s.Detail == o.Detail && slices.Equal(s.Tags, o.Tags)
}

// Order is what a shop might be sent.
type Order struct {
	ID       int64
	Customer string
	Items    []Item
}

// Item is a line of an Order.
type Item struct {
	SKU      string
	Title    string
	Quantity int64
	Cents    int64
	Gift     bool
}

// Receipt answers an Order.
type Receipt struct {
	Order int64
	Lines int64
	Cents int64
}

// Items is how many items the order has.
const Items = 20

// NewOrder returns the one that is sent.
func NewOrder() Order {
	o := Order{ID: 20_260_101, Customer: "Ada Lovelace", Items: make([]Item, Items)}
	for i := range o.Items {
		n := strconv.Itoa(100_000 + i)
		o.Items[i] = Item{SKU: "SKU-" + n, Title: "An article with number " + n, Quantity: int64(i%3 + 1), Cents: int64(995 + 10*i), Gift: i%5 == 0}
	}
	return o
}

// Receipt adds the order up.
func (o Order) Receipt() Receipt {
	r := Receipt{Order: o.ID, Lines: int64(len(o.Items))}
	for _, item := range o.Items {
		r.Cents += item.Quantity * item.Cents
	}
	return r
}

// Node is a binary tree.
type Node struct {
	Value       int64
	Left, Right *Node
}

// Nodes is how many nodes the tree has.
const Nodes = 511

// NewTree returns the one that is sent: full, its nodes numbered from 1 level by level.
func NewTree() *Node { return subtree(1) }

func subtree(value int64) *Node {
	if value > Nodes {
		return nil
	}
	return &Node{Value: value, Left: subtree(2 * value), Right: subtree(2*value + 1)}
}

// IsTree reports whether n, an echo, is what NewTree returns.
func IsTree(n *Node) bool { return isSubtree(n, 1) }

func isSubtree(n *Node, value int64) bool {
	if value > Nodes {
		return n == nil
	}
	return n != nil && n.Value == value && isSubtree(n.Left, 2*value) && isSubtree(n.Right, 2*value+1)
}

// NewBytes returns size bytes; no two blocks of eight of them are the same.
func NewBytes(size int) []byte {
	b := make([]byte, 0, size+8)
	for i := uint64(1); len(b) < size; i++ {
		b = binary.LittleEndian.AppendUint64(b, i*0x9E3779B97F4A7C15)
	}
	return b[:size]
}

// Resembles compares an echo with what was sent as cheaply as calls by the hundred thousand demand: its length and both ends.
func Resembles(echo, sent []byte) bool {
	n := len(sent)
	if len(echo) != n {
		return false
	}
	return n == 0 || echo[0] == sent[0] && echo[n-1] == sent[n-1]
}
