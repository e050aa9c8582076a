package rmi

// LinksOf returns how many connections a node has, for tests.
func LinksOf(n *Node) int { return n.refs.Links() }
