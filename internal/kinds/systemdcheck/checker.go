package systemdcheck

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"hale/internal/check"
)

// checker is immutable once made, but for the places in watchers, which all
// checkers of a registry share.
type checker struct {
	dial         check.DialFunc
	sockets      []string
	unit, target string
	user         bool
	states       []string
	minUptime    time.Duration
	maxRestarts  int
	watchers     chan struct{}
}

// Check asks once.
func (c *checker) Check(ctx context.Context) (string, error) {
	u, err := c.ask(ctx)
	if err != nil {
		return "", err
	}
	return c.judge(u)
}

// A unit is what systemd says of one. What it does not say is zero.
type unit struct {
	load, active, sub   string
	activeSince, since  time.Time     // since when it is active; in its state
	uptime              time.Duration // how long it has been active
	restarts            int           // by systemd itself, since it was started
	result              string        // why a service ended
	exitCode, exitValue int           // si_code and si_status, sigaction(2)
}

// A property is one to be read, and where its value goes: the text of one that
// is text, else the number.
type property struct {
	iface, name string
	set         func(text string, number uint64)
}

// ask reads the unit's properties.
func (c *checker) ask(ctx context.Context) (unit, error) {
	var u unit
	var enteredMono uint64
	micros := func(t *time.Time) func(string, uint64) {
		return func(_ string, n uint64) {
			if n > 0 {
				*t = time.UnixMicro(int64(n)).UTC()
			}
		}
	}
	text := func(s *string) func(string, uint64) { return func(v string, _ uint64) { *s = v } }
	number := func(i *int) func(string, uint64) { return func(_ string, n uint64) { *i = int(n) } }
	wanted := []property{
		{unitInterface, "LoadState", text(&u.load)},
		{unitInterface, "ActiveState", text(&u.active)},
		{unitInterface, "SubState", text(&u.sub)},
		{unitInterface, "StateChangeTimestamp", micros(&u.since)},
		{unitInterface, "ActiveEnterTimestamp", micros(&u.activeSince)},
		{unitInterface, "ActiveEnterTimestampMonotonic", func(_ string, n uint64) { enteredMono = n }},
	}
	if strings.HasSuffix(c.unit, ".service") {
		wanted = append(wanted,
			property{serviceInterface, "NRestarts", number(&u.restarts)},
			property{serviceInterface, "Result", text(&u.result)},
			property{serviceInterface, "ExecMainCode", number(&u.exitCode)},
			property{serviceInterface, "ExecMainStatus", number(&u.exitValue)},
		)
	}
	path := unitPath(c.unit)
	calls := make([]call, len(wanted))
	for i, w := range wanted {
		calls[i] = call{systemdName, path, properties, "Get", []string{w.iface, w.name}}
	}
	k, err := c.open(ctx, calls)
	if err != nil {
		return unit{}, err
	}
	defer k.close()
	answers, err := c.replies(k, calls)
	if err != nil {
		return unit{}, err
	}
	for i, m := range answers {
		v, n, ok := m.value()
		switch {
		case m.kind == typeReply && ok:
			wanted[i].set(v, n)
		case m.kind == typeReply:
			return unit{}, c.broken(errMalformed)
		case !notKnown(m.name) || wanted[i].iface == unitInterface:
			return unit{}, c.refused(m)
		}
	}
	if now := monotonic(); enteredMono > 0 && now > 0 {
		u.uptime = now - time.Duration(enteredMono)*time.Microsecond
	} else {
		u.uptime = time.Since(u.activeSince)
	}
	return u, nil
}

// judge compares what the unit is with what it should be.
func (c *checker) judge(u unit) (string, error) {
	if !slices.Contains(c.states, u.active) || u.load == "not-found" && u.active == "inactive" {
		reason, what := c.fault(u)
		return "", check.Failf(reason, "%s: %s", c.target, what)
	}
	restarted := ""
	if u.restarts > 0 {
		restarted = ", restarted " + times(u.restarts)
	}
	if c.maxRestarts != AnyRestarts && u.restarts > c.maxRestarts {
		return "", check.Failf(check.ReasonStatus, "%s: is %s, but systemd has restarted it %s, want at most %d; %s", c.target, u.state(), times(u.restarts), c.maxRestarts, c.seeLog())
	}
	if u.restarts > 0 && u.active == "active" && u.uptime < c.minUptime {
		return "", check.Failf(check.ReasonStatus, "%s: flaps: is %s, but systemd restarted it %v ago, %s in all, want it to stay up for %v; %s",
			c.target, u.state(), u.uptime.Truncate(time.Millisecond), times(u.restarts), c.minUptime, c.seeLog())
	}
	at := u.since
	if u.active == "active" {
		at = u.activeSince
	}
	return u.state() + since(at) + restarted, nil
}

// fault says what is wrong with a unit that is in none of the wanted states.
func (c *checker) fault(u unit) (check.Reason, string) {
	at := since(u.since)
	switch {
	case u.load == "not-found" && u.active == "inactive":
		return check.ReasonMissing, "systemd has no such unit; see " + c.command("systemctl", "list-unit-files")
	case u.load == "masked":
		return check.ReasonStatus, "is masked, which forbids to start it, and " + u.state() + at + "; " + c.command("systemctl", "unmask "+c.unit)
	case u.load != "loaded" && u.load != "not-found":
		return check.ReasonStatus, "its file can't be used (" + check.CleanText(u.load) + "), and it is " + u.state() + at + "; see " + c.command("systemctl", "status "+c.unit)
	case u.active == "failed":
		return check.ReasonStatus, "has failed" + u.ending() + at + u.before() + "; " + c.seeLog()
	case u.active == "activating" && strings.HasPrefix(u.sub, "auto-restart"):
		return check.ReasonStatus, "ended" + u.ending() + " and waits to be restarted: is " + u.state() + at + u.before() + "; " + c.seeLog()
	case u.active == "activating":
		return check.ReasonLoading, "is starting: " + u.state() + at
	case u.active == "deactivating":
		return check.ReasonLoading, "is stopping: " + u.state() + at
	case u.active == "inactive" && slices.Contains(c.states, "active"):
		return check.ReasonStatus, "is " + u.state() + at + "; " + c.command("systemctl", "start "+c.unit)
	default:
		return check.ReasonStatus, "is " + u.state() + at + ", want " + strings.Join(c.states, " or ")
	}
}

// state is the unit's state as systemctl status shows it.
func (u unit) state() string { return check.CleanText(u.active + " (" + u.sub + ")") }

// ending says how a service ended.
func (u unit) ending() string {
	const exited, killed, dumped = 1, 2, 3 // CLD_EXITED and so on
	if u.result == "" {
		return ""
	}
	how := check.CleanText(u.result)
	switch u.exitCode {
	case exited:
		how += fmt.Sprintf(", status %d", u.exitValue)
	case killed, dumped:
		how += fmt.Sprintf(", signal %d", u.exitValue)
	}
	return " (" + how + ")"
}

// before says how often systemd restarted the unit before it ended.
func (u unit) before() string {
	if u.restarts == 0 {
		return ""
	}
	return ", restarted " + times(u.restarts) + " before"
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + t.Format(time.RFC3339)
}

func (c *checker) seeLog() string { return "see " + c.command("journalctl", "-u "+c.unit) }

// command is a command for people to run.
func (c *checker) command(program, args string) string {
	if c.user {
		program += " --user"
	}
	return program + " " + args
}
