package tcpcheck

import (
	"context"
	"errors"
	"net"
	"syscall"

	"hale/internal/check"
)

// connector connects to one address.
type connector struct {
	dial    check.DialFunc
	address string // as dial takes it
	where   string // as people read it
}

// connect is the check that a port takes connections.
type connect struct {
	connector
	seen bool // the peer's program sees the connection, and its orderly end
}

// Check connects and aborts the connection.
func (c *connect) Check(ctx context.Context) (string, error) {
	if !c.seen {
		ctx = check.HandshakeOnly(ctx)
	}
	conn, err := c.open(ctx)
	if err != nil {
		return "", err
	}
	// A reset in place of an orderly close: nothing was sent that could be
	// lost, and neither side is left with a socket in TIME_WAIT.
	if tcp, ok := conn.(*net.TCPConn); ok && !c.seen {
		_ = tcp.SetLinger(0)
	}
	note := "connected to " + conn.RemoteAddr().String()
	_ = conn.Close()
	return note, nil
}

// open connects, and says for a person why it could not.
func (c connector) open(ctx context.Context) (net.Conn, error) {
	conn, err := c.dial(ctx, "tcp", c.address)
	if err == nil {
		return conn, nil
	}
	reason := check.ReasonOf(err)
	switch reason {
	case check.ReasonRefused:
		return nil, check.Failf(reason, "%s refused the connection: nothing listens there; is the service running, and on this address and port? (%w)", c.where, cause(err))
	case check.ReasonTimeout:
		if ofThisHost(err) {
			return nil, check.Failf(reason, "%s does not answer, and is of this host: the program there takes no connections and its queue is full, or this host's firewall drops the packets (%w)", c.where, cause(err))
		}
		return nil, check.Failf(reason, "%s does not answer: the host is down, or a firewall drops the packets (%w)", c.where, cause(err))
	case check.ReasonUnreachable:
		return nil, check.Failf(reason, "%s can't be reached: the network, a route or the host is down (%w)", c.where, cause(err))
	case check.ReasonDNS:
		return nil, check.Failf(reason, "%s: the name does not resolve; is it right, and the name server up? (%w)", c.where, cause(err))
	default:
		return nil, check.Failf(reason, "connecting to %s: %w", c.where, err)
	}
}

// ofThisHost reports whether a dial failed at an address of this host.
func ofThisHost(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	if !ok {
		return false
	}
	addr, ok := e.Addr.(*net.TCPAddr)
	if !ok {
		return false
	}
	return addr.IP.IsUnspecified() || check.OwnAddress(addr.AddrPort().Addr())
}

// cause is the part of a dial's error that does not repeat the address.
func cause(err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}
