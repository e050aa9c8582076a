package transport

import "net"

// A socket is a connection by which two pieces of memory can be sent with one system call, and whose system calls may be cheaper than package
// net's. It is used as a muxConn uses its connection: one goroutine at a time reads, and one writes.
type socket interface {
	net.Conn

	// writeBoth sends head and then body. It returns when all is sent, or why not.
	writeBoth(head, body []byte) error
}
