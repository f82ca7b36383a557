package check

import (
	"strings"
	"syscall"
)

// skipTimeWait makes the kernel forget the socket as soon as the peer has
// acknowledged that it was closed, instead of keeping it in FIN_WAIT2 and
// TIME_WAIT: TCP_LINGER2 below zero, tcp(7). What TIME_WAIT guards against, a
// late packet of an earlier connection, is guarded against by timestamps and
// random sequence numbers too. Failing to set it is no reason not to connect.
func skipTimeWait(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	return c.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_LINGER2, -1)
	})
}

// holdHandshake makes the kernel delay the acknowledgement that completes the
// handshake: TCP_QUICKACK off, tcp(7).
func holdHandshake(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	return c.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 0)
	})
}
