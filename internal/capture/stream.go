package capture

import (
	"net"
	"slices"
	"time"
)

// Bounds on what a peer may send and how long it may take.
const (
	// MaxHead is how many bytes of a head are read and kept.
	MaxHead = 64 << 10
	// MaxConnections is how many connections are held at a time; more are
	// closed at once.
	MaxConnections = 256
	// patience is how long a head, a handshake or a body may take.
	patience = 10 * time.Second
	// idle is how long the next request of a connection may take.
	idle = 2 * time.Minute
)

// A stream is a connection whose first bytes were looked at.
type stream struct {
	net.Conn
	unread []byte
}

// Read returns what was looked at and not taken, then what comes.
func (s *stream) Read(b []byte) (int, error) {
	if len(s.unread) > 0 {
		n := copy(b, s.unread)
		s.take(n)
		return n, nil
	}
	return s.Conn.Read(b)
}

// more waits for more bytes, of which it keeps them all.
func (s *stream) more() error {
	s.unread = slices.Grow(s.unread, 4096)
	n, err := s.Conn.Read(s.unread[len(s.unread):cap(s.unread)])
	s.unread = s.unread[:len(s.unread)+n]
	if n > 0 {
		return nil
	}
	return err
}

// peek waits until there are n bytes.
func (s *stream) peek(n int) error {
	for len(s.unread) < n {
		if err := s.more(); err != nil {
			return err
		}
	}
	return nil
}

// take returns n bytes that are there, for good.
func (s *stream) take(n int) []byte {
	taken := s.unread[:n:n]
	s.unread = s.unread[n:]
	return taken
}

// within sets the deadline.
func (s *stream) within(d time.Duration) { _ = s.SetDeadline(time.Now().Add(d)) }
