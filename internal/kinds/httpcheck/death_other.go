//go:build !linux

package httpcheck

import "net"

// noticeDeath does nothing: only Linux can tell early that a peer is gone.
func noticeDeath(net.Conn) {}
