package transport

import "net"

// A socket is a connection by which several pieces of memory can be sent with one system call, and whose system calls may be cheaper than package
// net's. It is used as a muxConn uses its connection: one goroutine at a time reads, and one writes.
type socket interface {
	net.Conn

	// writeAll sends the parts, one after another. It returns when all is sent, or why not.
	writeAll(parts) error

	// writeNow is writeAll as far as it takes no waiting. It returns how many bytes were sent.
	writeNow(parts) (int, error)
}

// parts are pieces of memory that follow each other.
type parts [3][]byte

// after returns a copy of what comes after the first n bytes.
func (p parts) after(n int) []byte {
	rest := make([]byte, 0, len(p[0])+len(p[1])+len(p[2])-n)
	for _, part := range p {
		skipped := min(n, len(part))
		n -= skipped
		rest = append(rest, part[skipped:]...)
	}
	return rest
}
