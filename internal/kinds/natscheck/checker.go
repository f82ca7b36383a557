package natscheck

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

// maxReplies is how many lines are read while waiting for PONG: the server may
// send a PING of its own and another INFO before it.
const maxReplies = 8

// checker is immutable once made.
type checker struct {
	dial            check.DialFunc
	address, target string
	demandTLS       bool
	tls             *tls.Config
	options         tlsconf.Options
	jetStream       bool
	login           bool // there are credentials
	plain, secure   []byte
}

// info is what of INFO's argument is of interest.
type info struct {
	Version      string `json:"version"`
	AuthRequired bool   `json:"auth_required"`
	TLSRequired  bool   `json:"tls_required"`
	TLSAvailable bool   `json:"tls_available"`
	JetStream    bool   `json:"jetstream"`
	LameDuck     bool   `json:"ldm"`
}

// Check asks once.
func (c *checker) Check(ctx context.Context) (string, error) {
	raw, err := c.dial(ctx, "tcp", c.address)
	if err != nil {
		return "", check.Failf(check.ReasonOf(err), "%s: no connection: %w", c.target, err)
	}
	defer func() { _ = raw.Close() }()
	// A deadline in the past ends whatever the connection is waiting for.
	defer context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })()
	var asked clientCert
	server, err := c.talk(raw, &asked)
	if err != nil {
		return "", c.explain(err, asked)
	}
	return c.judge(server)
}

// talk has the whole conversation and returns what the server says of itself.
func (c *checker) talk(conn net.Conn, asked *clientCert) (info, error) {
	lines := newLines(conn)
	server, err := lines.info()
	if err != nil {
		return info{}, during("waiting for INFO", err)
	}
	greeting := c.plain
	switch {
	case server.TLSRequired, c.demandTLS && server.TLSAvailable:
		if lines.buffered() {
			// Nothing may come between INFO and TLS: it could be anybody's.
			return info{}, check.Failf(check.ReasonProtocol, "sends more than INFO before TLS begins")
		}
		secure, err := c.handshake(conn, asked)
		if err != nil {
			return info{}, err
		}
		conn, lines, greeting = secure, newLines(secure), c.secure
	case c.demandTLS:
		return info{}, check.Failf(check.ReasonTLS, "the server has no TLS; set tls in its configuration, or write nats:// without options for TLS if that is right")
	}
	// A server that is full says so and hangs up, which may fail the write; what
	// it said can be read all the same.
	_, _ = conn.Write(greeting)
	for range maxReplies {
		line, err := lines.next()
		switch {
		case err != nil:
			return info{}, during("waiting for PONG", err)
		case line == "PONG":
			return server, nil
		case line == "PING", strings.HasPrefix(line, "INFO "):
		case strings.HasPrefix(line, "-ERR"):
			return info{}, c.refused(line, server.AuthRequired)
		default:
			return info{}, &malformed{line, "PONG"}
		}
	}
	return info{}, check.Failf(check.ReasonProtocol, "sends %d lines and no PONG", maxReplies)
}

// clientCert is what to do about the server having asked for a client
// certificate; "" when it did not.
type clientCert string

func (c *checker) handshake(conn net.Conn, asked *clientCert) (*tls.Conn, error) {
	config := c.tls.Clone()
	config.GetClientCertificate = func(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		*asked = "set cert and key"
		for _, own := range config.Certificates {
			*asked = "it refuses the one that cert has"
			if request.SupportsCertificate(&own) == nil {
				return &own, nil
			}
		}
		return &tls.Certificate{}, nil
	}
	secure := tls.Client(conn, config)
	if err := secure.Handshake(); err != nil {
		return nil, tlsconf.ExplainHandshake(err)
	}
	return secure, c.options.CheckExpiry(secure.ConnectionState(), time.Now())
}

// judge says what it means what a server that answers says of itself.
func (c *checker) judge(server info) (string, error) {
	version := check.CleanText(server.Version)
	switch {
	case server.LameDuck:
		return "", check.Failf(check.ReasonLoading, "%s: is in lame duck mode: it is shutting down and sends its clients to other servers", c.target)
	case c.jetStream && !server.JetStream:
		return "", check.Failf(check.ReasonMissing, "%s: has no JetStream; set jetstream in its configuration, or see in its log why it was disabled", c.target)
	case server.JetStream:
		return "PONG, version " + version + ", JetStream", nil
	}
	return "PONG, version " + version, nil
}

// interrupted is an error and what was going on when it came.
type interrupted struct {
	what string
	err  error
}

func (e *interrupted) Error() string { return e.what + ": " + e.err.Error() }
func (e *interrupted) Unwrap() error { return e.err }

// during says what was going on, unless the error tells enough.
func during(what string, err error) error {
	if _, ok := errors.AsType[*check.Error](err); ok {
		return err
	}
	if _, ok := errors.AsType[*malformed](err); ok {
		return err
	}
	return &interrupted{what, err}
}

// explain makes of what led to the end of a conversation what a person needs to
// know.
func (c *checker) explain(err error, asked clientCert) error {
	reason := check.ReasonOf(err)
	broken := reason == check.ReasonReset || reason == check.ReasonClosed
	if asked != "" && (broken || tlsconf.Alert(err) != "") {
		// The alert may come too late to be read.
		return check.Failf(check.ReasonTLS, "%s: ends the connection after it asked for a client certificate: %s: %w", c.target, asked, err)
	}
	if m, ok := errors.AsType[*malformed](err); ok {
		return check.Failf(check.ReasonProtocol, "%s: is not NATS: it says %w", c.target, m)
	}
	hint := ""
	if waits, ok := errors.AsType[*interrupted](err); ok && waits.what == "waiting for INFO" && (broken || errors.Is(err, os.ErrDeadlineExceeded)) {
		hint = "; see whether it is NATS, and has handshake_first off"
	}
	if reason == check.ReasonOther {
		reason = check.ReasonProtocol
	}
	return check.Failf(reason, "%s: %w%s", c.target, err, hint)
}

// parseInfo reads the argument of INFO.
func parseInfo(line string) (info, error) {
	var i info
	text, ok := strings.CutPrefix(line, "INFO ")
	if !ok || json.Unmarshal([]byte(text), &i) != nil {
		return info{}, &malformed{line, "INFO"}
	}
	return i, nil
}
