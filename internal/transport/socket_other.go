//go:build !linux || (!amd64 && !arm64) || (race && !rmigo_sockets) || msan || asan

package transport

import "net"

// asSocket returns no socket: here package net's are as good as any, or what is read into memory is to be seen by who looks for races.
func asSocket(net.Conn) socket { return nil }
