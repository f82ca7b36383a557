package resp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

// DefaultPort is the port of a URL that has none.
const DefaultPort = 6379

// A Server is a server and how to log in to it. It is not changed once made.
type Server struct {
	// Dial opens the connection.
	Dial check.DialFunc
	// Scheme is that of the URL, for messages; with TLS it ends in s.
	Scheme string
	// Address is its host:port.
	Address string
	// Username and Password are what to log in with; without a user it is a
	// password alone, and without a password nothing is sent.
	Username, Password string
	// DB is the number of the database to select.
	DB int
	// TLS is the configuration for TLS; nil is without.
	TLS *tls.Config
	// Options are the TLS options besides.
	Options tlsconf.Options
}

// Target names the server in messages.
func (s *Server) Target() string { return s.Scheme + "://" + s.Address }

// AppendLogin appends the commands that log in and select the database, if any
// are needed, and returns their names too. The reply to each is OK.
func (s *Server) AppendLogin(to []byte) (request []byte, commands []string) {
	switch {
	case s.Username != "":
		to, commands = AppendCommand(to, "AUTH", s.Username, s.Password), append(commands, "AUTH")
	case s.Password != "":
		to, commands = AppendCommand(to, "AUTH", s.Password), append(commands, "AUTH")
	}
	if s.DB != 0 {
		to, commands = AppendCommand(to, "SELECT", strconv.Itoa(s.DB)), append(commands, "SELECT")
	}
	return to, commands
}

// A Conn is a connection to a server. Close must be called.
type Conn struct {
	*Reader
	raw, stream net.Conn
	release     func() bool
	ended       chan struct{}
}

// Connect connects, with TLS if that is configured. The connection is useless
// once ctx has ended, unless [Conn.Outlive] is called.
func (s *Server) Connect(ctx context.Context) (*Conn, error) {
	raw, err := s.Dial(ctx, "tcp", s.Address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Target(), err)
	}
	c := &Conn{raw: raw, stream: raw, ended: make(chan struct{})}
	// One deadline in the past ends whatever the connection is waiting for.
	c.release = context.AfterFunc(ctx, func() {
		_ = raw.SetDeadline(time.Unix(1, 0))
		close(c.ended)
	})
	if s.TLS != nil {
		secure := tls.Client(raw, s.TLS)
		c.stream = secure
		if err := s.handshake(secure); err != nil {
			c.Close()
			return nil, err
		}
	}
	c.Reader = NewReader(c.stream)
	return c, nil
}

// Close closes the connection.
func (c *Conn) Close() {
	c.release()
	_ = c.stream.Close()
}

// Write sends commands.
func (c *Conn) Write(commands []byte) error {
	_, err := c.stream.Write(commands)
	return err
}

// Read reads bytes of replies; it is meant for what need not be understood.
func (c *Conn) Read(p []byte) (int, error) { return c.buf.Read(p) }

// Outlive makes the connection usable for so long from now, whether or not its
// context has ended or does. What was cut off in the middle of a reply is not
// made whole.
func (c *Conn) Outlive(d time.Duration) {
	if !c.release() {
		<-c.ended
	}
	_ = c.raw.SetDeadline(time.Now().Add(d))
}

// twin is the same scheme with TLS, or without.
func (s *Server) twin() string {
	if s.TLS == nil {
		return s.Scheme + "s"
	}
	return strings.TrimSuffix(s.Scheme, "s")
}

func (s *Server) handshake(conn *tls.Conn) error {
	if err := conn.Handshake(); err != nil {
		if _, plain := errors.AsType[tls.RecordHeaderError](err); plain {
			return check.Failf(check.ReasonTLS, "%s: does not speak TLS (%w); write %s:// if that is right", s.Target(), err, s.twin())
		}
		// A server without TLS may as well wait for the end of what it takes
		// for a command.
		return check.Failf(check.ReasonOf(err), "%s: no TLS handshake: %w; write %s:// if it is without TLS", s.Target(), err, s.twin())
	}
	if err := s.Options.CheckExpiry(conn.ConnectionState(), time.Now()); err != nil {
		return fmt.Errorf("%s: %w", s.Target(), err)
	}
	return nil
}
