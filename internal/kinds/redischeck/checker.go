package redischeck

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

// checker is immutable once made.
type checker struct {
	dial     check.DialFunc
	address  string
	target   string
	scheme   string
	password string
	role     string
	tls      *tls.Config // nil without TLS
	options  tlsconf.Options

	commands []string // the names of the commands in request
	request  []byte   // all of them, as they are sent
}

// add appends a command to the request.
func (c *checker) add(command string, args ...string) {
	c.commands = append(c.commands, command)
	c.request = appendCommand(c.request, command, args...)
}

// Check runs the commands once.
func (c *checker) Check(ctx context.Context) (string, error) {
	conn, err := c.dial(ctx, "tcp", c.address)
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
		if _, plain := errors.AsType[tls.RecordHeaderError](err); plain {
			return check.Failf(check.ReasonTLS, "%s: does not speak TLS (%w); write redis:// if that is right", c.target, err)
		}
		// A server without TLS may as well wait for the end of what it takes
		// for a command.
		return check.Failf(check.ReasonOf(err), "%s: no TLS handshake: %w; write redis:// if it is without TLS", c.target, err)
	}
	if err := c.options.CheckExpiry(conn.ConnectionState(), time.Now()); err != nil {
		return fmt.Errorf("%s: %w", c.target, err)
	}
	return nil
}

// talk sends all commands at once and judges their replies in order. The first
// that is not as it should be decides.
func (c *checker) talk(conn net.Conn) (note string, err error) {
	// A server that is full or protected says so at once and hangs up, which
	// may fail the write; what it said can be read all the same. If there is
	// nothing to read, then that says why.
	_, _ = conn.Write(c.request)
	r := newReader(conn)
	for _, command := range c.commands {
		if note, err = c.reply(r, command); err != nil {
			return "", err
		}
	}
	return note, nil
}

// reply reads and judges the reply to one command.
func (c *checker) reply(r *reader, command string) (string, error) {
	if command == "ROLE" {
		note, err := c.readRole(r)
		return note, c.explain(command, err)
	}
	text, err := r.status()
	if err != nil {
		return "", c.explain(command, err)
	}
	want := "OK"
	if command == "PING" {
		want = "PONG"
	}
	if text != want {
		return "", check.Failf(check.ReasonProtocol, "%s: answers %s with %q, want %q", c.target, command, check.CleanText(text), want)
	}
	return text, nil
}

// explain makes of what reading the reply to a command led to what a person
// needs to know. A nil error stays nil.
func (c *checker) explain(command string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*check.Error](err); ok {
		return err
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		return c.refused(command, r.text)
	}
	if m, ok := errors.AsType[*malformed](err); ok {
		return check.Failf(check.ReasonProtocol, "%s: the answer to %s is not of the Redis protocol: %w", c.target, command, m)
	}
	reason, hint := check.ReasonOf(err), ""
	if c.tls == nil && (reason == check.ReasonReset || reason == check.ReasonClosed) {
		hint = "; write rediss:// if it speaks TLS"
	}
	return check.Failf(reason, "%s: no reply to %s: %w%s", c.target, command, err, hint)
}

// readRole reads the reply to ROLE as far as is needed to know the role.
// https://redis.io/docs/latest/commands/role/
func (c *checker) readRole(r *reader) (note string, err error) {
	if _, err := r.count('*'); err != nil {
		return "", err
	}
	role, err := r.bulk()
	if err != nil {
		return "", err
	}
	switch role {
	case "master":
		note, err = r.masterNote()
	case "slave":
		role = RoleReplica
		note, err = r.replicaNote()
	default:
		note = role
	}
	if err != nil {
		return "", err
	}
	if role != c.role {
		return "", check.Failf(check.ReasonRole, "%s: is a %s, and a %s is wanted", c.target, check.CleanText(note), c.role)
	}
	return note, nil
}
