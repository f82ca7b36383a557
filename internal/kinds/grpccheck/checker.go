package grpccheck

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

const (
	// method is the path of the call.
	method = "/grpc.health.v1.Health/Check"
	// maxHeader bounds an answer's headers and trailers, in bytes each.
	maxHeader = 64 << 10
)

// checker is immutable once made.
type checker struct {
	dial             check.DialFunc
	network, address string
	target           string
	service          string
	tls              *tls.Config // nil without TLS
	options          tlsconf.Options

	first   *http.Request // the call without context, body and time limit
	message []byte        // its body
}

// prepare makes the call. The authority is that of the URL, unless another is
// wanted.
func (c *checker) prepare(authority, wanted string, metadata map[string]string) {
	scheme := "http"
	if c.tls != nil {
		scheme = "https"
	}
	c.message = request(c.service)
	c.first = &http.Request{
		Method: http.MethodPost,
		URL:    &url.URL{Scheme: scheme, Host: authority, Path: method},
		Host:   cmp.Or(wanted, authority),
		Header: http.Header{
			"Content-Type": {"application/grpc"},
			"Te":           {"trailers"},
			"User-Agent":   {"hale"},
		},
		Proto: "HTTP/2.0", ProtoMajor: 2,
		ContentLength: int64(len(c.message)),
	}
	for name, value := range metadata {
		c.first.Header.Set(name, value)
	}
}

// Check makes one call.
func (c *checker) Check(ctx context.Context) (string, error) {
	raw, err := c.dial(ctx, c.network, c.address)
	if err != nil {
		return "", check.Failf(check.ReasonOf(err), "%s: no connection: %w", c.target, err)
	}
	defer func() { _ = raw.Close() }()
	// A deadline in the past ends whatever the connection is waiting for.
	defer context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })()
	p := &peer{Conn: raw}
	status, err := c.call(ctx, p)
	if err != nil {
		return "", c.explain(p, err)
	}
	return c.judge(status)
}

// call makes the call on a new connection and returns the status in its answer.
func (c *checker) call(ctx context.Context, p *peer) (uint64, error) {
	var conn net.Conn = p
	if c.tls != nil {
		secure, err := c.handshake(p)
		if err != nil {
			return 0, err
		}
		conn = secure
	}
	client, err := c.speakHTTP2(ctx, conn)
	if err != nil {
		return 0, err
	}
	defer func() { _ = client.Close() }()
	answer, err := client.RoundTrip(c.request(ctx))
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	if err := c.expectGRPC(answer); err != nil {
		return 0, err
	}
	// An answer may be nothing but trailers, which are then its headers.
	if answer.Header.Get("Grpc-Status") != "" {
		if err := c.refused(answer.Header); err != nil {
			return 0, err
		}
		return 0, errNoMessage
	}
	// The trailers are there once the body was read to its end.
	message, err := readMessage(answer.Body)
	if err != nil {
		return 0, err
	}
	if answer.Trailer.Get("Grpc-Status") == "" {
		return 0, check.Failf(check.ReasonProtocol, "the answer ends without a status of gRPC; see what is in front of the server")
	}
	if err := c.refused(answer.Trailer); err != nil {
		return 0, err
	}
	if message == nil {
		return 0, errNoMessage
	}
	return servingStatus(message)
}

var errNoMessage = check.Failf(check.ReasonProtocol, "the answer has the status OK and no message")

// request returns the call with the time that is left for it.
func (c *checker) request(ctx context.Context) *http.Request {
	r := c.first.WithContext(ctx)
	r.Body = io.NopCloser(bytes.NewReader(c.message))
	if deadline, ok := ctx.Deadline(); ok {
		// In milliseconds, and at most eight digits (PROTOCOL-HTTP2.md,
		// "Timeout"). It is rounded up, for a server whose time is over before
		// ours breaks the call off.
		left := min(max(time.Until(deadline).Milliseconds(), 0)+1, 99_999_999)
		r.Header = r.Header.Clone()
		r.Header.Set("Grpc-Timeout", strconv.FormatInt(left, 10)+"m")
	}
	return r
}

// speakHTTP2 begins HTTP/2 (RFC 9113) on the connection, without TLS by prior
// knowledge.
func (c *checker) speakHTTP2(ctx context.Context, conn net.Conn) (*http.ClientConn, error) {
	dial := func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	t := &http.Transport{
		DialContext: dial, DialTLSContext: dial,
		Protocols:              new(http.Protocols),
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerConnection: maxHeader,
			MaxReceiveBufferPerStream:     maxHeader,
		},
	}
	t.Protocols.SetHTTP2(c.tls != nil)
	t.Protocols.SetUnencryptedHTTP2(c.tls == nil)
	// The address is nobody's: the connection is there already.
	return t.NewClientConn(ctx, c.first.URL.Scheme, "localhost:1")
}

// handshake begins TLS.
func (c *checker) handshake(p *peer) (*tls.Conn, error) {
	config := c.tls.Clone()
	config.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		p.asked = "set cert and key"
		for _, own := range config.Certificates {
			p.asked = "it refuses the one that cert has"
			if asked.SupportsCertificate(&own) == nil {
				return &own, nil
			}
		}
		return &tls.Certificate{}, nil
	}
	conn := tls.Client(p, config)
	err := conn.Handshake()
	state := conn.ConnectionState()
	switch {
	case err != nil && strings.Contains(err.Error(), "no application protocol"), err == nil && state.NegotiatedProtocol != "h2":
		return nil, check.Failf(check.ReasonTLS, "speaks TLS and does not agree to HTTP/2 (ALPN h2), which gRPC needs; see what is in front of the server")
	case err != nil:
		return nil, tlsconf.ExplainHandshake(err)
	}
	return conn, c.options.CheckExpiry(state, time.Now())
}

// isGRPC reports whether a content type is gRPC's: application/grpc, or that
// with + or ; and more.
func isGRPC(contentType string) bool {
	rest, ok := strings.CutPrefix(contentType, "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// peer is the connection to the server. It remembers what tells most about a
// server that is not what it was taken for: how its answer begins, and whether it
// asked for a client certificate.
type peer struct {
	net.Conn
	first atomic.Pointer[string] // nil when nothing came yet
	asked string                 // what to do about it; "" when it did not ask
}

// maxFirst is how many bytes of a server's answer are remembered.
const maxFirst = 20

// Read reads from the connection.
func (p *peer) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if n > 0 && p.first.Load() == nil {
		first := string(b[:min(n, maxFirst)])
		p.first.Store(&first)
	}
	return n, err
}

// start is how the server's answer begins; "" when nothing came yet.
func (p *peer) start() string {
	if first := p.first.Load(); first != nil {
		return *first
	}
	return ""
}

// began reports whether the first byte that the server sent was this.
func (p *peer) began(with byte) bool { return strings.HasPrefix(p.start(), string([]byte{with})) }

// foreign reports whether an answer without TLS does not begin as HTTP/2 does:
// with a frame, whose fourth byte is its type (RFC 9113, sections 3.4 and 6).
func (p *peer) foreign() bool {
	const types = 10
	start := p.start()
	return len(start) > 3 && start[3] >= types
}
