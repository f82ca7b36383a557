package postgrescheck

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"hale/internal/check"
)

// SQLSTATEs, https://www.postgresql.org/docs/current/errcodes-appendix.html
const (
	codeInvalidAuthorization = "28000"
	codeInvalidPassword      = "28P01"
	codeNoDatabase           = "3D000"
	codeNoPrivilege          = "42501"
	codeTooManyConnections   = "53300"
	codeQueryCanceled        = "57014"
	codeAdminShutdown        = "57P01"
	codeCrashShutdown        = "57P02"
	codeCannotConnectNow     = "57P03"
)

// refusals say what an error of the server means, by its SQLSTATE.
var refusals = map[string]struct {
	reason check.Reason
	text   string
}{
	codeInvalidAuthorization: {check.ReasonAuth, "refuses the login; see the user name and the server's pg_hba.conf"},
	codeInvalidPassword:      {check.ReasonAuth, "refuses the user name or password"},
	codeNoDatabase:           {check.ReasonMissing, "has no such database"},
	codeNoPrivilege:          {check.ReasonPermission, "does not allow that to this user"},
	codeTooManyConnections:   {check.ReasonStatus, "has as many connections as it accepts; look for a client that leaks them, or raise max_connections"},
	codeQueryCanceled:        {check.ReasonTimeout, "gave the query up"},
	codeAdminShutdown:        {check.ReasonLoading, "is shutting down"},
	codeCrashShutdown:        {check.ReasonLoading, "is recovering from a crash"},
	codeCannotConnectNow:     {check.ReasonLoading, "is rejecting connections"},
}

// refused makes the failure of an error that the server answered with.
func (c *checker) refused(e *pgconn.PgError) error {
	known, ok := refusals[e.Code]
	if !ok {
		known.reason, known.text = check.ReasonStatus, "answers with an error"
	}
	return check.Failf(known.reason, "%s: %s: %w", c.target, known.text, &serverError{e})
}

// serverError is an error of the server in few words.
type serverError struct{ *pgconn.PgError }

func (e *serverError) Error() string {
	text := e.Message
	if e.Detail != "" && e.Code == codeCannotConnectNow {
		text += " (" + e.Detail + ")"
	}
	const most = 200
	text = check.CleanText(text)
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return fmt.Sprintf("%s (SQLSTATE %s)", text, check.CleanText(e.Code))
}

func (e *serverError) Unwrap() error { return e.PgError }

// failed makes the failure of an exchange that broke off.
func (c *checker) failed(what string, err error) error {
	reason := check.ReasonOf(err)
	if reason == check.ReasonOther {
		reason = check.ReasonProtocol
	}
	return check.Failf(reason, "%s: %s: %w", c.target, what, err)
}

// loginFailed makes the failure of a login.
func (c *checker) loginFailed(err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return c.refused(e)
	}
	// pgconn has no type for this.
	if c.login.RequireAuth != "" && strings.Contains(err.Error(), "require_auth") {
		return check.Failf(check.ReasonAuth, "%s: asks %s for a password, and none was given; write postgres://USER:PASSWORD@HOST or set the option password", c.target, check.CleanText(c.user))
	}
	return c.failed("the login broke off", innermost(err))
}

// innermost returns what pgconn wrapped into text for other readers.
func innermost(err error) error {
	for {
		var inner error
		switch e := err.(type) {
		case *net.OpError:
			return e
		case interface{ Unwrap() error }:
			inner = e.Unwrap()
		case interface{ Unwrap() []error }:
			if all := e.Unwrap(); len(all) == 1 {
				inner = all[0]
			}
		}
		if inner == nil {
			return err
		}
		err = inner
	}
}

// queryFailed makes the failure of a statement.
func (c *checker) queryFailed(err error) error {
	if errors.Is(err, errCopyIn) {
		return check.Failf(check.ReasonConfig, "%s: %w, and a check has none; give a statement that only asks, such as select 1", c.target, errCopyIn)
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return c.refused(e)
	}
	_, tooLong := errors.AsType[*pgproto3.ExceededMaxBodyLenErr](err)
	if tooLong || errors.Is(err, errTooMuch) {
		return check.Failf(check.ReasonSize, "%s: the query's first row is larger than %d KiB; ask for less", c.target, maxAnswer>>10)
	}
	return c.failed("no result of the query", err)
}
