package processcheck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"

	"hale/internal/check"
)

// found is what there is of a name.
type found struct {
	pids    []int // that run, as the user if one is wanted
	zombies int
	others  int // that run as other users
}

// Check counts the processes of the name.
func (c *byName) Check(ctx context.Context) (string, error) {
	f, err := c.find(ctx)
	if err != nil {
		return "", err
	}
	switch n := len(f.pids); {
	case n < c.min:
		return "", c.tooFew(f)
	case c.max > 0 && n > c.max:
		return "", check.Failf(check.ReasonPresent, "%s of %s%s run, want at most %d", processes(n), c.name, c.asUser(), c.max)
	case n == 1:
		return fmt.Sprintf("process %d", f.pids[0]), nil
	default:
		return processes(n), nil
	}
}

func processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return strconv.Itoa(n) + " processes"
}

func (c *byName) asUser() string {
	if c.user == "" {
		return ""
	}
	return " as user " + c.user
}

func (c *byName) tooFew(f found) error {
	text := fmt.Sprintf("no process of %s%s runs", c.name, c.asUser())
	if n := len(f.pids); n > 0 {
		text = fmt.Sprintf("%s of %s%s run, want at least %d", processes(n), c.name, c.asUser(), c.min)
	}
	if f.zombies > 0 {
		text += fmt.Sprintf("; %d more ended and are zombies", f.zombies)
	}
	if f.others > 0 {
		text += fmt.Sprintf("; %d more run as other users", f.others)
	}
	return check.Failf(check.ReasonMissing, "%s%s", text, hiddenHint(new(reader)))
}

// Watch calls changed when one of the processes ends.
func (c *byName) Watch(ctx context.Context, changed func()) error {
	return watch(ctx, changed, func(ctx context.Context) ([]int, error) {
		f, err := c.find(ctx)
		if err == nil && len(f.pids) == 0 {
			err = c.tooFew(f)
		}
		return f.pids, err
	})
}

// find looks at all processes.
func (c *byName) find(ctx context.Context) (found, error) {
	if err := ctx.Err(); err != nil {
		return found{}, fmt.Errorf("looking for %s: %w", c.name, err)
	}
	uid := ""
	if c.user != "" {
		var err error
		if uid, err = userID(c.user); err != nil {
			return found{}, err
		}
	}
	var r reader
	var f found
	own := os.Getpid()
	err := eachProcess(ctx, func(pid int) error {
		if pid == own {
			return nil // who asks tells nothing
		}
		ok, err := r.runs(pid, c.name)
		if !ok {
			return err
		}
		s, err := r.status(pid)
		switch {
		case err != nil:
			return exhausted(err) // it has just ended
		case s.dead:
			f.zombies++
			return nil
		}
		if uid != "" {
			if ok, err := r.runsAs(pid, uid); !ok {
				f.others++
				return err
			}
		}
		f.pids = append(f.pids, pid)
		return nil
	})
	if err != nil {
		return found{}, check.Failf(check.ReasonOf(err), "looking for %s: %w", c.name, err)
	}
	return f, nil
}

// userID returns the number of a user of this host.
func userID(name string) (string, error) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return strconv.FormatUint(n, 10), nil
	}
	u, err := user.Lookup(name)
	if _, unknown := errors.AsType[user.UnknownUserError](err); unknown {
		return "", check.Failf(check.ReasonMissing, "there is no user %q on this host", name)
	}
	if err != nil {
		return "", check.Failf(check.ReasonOf(err), "looking up the user %q: %w", name, err)
	}
	return u.Uid, nil
}
