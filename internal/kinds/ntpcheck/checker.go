package ntpcheck

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"hale/internal/check"
)

// checker is immutable once made.
type checker struct {
	dial            check.DialFunc
	address, target string
	maxOffset       time.Duration
	maxStratum      int
}

// Check asks for the time once.
func (c *checker) Check(ctx context.Context) (string, error) {
	reply, sent, took, err := c.ask(ctx)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.target, err)
	}
	if err := c.refuses(reply); err != nil {
		return "", err
	}
	if reply.stratum > c.maxStratum {
		return "", check.Failf(check.ReasonRole, "%s: its stratum is %d, and at most %d is wanted", c.target, reply.stratum, c.maxStratum)
	}
	offset := reply.offset(sent, took)
	said := "behind by " + offset.Abs().Round(time.Microsecond).String()
	if offset < 0 {
		said = "ahead by " + offset.Abs().Round(time.Microsecond).String()
	}
	if offset.Abs() > c.maxOffset {
		return "", check.Failf(check.ReasonSize, "%s: this host's clock is %s, at most %v is wanted; see whether it is synchronised (timedatectl, chronyc tracking)", c.target, said, c.maxOffset)
	}
	return fmt.Sprintf("%s, stratum %d", said, reply.stratum), nil
}

// ask sends a request and waits for the reply to it, ignoring all else. Sent is
// when, by this host's clock, and took how long the reply was in coming.
func (c *checker) ask(ctx context.Context) (reply packet, sent time.Time, took time.Duration, err error) {
	conn, err := c.dial(ctx, "udp", c.address)
	if err != nil {
		return packet{}, sent, 0, err
	}
	defer func() { _ = conn.Close() }()
	// A deadline in the past ends whatever the connection is waiting for.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	var nonce [8]byte
	_, _ = rand.Read(nonce[:]) // never fails
	sent = time.Now()
	if _, err := conn.Write(request(nonce)); err != nil {
		return packet{}, sent, 0, fmt.Errorf("sending the request: %w", err)
	}
	// Longer than a packet with all that may be appended to one.
	buffer := make([]byte, 1024)
	for ignored := 0; ; ignored++ {
		n, err := conn.Read(buffer)
		took = time.Since(sent)
		if err != nil {
			if ignored > 0 {
				err = fmt.Errorf("%w (of what came, %d packets, nothing is a reply to the request)", err, ignored)
			}
			return packet{}, sent, 0, fmt.Errorf("no reply: %w", err)
		}
		if reply, ok := parse(buffer[:n], nonce); ok {
			return reply, sent, took, nil
		}
	}
}

// refuses reports a reply that tells that there is no time to be had: a "kiss
// code" (RFC 5905, section 7.4), or a server that is not synchronised.
func (c *checker) refuses(reply packet) error {
	if reply.stratum == 0 {
		switch reply.reference {
		case "DENY", "RSTR":
			return check.Failf(check.ReasonPermission, "%s: the server refuses this client (%s); see whom it allows", c.target, reply.reference)
		case "RATE":
			return check.Failf(check.ReasonStatus, "%s: the server is asked too often (RATE); set a longer interval", c.target)
		}
	}
	if reply.leap == unsynchronised || reply.stratum == 0 || reply.stratum > maxStratum {
		return check.Failf(check.ReasonLoading, "%s: the server is not synchronised; see its sources (chronyc sources, ntpq -p)", c.target)
	}
	if reply.transmit == 0 || reply.receive == 0 {
		return check.Failf(check.ReasonProtocol, "%s: the reply has no time in it", c.target)
	}
	return nil
}
