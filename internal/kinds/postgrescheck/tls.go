package postgrescheck

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

// tlsPolicy says whether and how connections are encrypted.
type tlsPolicy struct {
	mode    string
	options tlsconf.Options
	config  *tls.Config // nil when TLS is not asked for
}

// optional reports whether a connection without TLS will do as well.
func (p *tlsPolicy) optional() bool { return p.mode == sslPrefer }

// prepare makes the configuration for a server of the given host.
// https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
func (p *tlsPolicy) prepare(host string) error {
	if p.mode == sslDisable {
		return nil
	}
	if host == "" {
		host = "localhost"
	}
	config, err := p.options.Config(host)
	if err != nil {
		return err
	}
	switch {
	case p.mode == sslVerifyFull:
	case p.mode == sslVerifyCA, p.mode == sslRequire && p.options.CA != "" && !p.options.Insecure:
		// Go's own verification is all or nothing; this one leaves the name
		// out.
		config.InsecureSkipVerify = true
		config.VerifyConnection = func(state tls.ConnectionState) error {
			return verifyChain(state, config.RootCAs)
		}
	default:
		config.InsecureSkipVerify = true
	}
	p.config = config
	return nil
}

func verifyChain(state tls.ConnectionState, roots *x509.CertPool) error {
	intermediates := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates})
	return err
}

// errHandshake marks a failed handshake, after which an optional TLS is done
// without.
var errHandshake = errors.New("TLS handshake")

// sslRequest is the message that asks for TLS: its length and code.
var sslRequest = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}

// negotiate asks the server for TLS and returns the connection to go on with,
// which is the same one if the server has none and none will do.
func (c *checker) negotiate(conn net.Conn) (net.Conn, error) {
	if _, err := conn.Write(sslRequest); err != nil {
		return nil, c.failed("asking for TLS", err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return nil, c.failed("no answer to the request for TLS", err)
	}
	switch answer[0] {
	case 'S':
	case 'N':
		if c.tls.optional() {
			return conn, nil
		}
		return nil, check.Failf(check.ReasonTLS, "%s: has no TLS, and sslmode is %s; set ssl = on in postgresql.conf", c.target, c.tls.mode)
	default:
		return nil, check.Failf(check.ReasonProtocol, "%s: is not PostgreSQL: it answers the request for TLS with %q", c.target, answer[:])
	}
	secure := tls.Client(conn, c.tls.config)
	if err := secure.Handshake(); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", c.target, errHandshake, err)
	}
	if err := c.tls.options.CheckExpiry(secure.ConnectionState(), time.Now()); err != nil {
		_ = secure.Close()
		return nil, fmt.Errorf("%s: %w", c.target, err)
	}
	return secure, nil
}
