package httpcheck

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"golang.org/x/net/proxy"

	"hale/internal/check"
)

const proxyCredentialsHint = "write its URL with USER:PASSWORD@ before the host"

// toProxy returns r with the credentials for the proxy at via, if its URL has
// any.
func toProxy(r *http.Request, via *url.URL) *http.Request {
	if via.User == nil {
		return r
	}
	r = r.WithContext(r.Context())
	r.Header = r.Header.Clone()
	password, _ := via.User.Password()
	r.Header.Set("Proxy-Authorization", basic(via.User.Username(), password))
	return r
}

// tunnel asks the proxy at the other end of l for a connection to address (RFC
// 9110, section 9.3.6).
func (l *link) tunnel(via *url.URL, address string) error {
	b := newBuffers(l.raw)
	defer b.release()
	r := toProxy(&http.Request{
		Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address,
		Header: http.Header{"User-Agent": {userAgent}},
	}, via)
	err := r.Write(b.writer)
	if err == nil {
		err = b.writer.Flush()
	}
	if err != nil {
		return fmt.Errorf("sending CONNECT: %w", bare(err))
	}
	answer, err := b.answer(r)
	if err != nil {
		return fmt.Errorf("CONNECT: %w", err)
	}
	switch status := statusText(answer.StatusCode); {
	case answer.StatusCode == http.StatusProxyAuthRequired:
		return check.Failf(check.ReasonAuth, "it answers %s; %s", status, proxyCredentialsHint)
	case answer.StatusCode < 200 || answer.StatusCode > 299:
		return check.Failf(check.ReasonStatus, "it does not connect to the server but answers %s", status)
	case b.reader.Buffered() > 0:
		return check.Failf(check.ReasonProtocol, "the server speaks first, which no TLS server does")
	}
	return nil
}

// dialSOCKS connects to address through a SOCKS proxy (RFC 1928).
func (c *checker) dialSOCKS(ctx context.Context, via *url.URL, address string) (net.Conn, error) {
	var auth *proxy.Auth
	if via.User != nil {
		auth = &proxy.Auth{User: via.User.Username()}
		auth.Password, _ = via.User.Password()
	}
	// The connection itself is wanted back, not the one that wraps it.
	var conn net.Conn
	capture := dialerFunc(func(ctx context.Context, network, address string) (_ net.Conn, err error) {
		conn, err = c.dial(ctx, network, address)
		return conn, err
	})
	dialer, err := proxy.SOCKS5("tcp", via.Host, auth, capture)
	if err != nil {
		return nil, err
	}
	_, err = dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", address)
	return conn, err
}

// dialerFunc is a function that opens connections.
type dialerFunc check.DialFunc

func (d dialerFunc) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d(ctx, network, address)
}

// Dial is what package proxy demands of a dialer and does not call.
func (d dialerFunc) Dial(network, address string) (net.Conn, error) {
	return d(context.Background(), network, address)
}
