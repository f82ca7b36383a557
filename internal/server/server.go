package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what a Server may be told. The zero value is usable.
type Options struct {
	// MaxConnections bounds the connections of all listeners together. When
	// there are as many, a new one takes the place of the one that has waited
	// longest for its client. 0 is 4096. It is never more than half of the
	// files that the process may open, so that a flood leaves the checks enough.
	MaxConnections int
	// HeadTimeout is how long a request's head may take from its first byte,
	// or from the connection's start if it is the first, with whatever goes
	// before it (PROXY protocol, TLS handshake); and a body that is read. 0 is
	// 5 s.
	HeadTimeout time.Duration
	// IdleTimeout is how long a connection may wait for its next request; it
	// may be 2 % shorter. 0 is 75 s, which is no checker's usual interval: if
	// it were, the connection would close just as the next request comes.
	IdleTimeout time.Duration
	// WriteTimeout is how long a client may leave an answer unread once the
	// system's buffers are full. 0 is 5 s.
	WriteTimeout time.Duration
	// Grace is how long, at shutdown, answers in flight are waited for. 0 is
	// 5 s.
	Grace time.Duration
	// ProxyFrom are the networks of those who may begin a connection with a
	// PROXY protocol header, version 1 or 2. Whoever else does is refused. Empty
	// is nobody. A connection without one is served in any case.
	ProxyFrom []netip.Prefix
	// TLS makes the listener speak TLS too, with those who begin with it; see
	// NewTLS. Nil drops them.
	TLS *tls.Config
	// Log takes faults; nothing is logged for a request. Nil is silent.
	Log *slog.Logger
	// OnAnswer is called after each answer. It is called from many goroutines
	// at once and must be quick. Nil is allowed.
	OnAnswer func(status int)
	// OnDrop is called, in the same way, with one of the Drop reasons for each
	// connection that is ended for a fault of the client's or for want of room.
	OnDrop func(reason string)
}

// Reasons for which a connection is ended by the server; see [Options.OnDrop].
const (
	// DropConnections: a new one found no room, as all others were busy.
	DropConnections = "connections"
	// DropEvicted: it had waited longest when a new one needed its place.
	DropEvicted = "evicted"
	// DropHeadTimeout: no whole head came in time.
	DropHeadTimeout = "head_timeout"
	// DropBodyTimeout: a body that was announced did not come in time.
	DropBodyTimeout = "body_timeout"
	// DropWriteTimeout: the client did not read its answers.
	DropWriteTimeout = "write_timeout"
	// DropTooLarge: the head is larger than MaxHead.
	DropTooLarge = "too_large"
	// DropMalformed: what came is no request.
	DropMalformed = "malformed"
	// DropVersion: what came is neither HTTP/1.x nor begins HTTP/2.
	DropVersion = "version"
	// DropTLS: the client speaks TLS where none is spoken, or its handshake
	// failed.
	DropTLS = "tls"
	// DropProxy: a PROXY protocol header that is malformed, too long, or comes
	// from an address that may not send one.
	DropProxy = "proxy"
)

// DropReasons returns all reasons, sorted.
func DropReasons() []string {
	return []string{DropBodyTimeout, DropConnections, DropEvicted, DropHeadTimeout, DropMalformed,
		DropProxy, DropTLS, DropTooLarge, DropVersion, DropWriteTimeout}
}

// A refusal is what is said to a client that is not understood.
type refusal struct {
	reason   string
	response *Response
}

const plainText = "text/plain; charset=utf-8"

var (
	refusals = [...]refusal{
		faultMalformed: {DropMalformed, NewResponse(400, plainText, "bad request", noStore)},
		faultVersion:   {DropVersion, NewResponse(505, plainText, "HTTP version not supported", noStore)},
	}
	tooSlow  = refusal{DropHeadTimeout, NewResponse(408, plainText, "request timeout", noStore)}
	tooLarge = refusal{DropTooLarge, NewResponse(431, plainText, "request header fields too large", noStore)}
	failed   = NewResponse(500, plainText, "internal server error", noStore)
)

