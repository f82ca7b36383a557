package supervisorcheck

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hale/internal/check"
)

// checker is immutable once made.
type checker struct {
	dial                     check.DialFunc
	network, address, target string
	authorization            string // "" is none
	programs                 []string
	minUptime                time.Duration
}

// maxListed is how many programs a message names.
const maxListed = 8

// Check asks once.
func (c *checker) Check(ctx context.Context) (string, error) {
	all, err := c.ask(ctx)
	if err != nil {
		return "", err
	}
	programs, err := c.wanted(all)
	if err != nil {
		return "", err
	}
	return c.judge(programs)
}

// ask returns what supervisord says of the programs that are wanted, and
// perhaps of others.
func (c *checker) ask(ctx context.Context) ([]program, error) {
	if len(c.programs) == 1 && !strings.HasSuffix(c.programs[0], ":*") {
		programs, err := c.call(ctx, "supervisor.getProcessInfo", c.programs[0])
		if f, ok := errors.AsType[*fault](err); !ok || f.code != faultBadName {
			return programs, err
		}
		// It is not known; the answer below says what is.
	}
	return c.call(ctx, "supervisor.getAllProcessInfo")
}

// wanted picks the programs that the check names, all of them if it names none.
func (c *checker) wanted(all []program) ([]program, error) {
	if len(all) == 0 {
		return nil, check.Failf(check.ReasonMissing, "%s: supervisord has no programs; see [program:NAME] in its configuration, and supervisorctl update", c.target)
	}
	if len(c.programs) == 0 {
		return all, nil
	}
	picked := make([]bool, len(all))
	for _, name := range c.programs {
		found := false
		for i, p := range all {
			if p.is(name) {
				picked[i], found = true, true
			}
		}
		if !found {
			return nil, check.Failf(check.ReasonMissing, "%s: supervisord has no program %s; it has %s", c.target, name, list(all))
		}
	}
	var programs []program
	for i, p := range all {
		if picked[i] {
			programs = append(programs, p)
		}
	}
	return programs, nil
}

// list names programs.
func list(all []program) string {
	names := make([]string, 0, maxListed)
	for _, p := range all[:min(len(all), maxListed)] {
		names = append(names, p.fullName())
	}
	slices.Sort(names)
	text := strings.Join(names, ", ")
	if more := len(all) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return check.CleanText(text)
}

// judge compares the programs' states with RUNNING.
func (c *checker) judge(programs []program) (string, error) {
	var faults []string
	reason := check.ReasonNone
	for _, p := range programs {
		why, what := p.judge(c.minUptime)
		if why == check.ReasonNone {
			continue
		}
		if reason == check.ReasonNone {
			reason = why
		}
		if len(faults) < maxListed {
			faults = append(faults, p.fullName()+" "+what)
		}
	}
	switch {
	case len(faults) == 1:
		return "", check.Failf(reason, "%s: %s", c.target, faults[0])
	case len(faults) > 1:
		return "", check.Failf(reason, "%s: %s", c.target, strings.Join(faults, "; "))
	case len(programs) == 1:
		return check.CleanText(fmt.Sprintf("%s RUNNING for %v", programs[0].fullName(), programs[0].uptime())), nil
	}
	youngest := programs[0].uptime()
	for _, p := range programs {
		youngest = min(youngest, p.uptime())
	}
	return fmt.Sprintf("%d programs RUNNING, all for %v or longer", len(programs), youngest), nil
}

// A program is what supervisord says of one.
type program struct {
	group, name string
	// state is its name: RUNNING and so on.
	state    string
	spawnErr string
	exit     int64
	// Times are supervisord's, in seconds since 1970; 0 is never.
	start, stop, now int64
}

// fullName is how supervisorctl names it.
func (p program) fullName() string {
	if p.group == p.name {
		return p.name
	}
	return p.group + ":" + p.name
}

// is reports whether a name, as the option program has it, means the program.
// As for supervisorctl, a NAME alone means NAME in a group of that name, which
// every program has that no [group:…] holds.
func (p program) is(name string) bool {
	group, program, ok := strings.Cut(name, ":")
	if !ok {
		program = group
	}
	return p.group == group && (program == "*" || p.name == program)
}

func (p program) uptime() time.Duration {
	return time.Duration(max(p.now-p.start, 0)) * time.Second
}

// judge says what is wrong with a program; [check.ReasonNone] when nothing is.
func (p program) judge(minUptime time.Duration) (check.Reason, string) {
	switch p.state {
	case "RUNNING":
		if up := p.uptime(); up < minUptime {
			return check.ReasonStatus, fmt.Sprintf("is RUNNING for %v only, want at least %v; does it end and start again? See supervisorctl tail %s", up, minUptime, p.fullName())
		}
		return check.ReasonNone, ""
	case "STARTING":
		return check.ReasonLoading, "is STARTING: it has not stayed up for its startsecs yet"
	case "STOPPING":
		return check.ReasonLoading, "is STOPPING: it was told to end and has not ended yet"
	case "BACKOFF":
		return check.ReasonStatus, "is in BACKOFF: it does not stay up for its startsecs and is started again and again" + p.because()
	case "FATAL":
		return check.ReasonStatus, "is FATAL: supervisord gave up starting it" + p.because() + "; see supervisorctl tail " + p.fullName()
	case "EXITED":
		return check.ReasonStatus, fmt.Sprintf("is EXITED: it ended with status %d %v ago, and autorestart does not start it again", p.exit, p.stopped())
	case "STOPPED":
		if p.stop == 0 {
			return check.ReasonStatus, "is STOPPED: it was never started; supervisorctl start " + p.fullName()
		}
		return check.ReasonStatus, fmt.Sprintf("is STOPPED: somebody stopped it %v ago; supervisorctl start %s", p.stopped(), p.fullName())
	default:
		return check.ReasonStatus, "is " + check.CleanText(p.state) + ", want RUNNING" + p.because()
	}
}

func (p program) because() string {
	if p.spawnErr == "" {
		return ""
	}
	return ": " + check.CleanText(p.spawnErr)
}

func (p program) stopped() time.Duration {
	return time.Duration(max(p.now-p.stop, 0)) * time.Second
}
