package server

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"time"
)

const (
	// maxBody is the largest body in bytes that is read to keep a connection
	// open.
	maxBody = 64 << 10
	// lingerTime and lingerBytes bound how long, after the last answer, bytes
	// are read and forgotten. If the connection were closed with some unread,
	// the reset could reach the client before it has read the answer.
	lingerTime  = time.Second
	lingerBytes = 16 << 20
	// lastCall is how long a request may still be under way to a connection
	// that is waiting at shutdown.
	lastCall = 100 * time.Millisecond
	// sendBuffer is what the system may hold of answers that a client does not
	// read, in bytes. By default it is megabytes for each connection.
	sendBuffer = 32 << 10
)

// A conn is one client's connection. All its fields but server, lane, place, nc
// and streams belong to the goroutine that serves it.
type conn struct {
	server  *Server
	lane    *lane
	place   place
	nc      net.Conn
	streams streams
	over    net.Conn // nc, or TLS over it
	wire    wire
	in      inbox
	// idleUntil is the read deadline, by the server's clock, while it is one
	// for the next request; else 0.
	idleUntil time.Duration
	// asked is true once a request has been understood.
	asked bool
}

func (s *Server) newConn(l *lane, nc net.Conn) *conn {
	if tcp, ok := nc.(*net.TCPConn); ok {
		tcp.SetWriteBuffer(sendBuffer) // best effort
	}
	return &conn{server: s, lane: l, nc: nc, over: nc, wire: newWire(nc), in: inbox{pool: &s.memory}}
}

// serve answers requests until the connection ends.
func (c *conn) serve(ctx context.Context) {
	defer c.end()
	c.setReadDeadline(c.server.headTimeout)
	if !c.open(ctx) {
		return
	}
	var h head
	for c.receive(&h) && c.answer(ctx, &h) && c.discard(h.length) {
		c.rest()
	}
}

// end closes the connection. A fault of hale's own costs this connection only.
func (c *conn) end() {
	if value := recover(); value != nil {
		c.server.log.Error("the listener failed on a connection; it was closed", "panic", value, "stack", string(debug.Stack()))
	}
	c.over.Close()
	c.in.skip(MaxHead)
	c.in.release()
	c.server.roster.remove(c)
}

// abort makes the connection fail at once, from any goroutine.
func (c *conn) abort() {
	if tls, ok := c.nc.(interface{ NetConn() net.Conn }); ok {
		tls.NetConn().Close() // without a goodbye, which could wait for the client
		return
	}
	c.nc.Close()
}

// receive waits for a request and reads its head. If it reports false, the
// connection is to end, and everything that is to be said has been.
func (c *conn) receive(h *head) bool {
	begun := false
	for {
		c.in.skipBlank()
		if b := c.in.unread(); len(b) > 0 {
			n, f := parseHead(b, h)
			switch {
			case f != faultNone:
				c.refuse(refusals[f])
				return false
			case n > 0:
				c.in.skip(n)
				return true
			case len(b) == MaxHead:
				c.refuse(tooLarge)
				return false
			}
			if !begun && c.asked { // the first request's time has run since connect
				c.setReadDeadline(c.server.headTimeout)
			}
			begun = true
		} else {
			*h = head{} // it refers to the memory
			c.in.release()
		}
		if err := c.wire.read(&c.in); err != nil {
			return c.missing(err, h)
		}
	}
}

// missing deals with a request that has not come, or not wholly. It reports
// whether there is one all the same.
func (c *conn) missing(err error, h *head) bool {
	part := c.in.unread()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		if c.lane.closing.Load() || c.asked && len(part) == 0 {
			return false // the usual end of a connection
		}
		if len(part) == 0 {
			c.server.onDrop(DropHeadTimeout)
			return false
		}
		c.refuse(tooSlow)
	case err == io.EOF && len(part) > 0:
		// A client that has shut down its side may await an answer to what it
		// takes for a whole request, though the last line end is missing.
		c.in.room()[0] = '\n'
		c.in.grow(1)
		if n, f := parseHead(c.in.unread(), h); n > 0 && f == faultNone {
			c.in.skip(n)
			h.closes = true
			return true
		}
		c.refuse(refusals[faultMalformed])
	}
	return false
}

// answer answers a request and reports whether another one may follow.
func (c *conn) answer(ctx context.Context, h *head) bool {
	if !c.place.begin() {
		return false
	}
	response := c.server.respond(ctx, &h.Request)
	c.place.done(c.server.now())
	c.asked = true
	e := endOpen
	switch {
	case !h.persistent(), h.expects, h.encoded, h.length > maxBody, c.lane.closing.Load(), string(h.Method) == "CONNECT":
		e = endClosed
	case h.old:
		e = endKept
	}
	if !c.send(response, e, string(h.Method) == "HEAD") {
		return false
	}
	if e == endClosed && (h.bare || h.hasBody() || len(c.in.unread()) > 0) {
		c.linger()
	}
	return e != endClosed
}

// send writes an answer and reports whether that went well.
func (c *conn) send(r *Response, e ending, isHead bool) bool {
	s := c.server
	var out []byte
	if c.in.memory != nil {
		out = c.in.memory.out[:0]
	}
	out = r.appendTo(out, s.date.at(s.now()), e, isHead)
	if err := c.wire.write(out, s.writeTimeout); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			s.onDrop(DropWriteTimeout)
		}
		c.abort() // what was cut short can't be ended well
		return false
	}
	s.onAnswer(r.status)
	return true
}

// refuse answers what is not a request that hale understands, and ends the
// conversation.
func (c *conn) refuse(r refusal) {
	c.server.onDrop(r.reason)
	if c.send(r.response, endClosed, false) {
		c.linger()
	}
}

// linger says that nothing more will be said, and lets the client finish.
func (c *conn) linger() {
	if half, ok := c.over.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	c.setReadDeadline(lingerTime)
	for left := lingerBytes; left > 0; {
		left -= c.in.skip(MaxHead)
		if c.wire.read(&c.in) != nil {
			return
		}
	}
}

// discard reads the body of a request that has been answered. It reports
// whether all of it came.
func (c *conn) discard(length int64) bool {
	left := int(length) // at most maxBody
	left -= c.in.skip(left)
	if left == 0 {
		return true
	}
	c.setReadDeadline(c.server.headTimeout)
	for left > 0 {
		if err := c.wire.read(&c.in); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.server.onDrop(DropBodyTimeout)
			}
			return false
		}
		left -= c.in.skip(left)
	}
	return true
}

// rest gives the next request its time. To move a deadline costs more than to
// understand a request, so it is left where it is if that is a little early.
func (c *conn) rest() {
	until := c.server.now() + c.server.idleTimeout
	if until-c.idleUntil < c.server.idleTimeout/64 {
		return
	}
	c.setReadDeadline(c.server.idleTimeout)
	c.idleUntil = until
}

// setReadDeadline lets reads fail after d; sooner if the lane is closing.
func (c *conn) setReadDeadline(d time.Duration) {
	c.idleUntil = 0
	c.nc.SetReadDeadline(time.Now().Add(d))
	// In this order, whoever closes the lane either is seen here or sets the
	// deadline after us.
	if c.lane.closing.Load() {
		c.nc.SetReadDeadline(time.Now().Add(min(d, lastCall)))
	}
}
