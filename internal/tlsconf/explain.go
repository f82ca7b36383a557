package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"hale/internal/check"
)

// Explain puts an error of a TLS connection in words that help a person: what
// is wrong with the server's certificate, that the server does not speak TLS,
// or what it says in an alert. It returns nil when err is about none of these.
// The result unwraps to err.
func Explain(err error) error {
	if text := certificateFault(err); text != "" {
		return told{text, err}
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		if IsHTTP(e) {
			return told{"TLS handshake: the port speaks HTTP without TLS", err}
		}
		return told{"TLS handshake: the port does not speak TLS", err}
	}
	if said := Alert(err); said != "" {
		text := "the server ends the TLS connection: " + said
		if said == "unrecognized name" {
			text += "; it does not serve this name: set server_name"
		}
		return told{text, err}
	}
	return nil
}

// ExplainHandshake is [Explain] for an error of a handshake, which it explains
// whatever it is about.
func ExplainHandshake(err error) error {
	if explained := Explain(err); explained != nil {
		return explained
	}
	if check.ReasonOf(err) == check.ReasonClosed {
		return told{"the server closed the connection during the TLS handshake", err}
	}
	return fmt.Errorf("TLS handshake: %w", err)
}

// told is an error in other words.
type told struct {
	text string
	error
}

func (t told) Error() string { return t.text }
func (t told) Unwrap() error { return t.error }

// IsHTTP reports whether what came in place of a TLS record is an answer in
// HTTP/1.x.
func IsHTTP(e tls.RecordHeaderError) bool { return string(e.RecordHeader[:]) == "HTTP/" }

// Alert returns what the server said in an alert (RFC 8446, section 6.2) against
// a TLS connection; "" when err is none.
func Alert(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return strings.TrimPrefix(op.Err.Error(), "tls: ")
	}
	return ""
}

// certificateFault says what is wrong with a server's certificate, "" when err
// is about something else.
func certificateFault(err error) string {
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
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

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

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
