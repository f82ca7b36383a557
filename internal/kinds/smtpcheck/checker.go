package smtpcheck

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

// goodbye is how long a run waits for the answer to QUIT, which decides nothing.
const goodbye = 500 * time.Millisecond

// checker is immutable once made.
type checker struct {
	dial            check.DialFunc
	address, target string
	helo            string
	starttls        bool
	implicit        bool // TLS from the start
	options         tlsconf.Options
	config          *tls.Config // nil without TLS
}

// session is one connection.
type session struct {
	*checker
	conn  net.Conn // raw, or TLS over it
	lines *bufio.Reader
	tls   *tls.ConnectionState // nil without TLS
}

// Check holds one session.
func (c *checker) Check(ctx context.Context) (string, error) {
	conn, err := c.dial(ctx, "tcp", c.address)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.target, err)
	}
	defer func() { _ = conn.Close() }()
	end := func() { _ = conn.SetDeadline(time.Unix(1, 0)) }
	// A deadline in the past ends whatever the connection is waiting for.
	defer context.AfterFunc(ctx, end)()
	s := &session{checker: c, conn: conn}
	if c.implicit {
		if err := s.handshake(); err != nil {
			return "", err
		}
	} else {
		s.lines = bufio.NewReaderSize(conn, MaxLine)
	}
	note, err := s.talk()
	if err != nil {
		return "", err
	}
	defer time.AfterFunc(goodbye, end).Stop()
	_, _, _ = s.command("QUIT")
	return note, nil
}

// talk goes through the session up to its last command.
func (s *session) talk() (note string, err error) {
	code, text, err := s.read()
	if err != nil {
		return "", s.failed("no greeting", err)
	}
	switch code {
	case "220":
	case "421":
		return "", s.wrong("greets", code, text, "it is overloaded, or shutting down, or takes no more connections from here; see its log")
	case "554":
		return "", s.wrong("greets", code, text, "it gives no service to this client; see its log")
	default:
		return "", s.wrong("greets", code, text, "")
	}
	note, _, _ = strings.Cut(strings.TrimSpace(text[0]), " ")
	extensions, err := s.introduce()
	if err != nil {
		return "", err
	}
	if s.starttls {
		if err := s.changeToTLS(extensions); err != nil {
			return "", err
		}
	}
	if s.tls != nil {
		note = strings.TrimPrefix(note+", "+s.options.Describe(*s.tls, time.Now()), ", ")
	}
	return check.CleanText(note), nil
}

// introduce sends EHLO and returns the server's extensions.
func (s *session) introduce() ([]string, error) {
	code, text, err := s.command("EHLO " + s.helo)
	if err != nil {
		return nil, s.failed("no answer to EHLO", err)
	}
	if code != "250" {
		s.leave()
		return nil, s.wrong("answers EHLO", code, text, "see the option helo")
	}
	return text[1:], nil
}

// changeToTLS sends STARTTLS, does the handshake and begins anew, as RFC 3207
// wants.
func (s *session) changeToTLS(extensions []string) error {
	offered := slices.ContainsFunc(extensions, func(e string) bool { return strings.EqualFold(strings.TrimSpace(e), "STARTTLS") })
	if !offered {
		s.leave()
		return check.Failf(check.ReasonTLS, "%s: does not offer STARTTLS; see whether it has a certificate", s.target)
	}
	code, text, err := s.command("STARTTLS")
	if err != nil {
		return s.failed("no answer to STARTTLS", err)
	}
	if code != "220" {
		s.leave()
		return s.wrong("answers STARTTLS", code, text, "see its log")
	}
	if s.lines.Buffered() > 0 {
		return check.Failf(check.ReasonProtocol, "%s: goes on in plain text after its answer to STARTTLS", s.target)
	}
	if err := s.handshake(); err != nil {
		return err
	}
	_, err = s.introduce()
	return err
}

// handshake changes the connection to TLS.
func (s *session) handshake() error {
	secure := tls.Client(s.conn, s.config)
	if err := secure.Handshake(); err != nil {
		hint := ""
		if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && s.implicit && string(e.RecordHeader[:3]) == "220" {
			hint = ": it greets without: use smtp://"
		}
		return check.Failf(check.ReasonOf(err), "%s: %w%s", s.target, tlsconf.ExplainHandshake(err), hint)
	}
	state := secure.ConnectionState()
	s.conn, s.tls, s.lines = secure, &state, bufio.NewReaderSize(secure, MaxLine)
	if err := s.options.CheckExpiry(state, time.Now()); err != nil {
		s.leave()
		return fmt.Errorf("%s: %w", s.target, err)
	}
	return nil
}

// command sends a command and reads the reply.
func (s *session) command(line string) (code string, text []string, err error) {
	if _, err := io.WriteString(s.conn, line+"\r\n"); err != nil {
		return "", nil, err
	}
	return s.read()
}

// leave says goodbye where nothing depends on the answer.
func (s *session) leave() { _, _ = io.WriteString(s.conn, "QUIT\r\n") }

// malformed is what is not a reply.
type malformed string

func (m malformed) Error() string { return string(m) }

// read reads a reply: lines of a code and, after a hyphen in all but the last,
// text (RFC 5321, section 4.2.1). There is at least one text, which may be
// empty.
func (s *session) read() (code string, text []string, err error) {
	for range MaxLines {
		raw, err := s.lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return "", nil, malformed("a line without end: " + quote(raw))
		}
		if err != nil {
			return "", nil, err
		}
		line := strings.TrimRight(string(raw), "\r\n")
		if !isReply(line) || code != "" && line[:3] != code {
			return "", nil, malformed(quote(raw))
		}
		code = line[:3]
		if len(line) == 3 {
			return code, append(text, ""), nil
		}
		text = append(text, line[4:])
		if line[3] == ' ' {
			return code, text, nil
		}
	}
	return "", nil, malformed(fmt.Sprintf("a reply of more than %d lines", MaxLines))
}

func isReply(line string) bool {
	if len(line) < 3 || strings.ContainsFunc(line[:3], func(r rune) bool { return r < '0' || r > '9' }) {
		return false
	}
	return len(line) == 3 || line[3] == ' ' || line[3] == '-'
}

func quote(raw []byte) string {
	const most = 80
	return fmt.Sprintf("%q", check.CleanText(string(raw[:min(len(raw), most)])))
}

// failed describes an exchange that broke off.
func (s *session) failed(what string, err error) error {
	if m, ok := errors.AsType[malformed](err); ok {
		return check.Failf(check.ReasonProtocol, "%s: %s: this is not SMTP: it sends %w", s.target, what, m)
	}
	if explained := tlsconf.Explain(err); explained != nil {
		err = explained // such as a client certificate that is not accepted
	}
	reason, hint := check.ReasonOf(err), ""
	if s.tls == nil && reason == check.ReasonTimeout {
		hint = "; it may wait for TLS (then use smtps://), or let clients wait on purpose (then set a longer timeout)"
	}
	return check.Failf(reason, "%s: %s: %w%s", s.target, what, err, hint)
}

// wrong describes a reply with another code than it should have.
func (s *session) wrong(what, code string, text []string, hint string) error {
	said := strings.TrimSpace(code + " " + check.CleanText(strings.Join(text, " ")))
	if hint != "" {
		said += "; " + hint
	}
	return check.Failf(check.ReasonStatus, "%s: %s with %s", s.target, what, said)
}
