//go:build unix

package execcheck

import (
	"context"
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"hale/internal/check"
)

// checker runs a program.
type checker struct {
	words []string
	codes string
	dir   string
	user  string
	env   []string          // hale's own
	extra map[string]string // the option env
	host  *host

	// stuck is an earlier run of which something is left that could not be
	// killed in time; nil when there is none. A Checker is never called twice
	// at the same time, so nothing guards it.
	stuck *run
}

// name is the program as messages call it. Its arguments may be secret.
func (c *checker) name() string { return c.words[0] }

// Check runs the program once.
func (c *checker) Check(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", check.Failf(check.ReasonOf(err), "%s was not started: %w", c.name(), err)
	}
	if err := c.earlier(); err != nil {
		return "", err
	}
	cmd, err := c.command()
	if err != nil {
		return "", err
	}
	r, err := c.host.start(cmd)
	if err != nil {
		return "", c.diagnose(cmd, err)
	}
	if r.wait(ctx) {
		r.finish()
		return c.judge(r)
	}
	left := r.finish()
	if len(left) > 0 {
		c.stuck = r
	}
	return "", c.killed(ctx, r, left)
}

// earlier refuses to start the program while something is left of a run that
// was ended early: runs would pile up, say on a dead network mount where no
// process can be killed.
func (c *checker) earlier() error {
	if c.stuck == nil {
		return nil
	}
	select {
	case <-c.stuck.gone:
		c.stuck = nil
		return nil
	default:
		left := c.stuck.left()
		return check.Failf(check.ReasonExec, "%s was not started: of an earlier run %s", c.name(), unkilled(left))
	}
}

// killed is the error of a run whose context ended first.
func (c *checker) killed(ctx context.Context, r *run, left []victim) error {
	var more strings.Builder
	if len(left) > 0 {
		fmt.Fprintf(&more, ", but %s", unkilled(left))
	}
	if said := first(r.stderr, r.stdout); said != "" {
		fmt.Fprintf(&more, "; its output began: %s", said)
	}
	return check.Failf(check.ReasonOf(ctx.Err()), "%s was still running and was killed with all it had started%s", c.name(), more.String())
}

// judge says what the exit status of a program that ended by itself means.
func (c *checker) judge(r *run) (note string, err error) {
	if r.lost {
		return "", check.Failf(check.ReasonExec, "%s ended, but its exit status is lost: something else in hale took it", c.name())
	}
	if r.status.Signaled() {
		return "", check.Failf(check.ReasonExit, "%s was killed by %s%s", c.name(), signalName(r.status), after(": ", first(r.stderr, r.stdout)))
	}
	code := r.status.ExitStatus()
	said := first(r.stderr, r.stdout)
	if code == 0 || c.codes == codesNagios {
		said = first(r.stdout, r.stderr)
	}
	if c.codes == codesNagios {
		// What follows is for machines: "DISK OK - 3 GB free | /=2643MB".
		said, _, _ = strings.Cut(said, "|")
		said = strings.TrimSpace(said)
	}
	switch {
	case code == 0 && said == "":
		return "exit status 0", nil
	case code == 0:
		return said, nil
	case code == 1 && c.codes == codesNagios:
		return said, check.Warnf(check.ReasonExit, "%s: exit status 1, a warning%s", c.name(), after(": ", said))
	}
	return "", check.Failf(check.ReasonExit, "%s: exit status %d%s", c.name(), code, after(": ", said))
}

// signalName names the signal that killed a program, and what it may mean.
func signalName(status syscall.WaitStatus) string {
	name := unix.SignalName(status.Signal())
	if name == "" {
		name = fmt.Sprintf("signal %d", status.Signal())
	}
	if status.Signal() == syscall.SIGKILL {
		name += " (by somebody, or by the kernel because memory ran out)"
	}
	return name
}

// first returns the first line of the first output that has one.
func first(outputs ...*output) string {
	for _, o := range outputs {
		if line := o.line(); line != "" {
			return line
		}
	}
	return ""
}

func after(separator, text string) string {
	if text == "" {
		return ""
	}
	return separator + text
}
