package kindtest

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// Peers are the misbehaving servers by name. Each handles one connection and
// returns when it is closed.
var Peers = map[string]func(net.Conn){
	// silent accepts, reads and never says a word.
	"silent": func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
	// drip sends one byte a second.
	"drip": func(c net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, c) }()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			if _, err := c.Write([]byte{'H'}); err != nil {
				return
			}
			<-tick.C
		}
	},
	// reset breaks the connection at the first byte, or at once if none comes.
	"reset": func(c net.Conn) {
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, _ = c.Read(make([]byte, 1))
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	},
	// closes hangs up without a word.
	"closes": func(c net.Conn) { _ = c.Close() },
	// garbage sends 8 KiB of noise and hangs up.
	"garbage": func(c net.Conn) {
		noise := make([]byte, 8<<10)
		random := rand.New(rand.NewPCG(1, 2))
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		_, _ = c.Write(noise)
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	},
	// endless sends without end, and without a line break.
	"endless": func(c net.Conn) {
		block := make([]byte, 64<<10)
		for i := range block {
			block[i] = 'A'
		}
		for {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	},
}

type server struct {
	address  string
	accepted chan struct{} // closed at the first connection
	mu       sync.Mutex
	open     map[net.Conn]bool
}

// newServer serves peer on a loopback port until the test ends.
func newServer(t *testing.T, peer func(net.Conn)) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: listener.Addr().String(), accepted: make(chan struct{}), open: map[net.Conn]bool{}}
	var first sync.Once
	var handlers sync.WaitGroup
	handlers.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.open[conn] = true
			s.mu.Unlock()
			first.Do(func() { close(s.accepted) })
			handlers.Go(func() {
				peer(conn)
				_ = conn.Close()
				s.mu.Lock()
				delete(s.open, conn)
				s.mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		s.mu.Lock()
		for conn := range s.open {
			_ = conn.Close()
		}
		s.mu.Unlock()
		handlers.Wait()
	})
	return s
}

// expectNoConnections fails the test if a connection is still open at the
// server's side: the checker did not close it.
func (s *server) expectNoConnections(t *testing.T) {
	t.Helper()
	settled := eventually(3*time.Second, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.open) == 0
	})
	if !settled {
		t.Error("a connection is still open after the run")
	}
}
