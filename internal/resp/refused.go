package resp

import (
	"errors"
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
	{"READONLY", check.ReasonRole, "is a replica and can't be written to; give its master"},
	{"OOM", check.ReasonStatus, "has used all the memory it may use (maxmemory) and refuses to be written to"},
}

// Explain makes of what reading the reply to a command led to what a person
// needs to know. A nil error, and one that has a reason, is returned as it is.
func (s *Server) Explain(command string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*check.Error](err); ok {
		return err
	}
	if r, ok := errors.AsType[*Refusal](err); ok {
		return s.refused(command, r.Text)
	}
	if m, ok := errors.AsType[*Malformed](err); ok {
		return check.Failf(check.ReasonProtocol, "%s: the answer to %s is not of the Redis protocol: %w", s.Target(), command, m)
	}
	reason, hint := check.ReasonOf(err), ""
	if s.TLS == nil && (reason == check.ReasonReset || reason == check.ReasonClosed) {
		hint = "; write " + s.twin() + ":// if it speaks TLS"
	}
	return check.Failf(reason, "%s: no reply to %s: %w%s", s.Target(), command, err, hint)
}

// refused makes the failure of an error reply to a command.
func (s *Server) refused(command, reply string) error {
	// A server that does not know AUTH may repeat what it was sent.
	if s.Password != "" {
		reply = strings.ReplaceAll(reply, s.Password, check.Masked)
	}
	for _, r := range refusals {
		if strings.HasPrefix(reply, r.start) {
			text := strings.ReplaceAll(r.text, "SCHEME", s.Scheme)
			return check.Failf(r.reason, "%s: %s: %s", s.Target(), text, shorten(reply))
		}
	}
	switch {
	case strings.HasPrefix(reply, "NOPERM"):
		return check.Failf(check.ReasonPermission, "%s: the user may not use %s; allow it with ACL SETUSER NAME +%s: %s", s.Target(), command, strings.ToLower(command), shorten(reply))
	case command == "AUTH":
		return check.Failf(check.ReasonAuth, "%s: refuses the login: %s", s.Target(), shorten(reply))
	}
	return check.Failf(check.ReasonStatus, "%s: answers %s with an error: %s", s.Target(), command, shorten(reply))
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
