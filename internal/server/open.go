package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"
)

const (
	// tlsHandshake is the first byte of a TLS connection (RFC 8446, section
	// 5.1).
	tlsHandshake = 0x16
	// preface is what an HTTP/2 client begins with (RFC 9113, section 3.4).
	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

var badProxy = refusal{DropProxy, NewResponse(400, plainText, "bad request", noStore)}

// open finds out, from its first bytes, what is spoken on the connection: after
// a PROXY protocol header, which may be there, and inside TLS, which may be too,
// it is HTTP/1.x or HTTP/2. It reports whether HTTP/1.x is to be served; HTTP/2
// has been, to its end.
func (c *conn) open(ctx context.Context) bool {
	proxied, encrypted := false, false
	for {
		b := c.in.unread()
		isProxy, maybeProxy := startsProxy(b)
		isHTTP2, maybeHTTP2 := begins(b, preface)
		switch {
		case len(b) == 0:
			c.in.release()
		case !proxied && !encrypted && isProxy:
			n, ok := parseProxy(b, MaxHead)
			if allowed := c.server.mayProxy(c.nc); !ok || !allowed {
				if !allowed {
					c.server.hintProxy(c.nc)
				}
				c.refuse(badProxy)
				return false
			}
			if n > 0 {
				c.in.skip(n)
				proxied = true
				continue
			}
		case !encrypted && b[0] == tlsHandshake:
			if !c.encrypt(ctx) {
				return false
			}
			encrypted = true
			continue
		case isHTTP2:
			c.serveHTTP2()
			return false
		case maybeHTTP2, maybeProxy && !proxied && !encrypted:
		default:
			return true
		}
		if c.wire.read(&c.in) != nil {
			return true // whoever reads next meets the same error
		}
	}
}

// encrypt makes TLS of the connection. It reports whether that went well.
func (c *conn) encrypt(ctx context.Context) bool {
	s := c.server
	if s.tls == nil {
		s.onDrop(DropTLS)
		c.linger()
		return false
	}
	t := tls.Server(&replayed{Conn: c.nc, bytes: c.in.take()}, s.tls)
	c.nc.SetWriteDeadline(time.Now().Add(s.headTimeout))
	if err := t.HandshakeContext(ctx); err != nil {
		switch {
		case c.lane.closing.Load():
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.onDrop(DropHeadTimeout)
		default:
			s.onDrop(DropTLS)
			c.linger() // so that the client reads what was wrong
		}
		return false
	}
	c.nc.SetWriteDeadline(time.Time{})
	c.over, c.wire = t, &plainWire{nc: t}
	return true
}

// A replayed is a connection from which some bytes have been read already. They
// are read again.
type replayed struct {
	net.Conn
	bytes []byte
}

func (r *replayed) Read(b []byte) (int, error) {
	if len(r.bytes) == 0 {
		return r.Conn.Read(b)
	}
	n := copy(b, r.bytes)
	r.bytes = r.bytes[n:]
	if len(r.bytes) == 0 {
		r.bytes = nil
	}
	return n, nil
}
