package postgrescheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"hale/internal/check"
)

// maxAnswer is how many bytes a server may send in one run.
const maxAnswer = 256 << 10

// applicationName is what the server's log and pg_stat_activity show.
const applicationName = "hale"

// checker is immutable once made.
type checker struct {
	dial             check.DialFunc
	network, address string
	target           string // what messages call the server
	tls              tlsPolicy
	user, database   string

	login               *pgconn.Config // nil when the check does not log in
	query, expect, role string
}

func socketAddress(dir string, port int) (network, address string) {
	return "unix", filepath.Join(dir, ".s.PGSQL."+strconv.Itoa(port))
}

// Check runs the check once.
func (c *checker) Check(ctx context.Context) (string, error) {
	note, err := c.attempt(ctx, c.tls.config != nil)
	if c.tls.config != nil && c.tls.optional() && ctx.Err() == nil && withoutTLS(err) {
		return c.attempt(ctx, false)
	}
	return note, err
}

// withoutTLS reports whether err is a reason to try without TLS when it is
// optional: the handshake failed, or pg_hba.conf has no place for connections
// with it.
func withoutTLS(err error) bool {
	if errors.Is(err, errHandshake) {
		return true
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == codeInvalidAuthorization
}

func (c *checker) attempt(ctx context.Context, withTLS bool) (string, error) {
	conn, err := c.open(ctx, c.address, withTLS)
	if err != nil {
		return "", err
	}
	defer conn.close()
	if c.login != nil {
		return c.logIn(ctx, conn)
	}
	return c.ping(conn)
}

// A connection is one to the server that ends what it waits for when its
// context does.
type connection struct {
	net.Conn          // with TLS, if it is encrypted
	raw      net.Conn // as it was dialled
	withTLS  bool
	unwatch  func() bool
}

func (c *connection) close() {
	c.unwatch()
	_ = c.Conn.Close()
}

// open connects to the server and negotiates TLS if told to.
func (c *checker) open(ctx context.Context, address string, withTLS bool) (*connection, error) {
	dialled, err := c.dial(ctx, c.network, address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.target, err)
	}
	raw := &limited{Conn: dialled, left: maxAnswer}
	conn := &connection{Conn: raw, raw: raw, withTLS: withTLS}
	conn.unwatch = context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	if withTLS {
		secure, err := c.negotiate(raw)
		if err != nil {
			conn.close()
			return nil, err
		}
		conn.Conn = secure
	}
	return conn, nil
}

// errTooMuch is why a limited connection ends.
var errTooMuch = fmt.Errorf("more than %d KiB of answer", maxAnswer>>10)

// limited is a connection of which only so much can be read.
type limited struct {
	net.Conn
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, errTooMuch
	}
	n, err := l.Conn.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// newFrontend makes the client's side of the protocol. It allocates at most as
// much as a server may send.
func newFrontend(r io.Reader, w io.Writer) *pgproto3.Frontend {
	f := pgproto3.NewFrontend(r, w)
	f.SetMaxBodyLen(maxAnswer)
	return f
}
