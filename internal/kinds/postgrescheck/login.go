package postgrescheck

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"hale/internal/check"
)

// cancelTime is how long telling the server to give up a query may take after
// the run's context ended.
const cancelTime = 250 * time.Millisecond

// overrides name every setting that pgconn would otherwise take from the
// environment or from files in the home directory.
const overrides = "host=localhost port=5432 user=x dbname=x password=x passfile=/dev/null connect_timeout=0" +
	" sslmode=disable sslcertmode=disable sslkey='' sslcert='' sslrootcert='' sslpassword='' sslsni=0 sslnegotiation=postgres" +
	" target_session_attrs=any min_protocol_version=3.0 max_protocol_version=3.0 channel_binding=prefer require_auth=''"

// loginConfig makes the configuration of a login out of what it is given and
// nothing else.
func loginConfig(user, password, database string) (*pgconn.Config, error) {
	config, err := pgconn.ParseConfig(overrides)
	if err != nil {
		// All that overrides can't override is which service file to read.
		return nil, fmt.Errorf("PGSERVICE in hale's environment names a service that can't be read; unset it: %w", err)
	}
	config.User, config.Password, config.Database = user, password, database
	config.RuntimeParams = map[string]string{"application_name": applicationName}
	config.KerberosSrvName, config.KerberosSpn = "", ""
	config.BuildFrontend = newFrontend
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	if password == "" {
		// Without a password, an attempt to prove to know it would only fill
		// the server's log.
		config.RequireAuth = "none"
	}
	return config, nil
}

// logIn logs in and runs what the check is to run.
func (c *checker) logIn(ctx context.Context, conn *connection) (string, error) {
	config := *c.login
	// pgconn gets the connection that there is. It asks for another when it
	// wants to tell the server that it gave up, which closing it tells too.
	dialled := false
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		if dialled {
			return nil, errors.New("one connection is all there is")
		}
		dialled = true
		return conn.Conn, nil
	}
	// The connection watches ctx itself.
	pg, err := pgconn.ConnectConfig(context.WithoutCancel(ctx), &config)
	if err != nil {
		return "", c.loginFailed(err)
	}
	s := &session{checker: c, conn: conn, frontend: pg.Frontend(), pid: pg.PID(), key: pg.SecretKey()}
	note, err := s.run()
	if err != nil && ctx.Err() != nil {
		s.cancel(ctx)
	}
	s.frontend.Send(&pgproto3.Terminate{})
	_ = s.frontend.Flush()
	return note, err
}

// A session is a connection that is logged in.
type session struct {
	*checker
	conn     *connection
	frontend *pgproto3.Frontend
	pid      uint32
	key      []byte
}

// run asks for the role and runs the query, as far as they are wanted.
func (s *session) run() (string, error) {
	var notes []string
	if s.role != "" {
		role, err := s.askRole()
		if err != nil {
			return "", err
		}
		if role != s.role {
			return "", check.Failf(check.ReasonRole, "%s: is a %s, and a %s is wanted", s.target, role, s.role)
		}
		notes = append(notes, role)
	}
	if s.checker.query != "" {
		value, rows, err := s.query(s.checker.query)
		if err != nil {
			return "", s.queryFailed(err)
		}
		if s.expect != "" && (!rows || value != s.expect) {
			return "", check.Failf(check.ReasonBody, "%s: the query gives %s, want %q", s.target, quote(value, rows), s.expect)
		}
		notes = append(notes, "the query gives "+quote(value, rows))
	}
	if notes == nil {
		return "logged in", nil
	}
	return strings.Join(notes, ", "), nil
}

// quote shows what a query gave.
func quote(value string, rows bool) string {
	const most = 100
	switch {
	case !rows:
		return "no row"
	case len(value) > most:
		return fmt.Sprintf("%q…", strings.ToValidUTF8(value[:most], ""))
	}
	return fmt.Sprintf("%q", value)
}

func (s *session) askRole() (string, error) {
	value, _, err := s.query("select pg_catalog.pg_is_in_recovery()")
	switch {
	case err != nil:
		return "", s.queryFailed(err)
	case value == "f":
		return RolePrimary, nil
	case value == "t":
		return RoleStandby, nil
	}
	return "", check.Failf(check.ReasonProtocol, "%s: answers pg_is_in_recovery() with %q", s.target, check.CleanText(value))
}

// errCopyIn is why a COPY … FROM STDIN is given up.
var errCopyIn = errors.New("the query waits for data to copy")

// query runs one statement and returns the first column of its first row as
// text, "" for NULL. It asks the server for one row only.
func (s *session) query(statement string) (value string, rows bool, err error) {
	f := s.frontend
	f.SendParse(&pgproto3.Parse{Query: statement})
	f.SendBind(&pgproto3.Bind{})
	f.SendExecute(&pgproto3.Execute{MaxRows: 1})
	f.SendSync(&pgproto3.Sync{})
	if err := f.Flush(); err != nil {
		return "", false, err
	}
	var refusal error
	for {
		message, err := f.Receive()
		if err != nil {
			// A server that is going away says why and hangs up.
			return "", false, errors.Join(refusal, err)
		}
		switch m := message.(type) {
		case *pgproto3.DataRow:
			rows = true
			if len(m.Values) > 0 {
				value = string(m.Values[0])
			}
		case *pgproto3.ErrorResponse:
			refusal = errors.Join(refusal, pgconn.ErrorResponseToPgError(m))
		case *pgproto3.CopyInResponse:
			// The server would wait for the data for ever, and took the Sync for a
			// part of it.
			refusal = errCopyIn
			f.Send(&pgproto3.CopyFail{Message: "hale's query is not to copy anything in"})
			f.SendSync(&pgproto3.Sync{})
			if err := f.Flush(); err != nil {
				return "", false, errors.Join(refusal, err)
			}
		case *pgproto3.ReadyForQuery:
			return value, rows, refusal
		}
	}
}

// cancel tells the server to give up the query that it is running, which it
// would otherwise finish although nobody waits, and waits for it to obey.
func (s *session) cancel(ctx context.Context) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer done()
	deadline, _ := ctx.Deadline()
	address := s.address
	if s.network != "unix" {
		// The same server, should its name stand for several.
		address = s.conn.RemoteAddr().String()
	}
	conn, err := s.open(ctx, address, s.conn.withTLS)
	if err != nil {
		return
	}
	defer conn.close()
	request, err := (&pgproto3.CancelRequest{ProcessID: s.pid, SecretKey: s.key}).Encode(nil)
	if err != nil {
		return
	}
	if _, err := conn.Write(request); err != nil {
		return
	}
	// The server hangs up once it has passed the request on.
	_, _ = conn.Read(make([]byte, 1))
	_ = s.conn.SetDeadline(deadline)
	for {
		message, err := s.frontend.Receive()
		if _, ready := message.(*pgproto3.ReadyForQuery); err != nil || ready {
			return
		}
	}
}
