package httpcheck

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// deathAfter is for how long, in milliseconds, what was sent on a kept
// connection may stay unacknowledged. A living peer's kernel acknowledges at
// once, however slow its server is.
const deathAfter = 1000

// noticeDeath makes a connection fail soon when its peer is gone without a
// word, instead of hanging until the run's timeout (TCP_USER_TIMEOUT, tcp(7)).
func noticeDeath(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, deathAfter)
		})
	}
}
