package capture

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/http2"

	"hale/internal/balancer"
)

// A conn is a connection that arrived.
type conn struct {
	nc          net.Conn
	options     Options
	certificate func() (*tls.Certificate, error)
	send        func(*Arrival)
	from, to    netip.AddrPort
	nth         int // requests that were reported
	proxy       *Proxy
	hello       *Hello
}

// arrival returns a new arrival on the connection.
func (c *conn) arrival() *Arrival {
	return &Arrival{At: time.Now(), From: c.from, To: c.to, Proxy: c.proxy, TLS: c.hello}
}

// report hands on an arrival that is complete.
func (c *conn) report(a *Arrival) {
	c.nth++
	a.Nth = c.nth
	c.send(a)
}

// serve looks at all that comes on the connection, answers it, and closes it. It
// returns at once when the context ends.
func (c *conn) serve(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { _ = c.nc.Close() })()
	defer c.nc.Close()
	s := &stream{Conn: c.nc}
	s.within(patience)
	a := c.arrival()
	if err := s.peek(1); err != nil {
		c.mute(ctx, a, err)
		return
	}
	var err error
	if c.proxy, err = readProxy(s); err != nil {
		a.Kind, a.Proxy, a.Ended = Other, c.proxy, short([]byte(err.Error()), 300)
		a.other(s.unread)
		c.report(a)
		c.linger(s)
		return
	}
	a.Proxy = c.proxy
	if err := s.peek(2); err != nil && len(s.unread) == 0 {
		c.mute(ctx, a, err)
		return
	}
	if isHandshake(s.unread) {
		if s = c.secure(ctx, s, a); s == nil {
			return
		}
	}
	c.requests(ctx, s, a)
}

// mute reports a connection on which nothing came.
func (c *conn) mute(ctx context.Context, a *Arrival, err error) {
	if ctx.Err() != nil {
		return // it is not the peer who ended it
	}
	a.waited = time.Since(a.At)
	a.Kind, a.Protocol = Connect, balancer.TCP
	a.Ended = fmt.Sprintf("%s after %s, without a byte", endedBy(err), Seconds(a.waited))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		a.Kind = Silent
		a.Ended = fmt.Sprintf("still open and silent after %v, closed by hale", patience)
	}
	if a.Proxy != nil {
		a.Ended += " after the PROXY header"
	}
	c.report(a)
}

// secure answers a TLS handshake and returns the stream within; nil if nothing
// came within, which it reports.
func (c *conn) secure(ctx context.Context, s *stream, a *Arrival) *stream {
	within, ok := handshake(s, a, c.certificate)
	c.hello = a.TLS
	a.Kind, a.Protocol = Handshake, balancer.SSL
	if !ok {
		if ctx.Err() == nil {
			c.report(a)
		}
		return nil
	}
	if err := within.peek(1); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		a.Ended = endedBy(err) + " after the handshake, without a request"
		// crypto/tls gives a client's alert this form.
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
			a.TLS.fail(err)
		}
		c.report(a)
		return nil
	}
	return within
}

// requests answers the requests of a connection, of which a is the first.
func (c *conn) requests(ctx context.Context, s *stream, a *Arrival) {
	for {
		if isPreface(s) {
			s.take(len(http2.ClientPreface))
			c.http2(s, a)
			return
		}
		if !c.request(s, a) || ctx.Err() != nil {
			return
		}
		s.within(idle)
		if s.peek(1) != nil {
			return
		}
		s.within(patience)
		a = c.arrival()
	}
}

// request answers one request of HTTP/1.x, and reports whether the connection
// goes on.
func (c *conn) request(s *stream, a *Arrival) bool {
	head, end, err := readHead(s)
	a.Bytes = len(head)
	head = mask(head)
	a.parse(head)
	var persistent bool
	code := c.options.Code
	switch end {
	case headWhole:
		a.Kind = Request
		a.goOn(s)
		complete := a.readBody(s)
		persistent = complete && a.persistent()
	case headLong:
		a.Kind, code = TooLong, http.StatusRequestHeaderFieldsTooLarge
		a.Ended = fmt.Sprintf("the head has no end within %d bytes", MaxHead)
	case headOther:
		a.other(head)
		a.Kind, code = Other, http.StatusBadRequest
	case headBroken:
		a.Kind, code = Unfinished, http.StatusRequestTimeout
		a.Ended = "the head did not end: " + endedBy(err)
		if versionOf(a.Line) == "" {
			a.other(head)
		}
	}
	if answerable := end != headBroken || errors.Is(err, os.ErrDeadlineExceeded); answerable {
		s.within(patience)
		if err := a.answerHTTP1(s.Conn, code, persistent); err != nil {
			a.Ended, persistent = "answering failed: "+endedBy(err), false
		}
	}
	c.report(a)
	if !persistent {
		c.linger(s)
	}
	return persistent
}

// other keeps what is no request.
func (a *Arrival) other(b []byte) {
	a.Bytes = max(a.Bytes, len(b))
	a.Line, a.Fields, a.Host, a.Protocol = "", nil, nil, ""
	a.keep(mask(b[:min(len(b), MaxHead)]))
}

// linger lets the peer read the answer before a reset for what it sent and
// nobody read would destroy it (RFC 9112, section 9.6). It is bounded in time
// and in what it reads.
func (c *conn) linger(s *stream) {
	if half, ok := s.Conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		return
	}
	s.within(time.Second)
	_, _ = io.CopyN(io.Discard, s.Conn, 1<<20)
}

// endedBy says in words how reading ended.
func endedBy(err error) string {
	switch {
	case err == nil:
		return "too much came between two requests"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed by the peer"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset by the peer"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "nothing more came in time"
	case errors.Is(err, net.ErrClosed):
		return "closed by hale"
	default:
		return short([]byte(err.Error()), 200)
	}
}
