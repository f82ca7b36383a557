package httpcheck

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"

	"hale/internal/check"
)

// link is an open connection to a server, through a proxy or not, that is
// ready for requests.
type link struct {
	raw     net.Conn
	conn    net.Conn             // raw, or TLS over it
	tls     *tls.ConnectionState // nil without TLS
	http2   *http.ClientConn     // nil for HTTP/1.1
	proxy   *url.URL             // the proxy that requests are addressed to; nil is none
	asked   string               // what to do about the server asking for a client certificate; "" when it did not
	unwatch func() bool
}

// open connects to the server of r. Home says that it is the checked one.
func (c *checker) open(r *http.Request, home bool) (*link, error) {
	ctx := r.Context()
	proxy, err := c.config.Proxy.forRequest(r)
	if err != nil {
		return nil, err
	}
	conn, err := c.connect(ctx, r.URL, home, proxy)
	if err != nil {
		return nil, err
	}
	if home && c.kept != nil {
		noticeDeath(conn)
	}
	l := &link{raw: conn, conn: conn}
	l.watch(ctx)
	if err := c.prepare(l, r, home, proxy); err != nil {
		l.close()
		return nil, l.blame(err)
	}
	return l, nil
}

// connect opens a connection to u's server, to a proxy that requests are to be
// addressed to, or through one that they are not.
func (c *checker) connect(ctx context.Context, u *url.URL, home bool, proxy *url.URL) (net.Conn, error) {
	switch {
	case proxy != nil && proxy.Scheme == "http":
		return c.dial(ctx, "tcp", hostPort(proxy))
	case proxy != nil:
		return c.dialSOCKS(ctx, proxy, hostPort(u))
	case home:
		return c.dial(ctx, c.config.network, c.config.address)
	default:
		return c.dial(ctx, "tcp", hostPort(u))
	}
}

// prepare does what has to be done on a new connection before a request.
func (c *checker) prepare(l *link, r *http.Request, home bool, proxy *url.URL) error {
	addressed := proxy != nil && proxy.Scheme == "http"
	if r.URL.Scheme == "http" {
		if addressed {
			l.proxy = proxy
		}
		if c.config.Version == versionH2C {
			return l.speakHTTP2(r)
		}
		return nil
	}
	if addressed {
		if err := l.tunnel(proxy, hostPort(r.URL)); err != nil {
			return err
		}
	}
	secure := tls.Client(l.raw, c.tlsFor(l, r.URL, home))
	if err := secure.Handshake(); err != nil {
		return handshakeError{err}
	}
	state := secure.ConnectionState()
	l.conn, l.tls = secure, &state
	if state.NegotiatedProtocol == "h2" {
		return l.speakHTTP2(r)
	}
	return nil
}

// tlsFor returns the TLS configuration for l to a server. A client certificate
// and server_name are for the checked server only.
func (c *checker) tlsFor(l *link, u *url.URL, home bool) *tls.Config {
	config := c.tls.Clone()
	if !home {
		config.ServerName, config.Certificates = u.Hostname(), nil
	}
	config.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		l.asked = "set cert and key"
		for _, own := range config.Certificates {
			l.asked = "it refuses the one that cert has"
			if asked.SupportsCertificate(&own) == nil {
				return &own, nil
			}
		}
		return &tls.Certificate{}, nil
	}
	return config
}

// blame finds the cause of a connection that broke: a server that does not like
// the client certificate says so in an alert that may come too late to be read.
func (l *link) blame(err error) error {
	reason := check.ReasonOf(err)
	if l.asked != "" && (isAlert(err) || reason == check.ReasonReset || reason == check.ReasonClosed) {
		return check.Failf(check.ReasonTLS, "the server ends the connection after it asked for a client certificate: %s", l.asked)
	}
	return err
}

// speakHTTP2 begins HTTP/2 (RFC 9113) on the connection.
func (l *link) speakHTTP2(r *http.Request) error {
	dial := func(context.Context, string, string) (net.Conn, error) { return l.conn, nil }
	t := &http.Transport{
		DialContext: dial, DialTLSContext: dial,
		Protocols:              new(http.Protocols),
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerConnection: maxBody,
			MaxReceiveBufferPerStream:     maxBody,
		},
	}
	t.Protocols.SetHTTP2(l.tls != nil)
	t.Protocols.SetUnencryptedHTTP2(l.tls == nil)
	client, err := t.NewClientConn(r.Context(), r.URL.Scheme, hostPort(r.URL))
	l.http2 = client
	return err
}

// watch makes whatever waits for the connection give up when ctx ends.
func (l *link) watch(ctx context.Context) {
	l.unwatch = context.AfterFunc(ctx, func() { _ = l.raw.SetDeadline(time.Unix(1, 0)) })
}

// close closes the connection.
func (l *link) close() {
	l.unwatch()
	if l.http2 != nil {
		_ = l.http2.Close()
	}
	_ = l.raw.Close()
}
