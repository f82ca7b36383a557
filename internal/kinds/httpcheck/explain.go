package httpcheck

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"hale/internal/check"
	"hale/internal/tlsconf"
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
func isAlert(err error) bool { return tlsconf.Alert(err) != "" }

// explained puts err in words that help a person.
func (c *checker) explained(err error) error {
	if _, ok := errors.AsType[*check.Error](err); ok {
		return err
	}
	if explained := tlsconf.Explain(err); explained != nil {
		return c.advised(explained)
	}
	if _, ok := errors.AsType[handshakeError](err); ok {
		return tlsconf.ExplainHandshake(bare(err))
	}
	switch check.ReasonOf(err) {
	case check.ReasonRefused:
		if !strings.Contains(err.Error(), "every address") {
			err = fmt.Errorf("%w; nothing listens there", err)
		}
	case check.ReasonClosed:
		return told{"the server closed the connection without a complete answer", err}
	}
	return err
}

// advised adds to an explained fault of TLS what it means for HTTP.
func (c *checker) advised(err error) error {
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && tlsconf.IsHTTP(e) {
		return fmt.Errorf("%w: use http://", err)
	}
	if c.config.Version == version2 && tlsconf.Alert(err) == "no application protocol" {
		return fmt.Errorf("%w; it does not speak HTTP/2", err)
	}
	return err
}

// told is an error in other words. It unwraps to the error itself.
type told struct {
	text string
	error
}

func (t told) Error() string { return t.text }
func (t told) Unwrap() error { return t.error }

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
