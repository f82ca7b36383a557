package memcachedcheck

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

// maxLine is the length of the longest line of an answer, in bytes.
const maxLine = 512

const (
	askVersion      = "version\r\n"
	unauthenticated = "CLIENT_ERROR unauthenticated"
)

// checker is immutable once made.
type checker struct {
	dial             check.DialFunc
	network, address string
	target           string      // what messages call the server
	login            []byte      // the login, and the question again; nil without one
	tls              *tls.Config // nil without TLS
	options          tlsconf.Options
}

// Check runs the check once.
func (c *checker) Check(ctx context.Context) (string, error) {
	conn, err := c.dial(ctx, c.network, c.address)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.target, err)
	}
	defer func() { _ = conn.Close() }()
	// One deadline in the past ends whatever the connection is waiting for.
	raw := conn
	defer context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })()
	if c.tls != nil {
		secure := tls.Client(conn, c.tls)
		conn = secure
		if err := c.handshake(secure); err != nil {
			return "", err
		}
	}
	return c.talk(conn)
}

func (c *checker) handshake(conn *tls.Conn) error {
	if err := conn.Handshake(); err != nil {
		reason := check.ReasonOf(err)
		if _, plain := errors.AsType[tls.RecordHeaderError](err); plain || reason == check.ReasonOther {
			reason = check.ReasonTLS
		}
		// A server without TLS hangs up, or waits for the end of what it takes
		// for a command.
		return check.Failf(reason, "%s: no TLS handshake: %w; leave out tls if it is without", c.target, err)
	}
	if err := c.options.CheckExpiry(conn.ConnectionState(), time.Now()); err != nil {
		return fmt.Errorf("%s: %w", c.target, err)
	}
	return nil
}

// talk asks for the version, and once more after a login if that is wanted.
func (c *checker) talk(conn net.Conn) (string, error) {
	in := bufio.NewReaderSize(conn, maxLine)
	// A full server says so and hangs up, which may fail the write; what it said
	// can be read all the same. If nothing can, then that says why.
	_, _ = conn.Write([]byte(askVersion))
	line, err := c.read(in, "version")
	if err != nil {
		return "", err
	}
	if line != unauthenticated {
		note, err := c.version(line)
		if err == nil && c.login != nil {
			err = check.Warnf(check.ReasonAuth, "%s: %s; it wants no login, although one is configured", c.target, note)
		}
		return note, err
	}
	if c.login == nil {
		return "", check.Failf(check.ReasonAuth, "%s: wants a login, and none was given; write memcached://USER:PASSWORD@HOST", c.target)
	}
	_, _ = conn.Write(c.login)
	line, err = c.read(in, "the login")
	if err != nil {
		return "", err
	}
	if line != "STORED" {
		return "", check.Failf(check.ReasonAuth, "%s: refuses the user name or password: %s", c.target, shown(line))
	}
	if line, err = c.read(in, "version"); err != nil {
		return "", err
	}
	return c.version(line)
}

// read reads one line of an answer, without its end.
func (c *checker) read(in *bufio.Reader, question string) (string, error) {
	line, err := in.ReadSlice('\n')
	switch {
	case err == nil && bytes.HasSuffix(line, []byte("\r\n")):
		return string(line[:len(line)-2]), nil
	case err == nil || errors.Is(err, bufio.ErrBufferFull):
		return "", c.foreign(question, string(line))
	}
	hint := ""
	if reason := check.ReasonOf(err); c.tls == nil && (reason == check.ReasonReset || reason == check.ReasonClosed) {
		hint = "; it may speak TLS, or the binary protocol alone (memcached -S)"
	}
	return "", check.Failf(check.ReasonOf(err), "%s: no answer to %s: %w%s", c.target, question, err, hint)
}

// version makes the result of the answer to the question for it.
func (c *checker) version(line string) (string, error) {
	if version, found := strings.CutPrefix(line, "VERSION "); found {
		return "version " + shown(version), nil
	}
	if line == "ERROR" || strings.HasPrefix(line, "ERROR ") || strings.HasPrefix(line, "SERVER_ERROR ") || strings.HasPrefix(line, "CLIENT_ERROR ") {
		hint := ""
		if strings.Contains(line, "Too many open connections") {
			hint = "; look for a client that leaks connections, or raise its limit (-c)"
		}
		return "", check.Failf(check.ReasonStatus, "%s: answers version with %s%s", c.target, shown(line), hint)
	}
	return "", c.foreign("version", line)
}

func (c *checker) foreign(question, line string) error {
	return check.Failf(check.ReasonProtocol, "%s: the answer to %s is not memcached's: %q", c.target, question, shown(line))
}

// shown is what people see of a line.
func shown(line string) string {
	const most = 100
	return check.CleanText(line[:min(len(line), most)])
}
