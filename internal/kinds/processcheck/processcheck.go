// Package processcheck is the kind process: a check that a process runs, found
// by its pid file or by the name of its program.
//
// A zombie does not run: it has ended, and nobody has asked how. A process's
// program is called what the kernel calls it (comm), or like the last part of its
// first argument's path or of its executable's; one of these must be the name,
// exactly.
//
// The checker is a [check.Watcher]: it holds a pidfd of each process that it
// found, at most [MaxWatched], and has the check run as soon as one ends.
//
// What is known of processes is that of /proc, proc(5), as hale sees it: those of
// hale's own pid namespace and of the ones below. Elsewhere than on Linux the
// check fails and says so.
package processcheck

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"hale/internal/check"
	"hale/internal/hosturl"
)

// MaxWatched is how many processes of a name are watched. The end of another one
// is noticed at the check's interval.
const MaxWatched = 64

// maxName is the greatest length of a program's name: that of a file's.
const maxName = 255

// Config is the configuration of one check.
type Config struct {
	Min     int    `option:"min" help:"fail when fewer processes of the name run"`
	Max     int    `option:"max" help:"fail when more processes of the name run; 0 is off"`
	Program string `option:"program" help:"with a pid file: the name of the program that its process must run"`
	User    string `option:"user" help:"the user as whom it must run: a name or a number"`

	name    string // "" for a pid file
	pidFile string
}

// Kind is the kind process.
func Kind() check.Kind {
	return check.Define("process", "process:nginx", Config{Min: 1})
}

// SetTarget takes process:NAME, or process:///PATH for a pid file.
func (c *Config) SetTarget(t check.Target) (err error) {
	u := t.URL
	switch {
	case u.Opaque != "":
		if c.name, err = url.PathUnescape(u.Opaque); err != nil {
			return check.OptionErrorf("url", "a %% that is not followed by two hexadecimal digits; write %%25 for %%")
		}
	case u.Host != "" && u.Host != "localhost" && u.User == nil && (u.Path == "" || u.Path == "/"):
		c.name = u.Host // process://nginx
	case u.Host == "" && u.User == nil && u.Path == "":
		return check.OptionErrorf("url", "has neither a name nor a pid file; write process:nginx or process:///run/nginx.pid")
	default:
		c.pidFile, err = hosturl.Path(t, "/run/nginx.pid")
		return err
	}
	if fault := faultInName(c.name); fault != "" {
		return check.OptionErrorf("url", "%q %s; write process:nginx, or process:///run/nginx.pid for a pid file", check.CleanText(c.name), fault)
	}
	return nil
}

// faultInName says why no program can be called that.
func faultInName(name string) string {
	switch {
	case strings.Contains(name, "/"):
		return "is a path, and a program's name has no slash"
	case strings.ContainsRune(name, 0):
		return "holds a NUL character, which no name can"
	case len(name) > maxName:
		return "is longer than the name of a file can be"
	case strings.Trim(name, ".") == "":
		return "is not the name of a program"
	}
	return ""
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	fault := func(option, format string, args ...any) {
		errs = append(errs, check.OptionErrorf(option, format, args...))
	}
	switch {
	case c.pidFile != "" && c.Min != 1:
		fault("min", "counts processes of a name, and a pid file has one process; leave it out")
	case c.Min < 1:
		fault("min", "%d is less than 1; at least one process must run", c.Min)
	}
	switch {
	case c.pidFile != "" && c.Max != 0:
		fault("max", "counts processes of a name, and a pid file has one process; leave it out")
	case c.Max < 0:
		fault("max", "%d is negative; give a number, or 0 for no limit", c.Max)
	case c.Max > 0 && c.Min > c.Max:
		fault("max", "%d is less than the min %d", c.Max, c.Min)
	}
	if c.Program != "" {
		if c.name != "" {
			fault("program", "is for pid files, and the URL names the program already; leave it out")
		} else if wrong := faultInName(c.Program); wrong != "" {
			fault("program", "%q %s; give one such as nginx", check.CleanText(c.Program), wrong)
		}
	}
	if strings.ContainsAny(c.User, ":/\x00 \t\n") {
		fault("user", "%q is not a user; give one name such as www-data, or a number", check.CleanText(c.User))
	} else if _, err := strconv.ParseUint(c.User, 10, 32); errors.Is(err, strconv.ErrRange) {
		fault("user", "%s is more than a user's number can be", check.CleanText(c.User))
	}
	return errors.Join(errs...)
}

// Checker makes the checker, which is a [check.Watcher] too.
func (c *Config) Checker(check.Env) (check.Checker, error) {
	if c.pidFile != "" {
		return &byFile{path: c.pidFile, program: c.Program, user: c.User}, nil
	}
	return &byName{name: c.name, min: c.Min, max: c.Max, user: c.User}, nil
}

// byFile is the check of a pid file's process.
type byFile struct{ path, program, user string }

// byName is the check of a program's processes.
type byName struct {
	name, user string
	min, max   int
}
