package servertest

import (
	"net"
	"sync"
	"testing"
)

// Peer handles every connection to the loopback address it returns until the
// test ends, for what no real server can be made to say.
func Peer(tb testing.TB, handle func(net.Conn)) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	Handle(tb, l, handle)
	return l.Addr().String()
}

// Handle handles every connection to a listener, in a goroutine each, until the
// test ends. A connection is closed when handle returns or the test ends, which
// waits for all of them.
func Handle(tb testing.TB, l net.Listener, handle func(net.Conn)) {
	var (
		mu      sync.Mutex
		open    = map[net.Conn]bool{}
		ended   bool
		workers sync.WaitGroup
	)
	// enter reports whether the test still wants the connection.
	enter := func(conn net.Conn) bool {
		mu.Lock()
		defer mu.Unlock()
		open[conn] = !ended
		return !ended
	}
	leave := func(conn net.Conn) {
		mu.Lock()
		defer mu.Unlock()
		delete(open, conn)
		_ = conn.Close()
	}
	workers.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			workers.Go(func() {
				defer leave(conn)
				if enter(conn) {
					handle(conn)
				}
			})
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		ended = true
		for conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		workers.Wait()
	})
}
