package postgrescheck

import (
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"hale/internal/check"
)

const accepting = "accepting connections"

// ping decides as libpq's PQping, and so pg_isready, does: a request for
// authentication, or any error with a SQLSTATE but 57P03, is the answer of a
// server that accepts connections, although perhaps not this one.
func (c *checker) ping(conn *connection) (string, error) {
	f := newFrontend(conn, conn)
	f.Send(&pgproto3.StartupMessage{
		ProtocolVersion: pgproto3.ProtocolVersion30,
		Parameters:      map[string]string{"user": c.user, "database": c.database, "application_name": applicationName},
	})
	if err := f.Flush(); err != nil {
		return "", c.failed("sending the startup packet", err)
	}
	for {
		message, err := f.Receive()
		if err != nil {
			return "", c.failed("no answer to the startup packet", err)
		}
		switch m := message.(type) {
		case *pgproto3.AuthenticationOk:
			leave(f)
			return accepting, nil
		case pgproto3.AuthenticationResponseMessage:
			// The server is waiting for a password. Ending the connection here
			// is legal and not logged; a goodbye would be.
			return accepting, nil
		case *pgproto3.ErrorResponse:
			return c.judge(pgconn.ErrorResponseToPgError(m))
		case *pgproto3.NoticeResponse, *pgproto3.NegotiateProtocolVersion:
		default:
			return "", check.Failf(check.ReasonProtocol, "%s: answers the startup packet with an unexpected %T", c.target, m)
		}
	}
}

func (c *checker) judge(e *pgconn.PgError) (string, error) {
	switch {
	case e.Code == codeCannotConnectNow:
		return "", c.refused(e)
	case len(e.Code) != len(codeCannotConnectNow):
		return "", check.Failf(check.ReasonProtocol, "%s: answers the startup packet with an error without a SQLSTATE: %s", c.target, check.CleanText(e.Message))
	}
	return accepting, nil
}

// leave ends the session of a server that let the client in without asking. To
// hang up in the middle of its greeting would be logged. Whether it succeeds
// changes nothing.
func leave(f *pgproto3.Frontend) {
	for {
		message, err := f.Receive()
		if err != nil {
			return
		}
		switch message.(type) {
		case *pgproto3.ErrorResponse:
			return
		case *pgproto3.ReadyForQuery:
			f.Send(&pgproto3.Terminate{})
			_ = f.Flush()
			return
		}
	}
}
