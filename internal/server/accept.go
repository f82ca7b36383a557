package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"time"
)

const (
	// minPause and maxPause bound the time between two attempts to accept a
	// connection when that fails.
	minPause, maxPause = 5 * time.Millisecond, time.Second
	// spare is how many connections may be closed when the system has no room
	// for another.
	spare = 32
)

// scarce are the errors of a system that has no room for another connection.
var scarce = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}

// accept takes connections from l and serves them with work, until ctx ends,
// which closes l. A failure to accept one is passed over: the next may succeed.
func (s *Server) accept(ctx, work context.Context, ln *lane, l net.Listener) error {
	var pause time.Duration
	for {
		nc, err := l.Accept()
		switch {
		case err == nil && pause > 0:
			s.log.Info("accepting connections again", "listener", l.Addr().String())
			pause = 0
			fallthrough
		case err == nil:
			s.admit(work, ln, nc)
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("the listener %v was closed: %w", l.Addr(), err)
		default:
			if pause == 0 {
				s.log.Warn("can't accept connections; trying on", "listener", l.Addr().String(), "error", err)
			}
			if slices.ContainsFunc(scarce, func(e error) bool { return errors.Is(err, e) }) {
				for _, c := range s.roster.makeRoom(spare) {
					s.onDrop(DropEvicted)
					c.abort()
				}
			}
			pause = min(max(2*pause, minPause), maxPause)
			sleep(ctx, pause)
		}
	}
}

// admit serves nc, if there is a place for it.
func (s *Server) admit(work context.Context, ln *lane, nc net.Conn) {
	c := s.newConn(ln, nc)
	out, ok := s.roster.admit(c)
	if !ok {
		s.onDrop(DropConnections)
		c.abort()
		return
	}
	ln.conns.Go(func() { c.serve(work) })
	if out != nil {
		s.onDrop(DropEvicted)
		out.abort()
	}
}

// sleep waits for d, at most until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
