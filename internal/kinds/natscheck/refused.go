package natscheck

import (
	"strings"

	"hale/internal/check"
)

// refusals are the errors of which it is known what they mean, by what is in
// them in lower case
// (https://docs.nats.io/reference/reference-protocols/nats-protocol#okerr).
var refusals = [...]struct {
	part   string
	reason check.Reason
	text   string
}{
	{"authorization violation", check.ReasonAuth, "refuses the login"},
	{"authentication expired", check.ReasonAuth, "refuses the login, which has expired"},
	{"authentication revoked", check.ReasonAuth, "refuses the login, which was revoked"},
	{"authentication timeout", check.ReasonTimeout, "did not get or check the login in the time that its configuration allows (authorization timeout)"},
	{"maximum connections exceeded", check.ReasonStatus, "has as many clients as it accepts; look for a client that leaks connections, or raise max_connections"},
	{"maximum account active connections", check.ReasonStatus, "has as many clients of this account as it accepts; look for a client that leaks connections, or raise the account's limit"},
	{"connection throttling", check.ReasonStatus, "throttles new connections"},
	{"secure connection - tls required", check.ReasonTLS, "demands TLS"},
	{"tls", check.ReasonTLS, "has a problem with TLS"},
	{"server shutdown", check.ReasonLoading, "is shutting down"},
	{"unknown protocol operation", check.ReasonProtocol, "does not know what it was sent"},
	{"attempted to connect to", check.ReasonProtocol, "is no port for clients; see port in its configuration"},
}

// errorLine is the failure that a line with -ERR means.
func errorLine(line string) error {
	said := check.CleanText(strings.Trim(strings.TrimPrefix(line, "-ERR"), " '"))
	lower := strings.ToLower(said)
	for _, r := range refusals {
		if strings.Contains(lower, r.part) {
			return check.Failf(r.reason, "%s: %s", r.text, said)
		}
	}
	return check.Failf(check.ReasonStatus, "answers with an error: %s", said)
}

// refused is errorLine in answer to CONNECT, with what to do about a login that
// is missing.
func (c *checker) refused(line string, authRequired bool) error {
	err := errorLine(line)
	if check.ReasonOf(err) == check.ReasonAuth && authRequired && !c.login {
		return check.Failf(check.ReasonAuth, "demands a login, and none was given; set username and password or token (a user with an nkey or JWT can't be used here): %w", err)
	}
	return err
}
