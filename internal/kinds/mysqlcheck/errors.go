package mysqlcheck

import (
	"errors"

	"hale/internal/check"
)

// The error codes that mean something to a check. MySQL's are listed in
// https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html and
// MariaDB's in https://mariadb.com/kb/en/mariadb-error-code-reference/
const (
	codeNoMemory             = 1037
	codeNoSortMemory         = 1038
	codeTooManyConnections   = 1040
	codeOutOfResources       = 1041
	codeHandshake            = 1043
	codeDatabaseDenied       = 1044
	codeAccessDenied         = 1045
	codeUnknownDatabase      = 1049
	codeShutdown             = 1053
	codeHostBlocked          = 1129
	codeHostNotAllowed       = 1130
	codeNoThread             = 1135
	codeCommandDenied        = 1142
	codeColumnDenied         = 1143
	codeNoSuchTable          = 1146
	codeUserTooMany          = 1203
	codeUserLimit            = 1226
	codePrivilege            = 1227
	codeMethodUnsupported    = 1251
	codeRoutineDenied        = 1370
	codeAccessDeniedNoText   = 1698
	codeMustChangePassword   = 1820
	codePasswordExpired      = 1862
	codeKilled               = 1927
	codeTimeoutMariaDB       = 1969
	codeTimeoutMySQL         = 3024
	codeOffline              = 3032
	codeLockedMySQL          = 3118
	codeInsecureTransport    = 3159
	codeLockedMariaDB        = 4151
	codePasswordExpiredMaria = 4161
)

// asServerError returns what the server said, if err is that.
func asServerError(err error) (*serverError, bool) { return errors.AsType[*serverError](err) }

// unavailable reports whether an error that answers a login attempt says that
// the server serves nobody, or not this host, whatever the account.
func unavailable(code int) bool {
	switch code {
	case codeNoMemory, codeNoSortMemory, codeTooManyConnections, codeOutOfResources, codeHandshake, codeShutdown,
		codeHostBlocked, codeHostNotAllowed, codeNoThread, codeKilled, codeOffline:
		return true
	}
	return false
}

// refused makes the failure of what the server answers with an error.
func (c *checker) refused(err error) error {
	e, ok := asServerError(err)
	if !ok {
		return c.failed("no greeting", err)
	}
	reason, hint := meaning(e.code)
	if hint != "" {
		hint = "; " + hint
	}
	return check.Failf(reason, "%s: %w%s", c.target, e, hint)
}

// meaning says why an error is one, and what can be done.
func meaning(code int) (reason check.Reason, hint string) {
	switch code {
	case codeTooManyConnections:
		return check.ReasonStatus, "look for a client that leaks connections, or raise max_connections"
	case codeHostBlocked:
		return check.ReasonPermission, "the server blocks this host after too many broken connections: FLUSH HOSTS, and look for who breaks them"
	case codeHostNotAllowed:
		return check.ReasonPermission, "no account may log in from this host; make one: CREATE USER"
	case codeShutdown:
		return check.ReasonLoading, ""
	case codeAccessDenied, codeAccessDeniedNoText:
		return check.ReasonAuth, "see the user name, the password, from where the account may log in, and whether only with TLS"
	case codeMethodUnsupported, codeMustChangePassword, codePasswordExpired, codePasswordExpiredMaria, codeLockedMySQL, codeLockedMariaDB:
		return check.ReasonAuth, ""
	case codeInsecureTransport:
		return check.ReasonTLS, "write tls=prefer or tls=require"
	case codeDatabaseDenied, codeCommandDenied, codeColumnDenied, codePrivilege, codeRoutineDenied:
		return check.ReasonPermission, "GRANT it"
	case codeUnknownDatabase, codeNoSuchTable:
		return check.ReasonMissing, ""
	case codeTimeoutMariaDB, codeTimeoutMySQL:
		return check.ReasonTimeout, ""
	case codeUserTooMany, codeUserLimit:
		return check.ReasonStatus, "the account's own limit is reached"
	}
	return check.ReasonStatus, ""
}

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
	if m, ok := errors.AsType[*unknownMethod](err); ok {
		return check.Failf(check.ReasonAuth, "%s: wants the password in the way of %s, and hale knows %s and %s; make an account of one of these for it",
			c.target, check.CleanText(m.name), methodNative, methodCachingSHA2)
	}
	if e, ok := asServerError(err); ok {
		return c.refused(e)
	}
	return c.failed("the login broke off", err)
}

// queryFailed makes the failure of something asked after the login.
func (c *checker) queryFailed(what string, err error) error {
	if e, ok := asServerError(err); ok {
		return c.refused(e)
	}
	if errors.Is(err, errTooMuch) {
		return check.Failf(check.ReasonSize, "%s: the %s's answer is larger than %d KiB; ask for less", c.target, what, maxAnswer>>10)
	}
	return c.failed("no answer to the "+what, err)
}
