package redischeck

import (
	"strings"

	"hale/internal/check"
)

// refusals are the error replies of which it is known what they mean, by how
// they begin. A text names the target, says what is the matter and, where
// there is something, what to do.
var refusals = []struct {
	start  string
	reason check.Reason
	text   string
}{
	{"LOADING", check.ReasonLoading, "is loading its data into memory and serves once that is done"},
	{"MASTERDOWN", check.ReasonLoading, "is a replica without a link to its master, and set not to serve old data (replica-serve-stale-data no)"},
	{"NOAUTH", check.ReasonAuth, "asks for a password, and none was given; write SCHEME://:PASSWORD@HOST or set the option password"},
	{"WRONGPASS", check.ReasonAuth, "refuses the user name or password"},
	{"ERR max number of clients", check.ReasonStatus, "has as many clients as it accepts; look for a client that leaks connections, or raise maxclients"},
	{"DENIED", check.ReasonPermission, "is in protected mode and accepts this host only; set a password, or protected-mode no"},
	{"ERR DB index", check.ReasonMissing, "has no such database; see databases in its configuration"},
	{"MISCONF", check.ReasonStatus, "can't save its data and refuses to be written to; see its log"},
	{"BUSY", check.ReasonStatus, "is busy with a script and serves nobody else"},
}

// refused makes the failure of an error reply to a command.
func (c *checker) refused(command, reply string) error {
	// A server that does not know AUTH may repeat what it was sent.
	if c.password != "" {
		reply = strings.ReplaceAll(reply, c.password, check.Masked)
	}
	for _, r := range refusals {
		if strings.HasPrefix(reply, r.start) {
			text := strings.ReplaceAll(r.text, "SCHEME", c.scheme)
			return check.Failf(r.reason, "%s: %s: %s", c.target, text, shorten(reply))
		}
	}
	switch {
	case strings.HasPrefix(reply, "NOPERM"):
		return check.Failf(check.ReasonPermission, "%s: the user may not use %s; allow it with ACL SETUSER NAME +%s: %s", c.target, command, strings.ToLower(command), shorten(reply))
	case command == "AUTH":
		return check.Failf(check.ReasonAuth, "%s: refuses the login: %s", c.target, shorten(reply))
	}
	return check.Failf(check.ReasonStatus, "%s: answers %s with an error: %s", c.target, command, shorten(reply))
}

// shorten keeps the beginning of a reply, which says what it is about.
func shorten(reply string) string {
	const most = 160
	reply = check.CleanText(reply)
	if len(reply) <= most {
		return reply
	}
	return strings.ToValidUTF8(reply[:most], "") + "…"
}