// lastWait is how long a handler may take to notice that it was given up.
const lastWait = time.Second

// A Server answers requests on any number of listeners.
type Server struct {
	handler                                       Handler
	headTimeout, idleTimeout, writeTimeout, grace time.Duration
	log                                           *slog.Logger
	onAnswer                                      func(status int)
	onDrop                                        func(reason string)
	start                                         time.Time
	date                                          dateField
	memory                                        sync.Pool
	roster                                        roster
	proxyFrom                                     []netip.Prefix
	proxyHint                                     sync.Once
	tls                                           *tls.Config
	watches                                       atomic.Int64 // gRPC Watches that are open
}

// New makes a server that answers with h.
func New(h Handler, o Options) *Server {
	s := &Server{
		handler:      h,
		headTimeout:  or(o.HeadTimeout, 5*time.Second),
		idleTimeout:  or(o.IdleTimeout, 75*time.Second),
		writeTimeout: or(o.WriteTimeout, 5*time.Second),
		grace:        or(o.Grace, 5*time.Second),
		log:          o.Log,
		onAnswer:     o.OnAnswer,
		onDrop:       o.OnDrop,
		start:        time.Now(),
		memory:       sync.Pool{New: func() any { return new(memory) }},
		proxyFrom:    o.ProxyFrom,
		tls:          o.TLS,
	}
	s.roster = roster{limit: max(1, min(or(o.MaxConnections, 4096), fileLimit()/2)), now: s.now}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.onAnswer == nil {
		s.onAnswer = func(int) {}
	}
	if s.onDrop == nil {
		s.onDrop = func(string) {}
	}
	return s
}

// or returns value, or fallback if value is not positive.
func or[T int | time.Duration](value, fallback T) T {
	if value > 0 {
		return value
	}
	return fallback
}

// now is the server's clock: the time since it was made.
func (s *Server) now() time.Duration { return time.Since(s.start) }

// respond asks the handler, whatever it does.
func (s *Server) respond(ctx context.Context, r *Request) (response *Response) {
	defer func() {
		if value := recover(); value != nil {
			s.log.Error("answering failed; the answer was 500", "panic", value, "stack", string(debug.Stack()))
			response = failed
		}
	}()
	if response = s.handler.Respond(ctx, r); response == nil {
		return failed
	}
	return response
}

// A lane is a listener's connections.
type lane struct {
	closing atomic.Bool
	ending  chan struct{} // closed when closing becomes true
	conns   sync.WaitGroup
	http2   *http2Side
}

// Serve answers on l until ctx ends. Then it closes l, answers what is in
// flight with Connection: close, closes the connections that wait for a
// request, and returns nil when all have ended. Answers that take longer than
// the grace are cut off, which is an error; so is it if l is closed by others.
// Serve may be called for several listeners at the same time.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	// The handler's context outlives ctx by the grace.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	ln := &lane{ending: make(chan struct{})}
	ln.http2 = newHTTP2Side(work, s)
	err := s.accept(ctx, work, ln, l)
	l.Close()
	return errors.Join(err, s.finish(ln, cancel))
}

// finish ends the lane's connections and waits for them.
func (s *Server) finish(ln *lane, cancel context.CancelFunc) error {
	ln.closing.Store(true)
	close(ln.ending)
	defer ln.http2.end()()
	for _, c := range s.roster.of(ln) {
		if !c.streams.handed.Load() { // HTTP/2 says goodbye by itself
			c.nc.SetReadDeadline(time.Now().Add(lastCall))
		}
	}
	done := make(chan struct{})
	go func() {
		ln.conns.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(s.grace):
	}
	late := s.roster.of(ln)
	cancel()
	for _, c := range late {
		c.abort()
	}
	select {
	case <-done:
		return fmt.Errorf("%d connections were cut off: they had not ended %v after the listener was closed", len(late), s.grace)
	case <-time.After(lastWait):
		return errors.New("answers are still being made though they were given up: a check does not end when it is told to")
	}
}
