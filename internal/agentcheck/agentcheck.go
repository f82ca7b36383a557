package agentcheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"hale/internal/check"
	"hale/internal/verdict"
)

// An Answerer knows the verdicts.
type Answerer interface {
	// Answer returns the verdict of a group; ok is false if there is no such
	// group. It reads memory only – but if checks run on demand: then it waits
	// for them, and returns soon after ctx ends.
	Answer(ctx context.Context, group string) (outcome verdict.Outcome, ok bool)
	// Draining reports whether the instance is draining.
	Draining() bool
}

// Options are what [Serve] may be told. The zero value is usable.
type Options struct {
	// DegradedWeight is the weight of a degraded instance, in percent of what
	// HAProxy has configured, from 1 to 100. With it a line says 100% when all
	// is well. 0 leaves HAProxy's weights alone.
	DegradedWeight int
	// MaxConnections bounds the connections; 0 is 128. When there are as many, a
	// new one takes the place of the oldest that has had its line; if none has,
	// it is closed without one.
	MaxConnections int
	// Wait is how long a verdict may take where checks run on demand; after that
	// the line is that of a failure. 0 is 1.5 s: HAProxy gives an agent 2 s
	// unless told otherwise, and leaves the server as it is when no line comes.
	Wait time.Duration
	// Log takes faults; nothing is logged for a connection. Nil is silent.
	Log *slog.Logger
}

const (
	// writeTimeout is for a client that does not even take one line.
	writeTimeout = time.Second
	// lingerTime and lingerBytes bound how long, after the line, bytes are read
	// and forgotten. HAProxy's agent-send may still be under way; were the
	// connection closed before, the reset could reach HAProxy before it has read
	// the line.
	lingerTime  = time.Second
	lingerBytes = 4 << 10
	// minPause and maxPause bound the time between two attempts to accept a
	// connection when that fails.
	minPause, maxPause = 5 * time.Millisecond, time.Second
)

// A server is one call of [Serve].
type server struct {
	answerer Answerer
	options  Options
	conns    sync.WaitGroup

	mu     sync.Mutex
	open   []net.Conn // in the order of their coming
	linger []net.Conn // those of them that had their line
}

// Serve answers on l until ctx ends. Then it closes l and the connections, and
// returns nil when all have ended. If l is closed by others, that is an error.
func Serve(ctx context.Context, l net.Listener, a Answerer, o Options) error {
	if o.MaxConnections == 0 {
		o.MaxConnections = 128
	}
	if o.Wait == 0 {
		o.Wait = 1500 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &server{answerer: a, options: o}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		l.Close()
	})
	err := s.accept(ctx, l)
	if stop() {
		l.Close()
	} else {
		<-stopped
	}
	s.mu.Lock()
	for _, c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.conns.Wait()
	return err
}

// accept takes connections until ctx ends. A failure to accept one is passed
// over: the next may succeed.
func (s *server) accept(ctx context.Context, l net.Listener) error {
	var pause time.Duration
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			if s.admit(c) {
				s.conns.Go(func() { s.serve(ctx, c) })
			}
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("the agent-check listener %v was closed: %w", l.Addr(), err)
		default:
			if pause == 0 {
				s.options.Log.Warn("can't accept connections; trying on", "agent_check", l.Addr().String(), "error", err)
			}
			pause = min(max(2*pause, minPause), maxPause)
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
			}
		}
	}
}

// admit takes c in and reports whether there is a place for it; if not, c is
// closed.
func (s *server) admit(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= s.options.MaxConnections {
		if len(s.linger) == 0 {
			c.Close()
			return false
		}
		s.linger[0].Close()
		s.forget(s.linger[0])
	}
	s.open = append(s.open, c)
	return true
}

// forget takes c off the books. mu is held.
func (s *server) forget(c net.Conn) {
	is := func(other net.Conn) bool { return other == c }
	s.open = slices.DeleteFunc(s.open, is)
	s.linger = slices.DeleteFunc(s.linger, is)
}

// serve says the line and closes the connection.
func (s *server) serve(ctx context.Context, c net.Conn) {
	defer func() {
		c.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.forget(c)
	}()
	line := s.line(ctx)
	if ctx.Err() != nil {
		return // the checks may have been given up, which tells nothing
	}
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return
	}
	s.mu.Lock()
	s.linger = append(s.linger, c)
	s.mu.Unlock()
	if half, ok := c.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
		return
	}
	_ = c.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, c, lingerBytes)
}

// line makes the line of this moment. A fault of hale's own is a failure.
func (s *server) line(ctx context.Context) (line string) {
	defer func() {
		if value := recover(); value != nil {
			s.options.Log.Error("the answer to an agent-check failed", "panic", value)
			line = Line(verdict.Fail, false, s.options.DegradedWeight)
		}
	}()
	if s.answerer.Draining() {
		return Line(verdict.Fail, true, s.options.DegradedWeight)
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Wait)
	defer cancel()
	outcome, ok := s.answerer.Answer(ctx, check.GroupReady)
	if !ok {
		outcome = verdict.Fail // what nobody can vouch for does not pass
	}
	return Line(outcome, s.answerer.Draining(), s.options.DegradedWeight)
}
