package payload

import (
	"bytes"
	"testing"
)

func TestSmallIsAsDescribed(t *testing.T) {
	s := NewSmall()
	if len(s.Name) != 16 || len(s.Tags) != 3 {
		t.Errorf("got %d characters and %d tags, want 16 and 3", len(s.Name), len(s.Tags))
	}
}

func TestTreeHasItsNodes(t *testing.T) {
	var count func(*Node) int
	count = func(n *Node) int {
		if n == nil {
			return 0
		}
		return 1 + count(n.Left) + count(n.Right)
	}
	if n := count(NewTree()); n != Nodes {
		t.Errorf("got %d nodes, want %d", n, Nodes)
	}
}

func TestADamagedTreeIsNoTree(t *testing.T) {
	for name, damage := range map[string]func(*Node){
		"other value":   func(n *Node) { n.Left.Right.Value++ },
		"missing child": func(n *Node) { n.Right.Left = nil },
		"added child": func(n *Node) {
			for n.Left != nil {
				n = n.Left
			}
			n.Left = &Node{}
		},
	} {
		tree := NewTree()
		damage(tree)
		if IsTree(tree) {
			t.Errorf("%s: taken for the tree", name)
		}
	}
	if !IsTree(NewTree()) {
		t.Error("the tree itself is not taken for it")
	}
}

func TestReceiptAddsUp(t *testing.T) {
	o := Order{ID: 7, Items: []Item{{Quantity: 2, Cents: 150}, {Quantity: 1, Cents: 5}}}
	if got, want := o.Receipt(), (Receipt{Order: 7, Lines: 2, Cents: 305}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestBytesHaveTheirLengthAndDiffer(t *testing.T) {
	for _, size := range []int{0, 1, 7, 8, 1 << 10} {
		b := NewBytes(size)
		if len(b) != size {
			t.Errorf("got %d bytes, want %d", len(b), size)
		}
	}
	b := NewBytes(1 << 10)
	if bytes.Equal(b[:512], b[512:]) {
		t.Error("both halves are the same")
	}
}
