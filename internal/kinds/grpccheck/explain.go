package grpccheck

import (
	"errors"
	"strings"

	"hale/internal/check"
)

// explain makes of what a call failed with what a person needs to know.
func (c *checker) explain(p *peer, err error) error {
	if e, ok := errors.AsType[*check.Error](err); ok {
		if strings.HasPrefix(e.Error(), c.target) {
			return err
		}
		return check.Failf(e.Reason, "%s: %w", c.target, err)
	}
	if errors.Is(err, errMessage) {
		return check.Failf(check.ReasonProtocol, "%s: its answer is %w", c.target, err)
	}
	reason := reasonOf(err)
	broken := reason == check.ReasonReset || reason == check.ReasonClosed
	hint := ""
	switch {
	case p.asked != "" && (broken || strings.Contains(err.Error(), "remote error")):
		// The alert may come too late to be read.
		return check.Failf(check.ReasonTLS, "%s: ends the connection after it asked for a client certificate: %s: %w", c.target, p.asked, err)
	case reason == check.ReasonTimeout || reason == check.ReasonCanceled:
	case c.tls == nil && p.began(alert):
		return check.Failf(check.ReasonProtocol, "%s: speaks TLS; write grpcs://", c.target)
	case p.began('H'):
		return check.Failf(check.ReasonProtocol, "%s: speaks HTTP/1, and gRPC needs HTTP/2; see whether the port is right, and whether it wants TLS", c.target)
	case c.tls == nil && p.foreign():
		return check.Failf(check.ReasonProtocol, "%s: does not speak HTTP/2, which gRPC needs: its answer begins with %q; see what listens there", c.target, p.start())
	case c.tls == nil && broken:
		hint = "; write grpcs:// if it speaks TLS"
	case c.tls != nil && p.start() != "" && !p.began(alert) && !p.began(handshake):
		hint = "; write grpc:// if it is without TLS"
	}
	return check.Failf(reason, "%s: %w%s", c.target, err, hint)
}

// The types of TLS records that a server's first may be (RFC 8446, section 5.1).
const (
	alert     = 21
	handshake = 22
)

// reasonOf is [check.ReasonOf] for what net/http's client returns.
func reasonOf(err error) check.Reason {
	reason := check.ReasonOf(err)
	if reason != check.ReasonOther {
		return reason
	}
	switch text := err.Error(); {
	case strings.Contains(text, "tls: "):
		return check.ReasonTLS
	case strings.Contains(text, "GOAWAY"), strings.Contains(text, "conn could not be established"), strings.Contains(text, "conn closed"):
		// It ended the connection before or instead of answering.
		return check.ReasonClosed
	}
	return check.ReasonProtocol
}
