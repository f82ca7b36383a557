package tlscheck

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

// checker is immutable once made.
type checker struct {
	dial            check.DialFunc
	address, target string
	options         tlsconf.Options
	config          *tls.Config
}

// Check does one handshake.
func (c *checker) Check(ctx context.Context) (string, error) {
	conn, err := c.dial(ctx, "tcp", c.address)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.target, err)
	}
	defer func() { _ = conn.Close() }()
	// A deadline in the past ends whatever the connection is waiting for.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	// asked is what to do about the server asking for a client certificate.
	asked := ""
	secure := tls.Client(conn, c.noticing(&asked))
	if err := secure.Handshake(); err != nil {
		return "", c.failed(err, asked)
	}
	state := secure.ConnectionState()
	if err := c.options.CheckExpiry(state, time.Now()); err != nil {
		_ = secure.CloseWrite()
		return "", fmt.Errorf("%s: %w", c.target, err)
	}
	// With it the server reads an end instead of a broken connection.
	err = secure.CloseWrite()
	if err == nil && asked != "" && state.Version >= tls.VersionTLS13 {
		err = verdict(ctx, conn, secure)
	}
	if err != nil {
		return "", c.failed(err, asked)
	}
	return c.options.Describe(state, time.Now()), nil
}

// noticing returns the TLS configuration for one run, in which asked tells what
// to do when the server does not like the client certificate it asked for.
func (c *checker) noticing(asked *string) *tls.Config {
	config := c.config.Clone()
	config.GetClientCertificate = func(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		*asked = "set cert and key"
		for i := range c.config.Certificates {
			*asked = "it refuses the one that cert has"
			if request.SupportsCertificate(&c.config.Certificates[i]) == nil {
				return &c.config.Certificates[i], nil
			}
		}
		return &tls.Certificate{}, nil
	}
	return config
}

// verdict waits for what the server says of the client certificate. Only an
// alert speaks against it: that a server closes, breaks the connection, sends a
// greeting, or stays silent for so long does not.
func verdict(ctx context.Context, conn net.Conn, secure *tls.Conn) error {
	wait := Settle
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)/2) // the time must not run out over this
	}
	defer time.AfterFunc(wait, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }).Stop()
	_, err := secure.Read(make([]byte, 1))
	if tlsconf.Alert(err) != "" {
		return err
	}
	return ctx.Err()
}

// failed describes a handshake that did not succeed.
func (c *checker) failed(err error, asked string) error {
	reason := check.ReasonOf(err)
	if asked != "" && (tlsconf.Alert(err) != "" || reason == check.ReasonReset || reason == check.ReasonClosed) {
		return check.Failf(check.ReasonTLS, "%s: the server ends the connection after it asked for a client certificate: %s (%w)", c.target, asked, err)
	}
	text := ""
	if lacksIssuer(err) {
		text = "; if that is an intermediate authority, the server has to send its certificate along"
	}
	return check.Failf(reason, "%s: %w%s", c.target, tlsconf.ExplainHandshake(err), text)
}

// lacksIssuer reports whether err is about a certificate whose issuer's
// certificate is not among those that the server sent.
func lacksIssuer(err error) bool {
	unknown, ok := errors.AsType[x509.UnknownAuthorityError](err)
	if !ok || unknown.Cert == nil {
		return false
	}
	failed, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok {
		return false
	}
	for _, sent := range failed.UnverifiedCertificates {
		if bytes.Equal(sent.RawSubject, unknown.Cert.RawIssuer) {
			return false
		}
	}
	return true
}
