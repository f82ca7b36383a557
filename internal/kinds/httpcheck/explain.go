package httpcheck

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"hale/internal/check"
)

// handshakeError is a TLS handshake that failed.
type handshakeError struct{ error }

func (e handshakeError) Unwrap() error { return e.error }

// failed describes a request that got no answer.
func (c *checker) failed(r *http.Request, err error) error {
	text := c.at(r.URL)
	if proxy, _ := c.config.Proxy.forRequest(r); proxy != nil {
		text += ": through the proxy " + maskedURL(proxy)
	}
	return check.Failf(reasonOf(err), "%s: %w", text, c.explained(err))
}

// reasonOf is [check.ReasonOf] for what goes wrong in a request.
func reasonOf(err error) check.Reason {
	reason := check.ReasonOf(err)
	if reason != check.ReasonOther {
		return reason
	}
	if isAlert(err) || strings.Contains(err.Error(), "tls: ") {
		return check.ReasonTLS
	}
	return check.ReasonProtocol
}

// isAlert reports whether err is what the server said against a TLS connection.
func isAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

// explained puts err in words that help a person.
func (c *checker) explained(err error) error {
	if _, ok := errors.AsType[*check.Error](err); ok {
		return err
	}
	if text := certificateFault(err); text != "" {
		return told{text, err}
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		if string(e.RecordHeader[:]) == "HTTP/" {
			return told{"TLS handshake: the port speaks HTTP without TLS: use http://", err}
		}
		return told{"TLS handshake: the port does not speak TLS", err}
	}
	if isAlert(err) {
		return c.explainedAlert(err)
	}
	switch check.ReasonOf(err) {
	case check.ReasonRefused:
		if !strings.Contains(err.Error(), "every address") {
			err = fmt.Errorf("%w; nothing listens there", err)
		}
	case check.ReasonClosed:
		if _, ok := errors.AsType[handshakeError](err); ok {
			return told{"the server closed the connection during the TLS handshake", err}
		}
		return told{"the server closed the connection without a complete answer", err}
	}
	if _, ok := errors.AsType[handshakeError](err); ok {
		return fmt.Errorf("TLS handshake: %w", bare(err))
	}
	return err
}

// explainedAlert explains a TLS alert (RFC 8446, section 6.2) of the server.
func (c *checker) explainedAlert(err error) error {
	op, _ := errors.AsType[*net.OpError](err)
	said := strings.TrimPrefix(op.Err.Error(), "tls: ")
	text := fmt.Sprintf("the server ends the TLS connection: %s", said)
	switch {
	case said == "no application protocol" && c.config.Version == version2:
		text += "; it does not speak HTTP/2"
	case said == "unrecognized name":
		text += "; it does not serve this name: set server_name"
	}
	return told{text, err}
}

// told is an error in other words. It unwraps to the error itself.
type told struct {
	text string
	error
}

func (t told) Error() string { return t.text }
func (t told) Unwrap() error { return t.error }

// certificateFault says what is wrong with a server's certificate, "" when err
// is about something else.
func certificateFault(err error) string {
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		day := func(t time.Time) string { return t.UTC().Format(time.DateOnly) }
		if now := time.Now(); now.Before(e.Cert.NotBefore) {
			return fmt.Sprintf("the certificate of %s is not valid before %s; is the clock right?", subject(e.Cert), day(e.Cert.NotBefore))
		}
		return fmt.Sprintf("the certificate of %s expired on %s", subject(e.Cert), day(e.Cert.NotAfter))
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("the certificate is for %s, not for %s; set server_name if that is the name to expect", subject(e.Certificate), e.Host)
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		if e.Cert != nil {
			return fmt.Sprintf("the certificate of %s is signed by %q, which is not trusted; set ca to the file with that authority's certificate", subject(e.Cert), e.Cert.Issuer.CommonName)
		}
		return "the certificate is signed by an authority that is not trusted; set ca to the file with its certificate"
	}
	return ""
}

// subject names what a certificate is for: its first names and addresses.
func subject(cert *x509.Certificate) string {
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		names = []string{cert.Subject.CommonName}
	}
	if more := len(names) - 3; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), more)
	}
	return strings.Join(names, ", ")
}

// bare leaves out of a connection's error the addresses of its two ends, of
// which one is new at every run and the other is in the message already.
func bare(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "read" || op.Op == "write") {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	return err
}
