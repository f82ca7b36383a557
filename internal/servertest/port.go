package servertest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
	"testing"
)

// FreePort returns a TCP port on which nothing listens, on any address. It is
// below the ports that Linux gives to outgoing connections, so that none of
// those can take it before a server does; and no other test is given it until
// this one has ended, whichever process it is in.
func FreePort(tb testing.TB) int {
	tb.Helper()
	port, release, err := ClaimPort()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(release)
	return port
}

// FreeAddress returns a [FreePort] of 127.0.0.1 as HOST:PORT.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(FreePort(tb)))
}

// ClaimPort is [FreePort] for those who have no testing.TB: the port is theirs
// until they release it.
func ClaimPort() (port int, release func(), err error) {
	for range 1000 {
		port := 18000 + rand.IntN(14000)
		// A name in Linux' abstract namespace belongs to one process at a time.
		claim, err := net.Listen("unix", fmt.Sprintf("@hale-test-port-%d", port))
		if err != nil {
			continue
		}
		if !isFree(port) {
			_ = claim.Close()
			continue
		}
		return port, func() { _ = claim.Close() }, nil
	}
	return 0, nil, errors.New("no free port found")
}

// isFree reports whether nothing listens on a port.
func isFree(port int) bool {
	// A program that is being started has a copy of every descriptor until it
	// runs, and would keep the port for a moment after it is closed here.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return false
	}
	_ = listener.Close()
	return true
}
