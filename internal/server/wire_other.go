//go:build !linux

package server

import "net"

// newWire returns the cheapest wire for nc.
func newWire(nc net.Conn) wire { return &plainWire{nc: nc} }
