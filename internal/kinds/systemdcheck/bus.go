package systemdcheck

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"hale/internal/check"
)

// Names of systemd and of the bus.
const (
	systemdName      = "org.freedesktop.systemd1"
	systemdPath      = "/org/freedesktop/systemd1"
	managerInterface = "org.freedesktop.systemd1.Manager"
	unitInterface    = "org.freedesktop.systemd1.Unit"
	serviceInterface = "org.freedesktop.systemd1.Service"
	properties       = "org.freedesktop.DBus.Properties"
	busName          = "org.freedesktop.DBus"
	busPath          = "/org/freedesktop/DBus"
)

// handshake says that the user is who the socket says. The empty identity
// leaves it to the other side, for which this process may be another user than
// for itself, in a container. All is sent without waiting for the answers.
const handshake = "\x00AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"

// helloSerial is the number of the first call, which greets the bus. systemd's
// own socket does not know it, and that is fine.
const helloSerial = 1

// A conn is a connection that the calls were sent over.
type conn struct {
	net.Conn
	r    *bufio.Reader
	stop func() bool
}

// open connects, and sends a greeting and the calls, numbered from
// helloSerial+1. The connection breaks when ctx ends; close it in any case.
func (c *checker) open(ctx context.Context, calls []call) (*conn, error) {
	raw, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	k := &conn{Conn: raw, r: bufio.NewReader(raw)}
	// A deadline in the past ends whatever the connection is waiting for.
	k.stop = context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	out := call{busName, busPath, busName, "Hello", nil}.append([]byte(handshake), helloSerial)
	// Every message stands by itself: its padding counts from its own start.
	for i, call := range calls {
		out = call.append(out, helloSerial+1+uint32(i))
	}
	if _, err = raw.Write(out); err == nil {
		err = k.login()
	}
	if err != nil {
		k.close()
		return nil, c.broken(err)
	}
	return k, nil
}

func (k *conn) close() {
	k.stop()
	_ = k.Close()
}

// connect tries the sockets in turn.
func (c *checker) connect(ctx context.Context) (net.Conn, error) {
	var first error
	for _, path := range c.sockets {
		conn, err := c.dial(ctx, "unix", path)
		if err == nil {
			return conn, nil
		}
		if first == nil || errors.Is(first, fs.ErrNotExist) {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	reason := check.ReasonOf(first)
	where := strings.Join(c.sockets, " and ")
	switch {
	case errors.Is(first, fs.ErrNotExist) && c.user:
		return nil, check.Failf(reason, "%s: no socket of the user's systemd at %s; does it run? See loginctl enable-linger, or set bus to its path", c.target, where)
	case errors.Is(first, fs.ErrNotExist):
		return nil, check.Failf(reason, "%s: no socket of systemd at %s; does systemd run here? In a container, mount the host's %s, or set bus to its path", c.target, where, systemBus)
	case errors.Is(first, fs.ErrPermission):
		return nil, check.Failf(reason, "%s: no connection to systemd: %w; hale runs as user %d", c.target, first, os.Geteuid())
	case errors.Is(first, syscall.ECONNREFUSED):
		return nil, check.Failf(reason, "%s: no connection to systemd: %w; who listened there has ended", c.target, first)
	default:
		return nil, check.Failf(reason, "%s: no connection to systemd: %w", c.target, first)
	}
}

var errRejected = errors.New("the bus does not let this user in")

// login reads the answers to the handshake.
func (k *conn) login() error {
	for _, want := range []string{"DATA", "OK "} {
		line, err := k.r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return errMalformed
		case err != nil && len(line) > 0:
			return midway(err)
		case err != nil:
			return err
		case strings.HasPrefix(string(line), "REJECTED"):
			return errRejected
		case !strings.HasPrefix(string(line), want):
			return errMalformed
		}
	}
	return nil
}

// maxMessages bounds how many messages are read for the answers to the calls.
// In between there may be signals, over systemd's own socket those of all
// units.
const maxMessages = 10_000

// replies reads until every call is answered. The answers are in the order of
// the calls.
func (c *checker) replies(k *conn, calls []call) ([]message, error) {
	answers := make([]message, len(calls))
	missing := len(calls)
	for range maxMessages {
		if missing == 0 {
			return answers, nil
		}
		m, err := readMessage(k.r)
		if err != nil {
			return nil, c.broken(err)
		}
		if m.kind != typeReply && m.kind != typeError {
			continue
		}
		if m.replyTo == helloSerial && m.kind == typeError && !notKnown(m.name) {
			return nil, c.refused(m)
		}
		i := int(m.replyTo) - helloSerial - 1
		if i >= 0 && i < len(answers) && answers[i].kind == 0 {
			answers[i] = m
			missing--
		}
	}
	return nil, c.broken(errMalformed)
}

// notKnown reports whether an error says that there is no such method,
// interface, property or object.
func notKnown(name string) bool {
	switch strings.TrimPrefix(name, "org.freedesktop.DBus.Error.") {
	case "UnknownMethod", "UnknownObject", "UnknownInterface", "UnknownProperty":
		return true
	}
	return false
}

// broken makes the failure of an exchange that broke off.
func (c *checker) broken(err error) error {
	switch reason := check.ReasonOf(err); {
	case errors.Is(err, errRejected):
		return check.Failf(check.ReasonAuth, "%s: asking systemd: %w (%d)", c.target, err, os.Geteuid())
	case errors.Is(err, errMalformed):
		return check.Failf(check.ReasonProtocol, "%s: asking systemd: what answers is not D-Bus; is bus the right path?", c.target)
	case reason == check.ReasonClosed || reason == check.ReasonReset:
		return check.Failf(reason, "%s: asking systemd: %w; it may be restarting, have too many connections, or not let user %d in", c.target, err, os.Geteuid())
	case errors.Is(err, io.ErrShortWrite):
		return check.Failf(check.ReasonClosed, "%s: asking systemd: %w", c.target, err)
	default:
		return check.Failf(reason, "%s: asking systemd: %w", c.target, err)
	}
}

// refused makes the failure of a call that was answered with an error.
func (c *checker) refused(m message) error {
	name := strings.TrimPrefix(m.name, "org.freedesktop.DBus.Error.")
	detail := check.CleanText(fmt.Sprintf("%s: %s", name, m.text()))
	switch {
	case name == "ServiceUnknown", name == "NameHasNoOwner", strings.HasPrefix(name, "Spawn."):
		return check.Failf(check.ReasonMissing, "%s: there is a bus, but systemd is not on it (%s); does systemd run here?", c.target, detail)
	case name == "AccessDenied", name == "AuthFailed":
		return check.Failf(check.ReasonPermission, "%s: user %d may not ask systemd: %s", c.target, os.Geteuid(), detail)
	case name == "NoReply", name == "Timeout", name == "TimedOut":
		return check.Failf(check.ReasonTimeout, "%s: systemd does not answer the bus: %s", c.target, detail)
	case name == "LimitsExceeded":
		return check.Failf(check.ReasonStatus, "%s: the bus has too many connections: %s", c.target, detail)
	default:
		return check.Failf(check.ReasonStatus, "%s: asking systemd: %s", c.target, detail)
	}
}

// unitPath is the unit's object. Names are escaped as sd_bus_path_encode(3)
// does it.
func unitPath(unit string) string {
	var b strings.Builder
	b.WriteString(systemdPath + "/unit/")
	for i := range len(unit) {
		switch c := unit[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}
