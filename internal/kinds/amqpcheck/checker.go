package amqpcheck

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

// The codes with which a broker or a client closes a connection or a channel.
const (
	codeSuccess    = 200
	codeForced     = 320
	codeRefused    = 403
	codeNotFound   = 404
	codeLocked     = 405
	codeNotAllowed = 530
)

// checker is immutable once made.
type checker struct {
	dial                  check.DialFunc
	address               string
	target                string      // what messages call the broker
	tls                   *tls.Config // nil without TLS
	options               tlsconf.Options
	user, password, vhost string

	queue                     string
	maxMessages, minConsumers int
}

// Check runs the check once.
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
	l := &link{Conn: conn, in: bufio.NewReaderSize(conn, 1<<10)}
	note, err := c.talk(l)
	if r, ok := errors.AsType[*refusal](err); ok && r.method == connectionClose {
		_ = l.send(0, connectionCloseOK, nil)
	}
	return note, err
}

func (c *checker) handshake(conn *tls.Conn) error {
	if err := conn.Handshake(); err != nil {
		reason := check.ReasonOf(err)
		if _, plain := errors.AsType[tls.RecordHeaderError](err); plain || reason == check.ReasonOther {
			reason = check.ReasonTLS
		}
		return check.Failf(reason, "%s: no TLS handshake: %w; write amqp:// if it is without TLS", c.target, err)
	}
	if err := c.options.CheckExpiry(conn.ConnectionState(), time.Now()); err != nil {
		return fmt.Errorf("%s: %w", c.target, err)
	}
	return nil
}

// talk logs in, opens the virtual host and a channel, looks at the queue, and
// leaves.
func (c *checker) talk(l *link) (string, error) {
	note, err := c.logIn(l)
	if err != nil {
		return "", err
	}
	// Two empty fields stand for what is no longer used.
	if _, err := l.call(0, connectionOpen, append(appendShort(nil, c.vhost), 0, 0), connectionOpenOK); err != nil {
		return "", c.failed("opening the virtual host "+c.vhost, err)
	}
	const channel = 1
	if _, err := l.call(channel, channelOpen, []byte{0}, channelOpenOK); err != nil {
		return "", c.failed("opening a channel", err)
	}
	var fault error
	if c.queue != "" {
		if note, fault = c.look(l, channel); fault != nil && !canGoOn(fault) {
			return "", fault
		}
	}
	if err := leave(l, channel, fault); err != nil && fault == nil {
		return "", c.failed("closing the connection", err)
	}
	return note, fault
}

// canGoOn reports whether the connection is of use after the error.
func canGoOn(err error) bool {
	r, closed := errors.AsType[*refusal](err)
	return closed && r.method == channelClose || check.ReasonOf(err) == check.ReasonSize
}

// logIn goes from the protocol's header to the agreement on limits, and returns
// what the broker is.
func (c *checker) logIn(l *link) (string, error) {
	if _, err := l.Write([]byte(protocolHeader)); err != nil {
		return "", c.failed("no greeting", err)
	}
	start, err := l.receive(connectionStart)
	if err != nil {
		return "", c.failed("no greeting", err)
	}
	mechanisms, properties, err := readStart(start)
	if err != nil {
		return "", c.failed("no greeting", err)
	}
	if !slices.Contains(strings.Fields(mechanisms), "PLAIN") {
		return "", check.Failf(check.ReasonAuth, "%s: offers %s to log in with, and hale knows PLAIN; see auth_mechanisms in its configuration", c.target, check.CleanText(mechanisms))
	}
	tune, err := l.call(0, connectionStartOK, startOK(c.user, c.password), connectionTune)
	if err != nil {
		return "", c.failed("the login", err)
	}
	// The broker's limits are none that one channel and small frames reach;
	// without heartbeats nothing has to be sent in time.
	if _, err := tune.number(2); err != nil {
		return "", c.failed("the login", err)
	}
	limits := binary.BigEndian.AppendUint16(nil, 1)
	limits = binary.BigEndian.AppendUint32(limits, minFrameMax)
	limits = binary.BigEndian.AppendUint16(limits, 0)
	if err := l.send(0, connectionTuneOK, limits); err != nil {
		return "", c.failed("the login", err)
	}
	return product(properties), nil
}

// readStart reads what of the greeting is of use.
func readStart(a arguments) (mechanisms, properties string, err error) {
	if _, err = a.take(2); err != nil { // the version
		return "", "", err
	}
	if properties, err = a.long(); err != nil {
		return "", "", err
	}
	mechanisms, err = a.long()
	return mechanisms, properties, err
}

// product finds the broker's name and version among its properties, which are
// a table of named values. "S" marks a text.
func product(properties string) string {
	var found []string
	for _, name := range []string{"product", "version"} {
		_, rest, ok := strings.Cut(properties, string(appendShort(nil, name))+"S")
		a := arguments(rest)
		if text, err := a.long(); ok && err == nil && len(text) < 100 {
			found = append(found, check.CleanText(text))
		}
	}
	if len(found) == 0 {
		return "logged in"
	}
	return strings.Join(found, " ")
}

// startOK makes the arguments of a login. With authentication_failure_close the
// broker says that it refuses a login, instead of hanging up.
func startOK(user, password string) []byte {
	var can []byte
	for _, name := range []string{"authentication_failure_close", "connection.blocked"} {
		can = append(appendShort(can, name), 't', 1)
	}
	properties := append(appendShort(nil, "product"), 'S')
	properties = appendLong(properties, "hale")
	properties = append(appendShort(properties, "capabilities"), 'F')
	properties = appendLong(properties, string(can))
	args := appendLong(nil, string(properties))
	args = appendShort(args, "PLAIN")
	args = appendLong(args, "\x00"+user+"\x00"+password)
	return appendShort(args, "en_US")
}

// look asks for the queue without making it.
func (c *checker) look(l *link, channel uint16) (string, error) {
	const passive = 1
	args := append(appendShort([]byte{0, 0}, c.queue), passive, 0, 0, 0, 0)
	messages, consumers, err := readQueue(l.call(channel, queueDeclare, args, queueDeclareOK))
	if err != nil {
		return "", c.failed("looking at the queue "+c.queue, err)
	}
	switch {
	case c.maxMessages >= 0 && messages > uint64(c.maxMessages):
		return "", check.Failf(check.ReasonSize, "%s: %d messages wait in the queue %s, and %d at most are wanted; it has %d consumers",
			c.target, messages, check.CleanText(c.queue), c.maxMessages, consumers)
	case consumers < uint64(c.minConsumers):
		return "", check.Failf(check.ReasonSize, "%s: %d consumers are at the queue %s, and %d at least are wanted; %d messages wait",
			c.target, consumers, check.CleanText(c.queue), c.minConsumers, messages)
	}
	return fmt.Sprintf("%d messages, %d consumers", messages, consumers), nil
}

// readQueue reads what a broker says of a queue.
func readQueue(a arguments, failed error) (messages, consumers uint64, err error) {
	if failed != nil {
		return 0, 0, failed
	}
	if _, err = a.short(); err == nil { // its name
		messages, err = a.number(4)
	}
	if err == nil {
		consumers, err = a.number(4)
	}
	return messages, consumers, err
}

// leave closes the channel, unless the broker did, and the connection.
func leave(l *link, channel uint16, fault error) error {
	// A code, a text, and the method that failed, which is none.
	reason := append(appendShort([]byte{0, codeSuccess}, ""), 0, 0, 0, 0)
	if _, closed := errors.AsType[*refusal](fault); closed {
		if err := l.send(channel, channelCloseOK, nil); err != nil {
			return err
		}
	} else if _, err := l.call(channel, channelClose, reason, channelCloseOK); err != nil {
		return err
	}
	_, err := l.call(0, connectionClose, reason, connectionCloseOK)
	return err
}

// failed makes the failure of what was tried.
func (c *checker) failed(what string, err error) error {
	what = check.CleanText(what)
	if b, ok := errors.AsType[*blocked](err); ok {
		return check.Failf(check.ReasonStatus, "%s: the broker takes no messages: %w; free memory or disk space (rabbitmq-diagnostics alarms)", c.target, b)
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		reason, hint := c.meaning(r)
		return check.Failf(reason, "%s: %s: %w%s", c.target, what, r, hint)
	}
	reason, hint := check.ReasonOf(err), ""
	if reason == check.ReasonOther {
		reason = check.ReasonProtocol
	}
	if c.tls == nil && (reason == check.ReasonReset || reason == check.ReasonClosed) {
		hint = "; write amqps:// if it speaks TLS"
	}
	return check.Failf(reason, "%s: %s: %w%s", c.target, what, err, hint)
}

// meaning says why a refusal is one, and what can be done. RabbitMQ's code 530
// stands for several things that only its text tells apart.
func (c *checker) meaning(r *refusal) (check.Reason, string) {
	switch {
	case r.code == codeRefused && r.method == connectionClose:
		hint := "; see the user name and the password"
		if c.user == defaultUser {
			hint += ", and that RabbitMQ lets guest in from its own host only"
		}
		return check.ReasonAuth, hint
	case r.code == codeRefused:
		return check.ReasonPermission, "; allow it with rabbitmqctl set_permissions"
	case r.code == codeNotAllowed && strings.Contains(r.text, "not found"):
		hint := ""
		if c.vhost == "" {
			hint = "; leave out the slash at the URL's end for the virtual host /"
		}
		return check.ReasonMissing, hint
	case r.code == codeNotAllowed && strings.Contains(r.text, "limit"):
		return check.ReasonStatus, "; look for a client that leaks connections, or raise the limit"
	case r.code == codeNotAllowed:
		return check.ReasonPermission, "; allow it with rabbitmqctl set_permissions"
	case r.code == codeNotFound:
		return check.ReasonMissing, ""
	case r.code == codeForced:
		return check.ReasonLoading, ""
	case r.code == codeLocked:
		return check.ReasonPermission, "; it belongs to another connection alone"
	}
	return check.ReasonStatus, ""
}
