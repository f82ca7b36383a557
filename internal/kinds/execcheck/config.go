//go:build unix

package execcheck

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"hale/internal/check"
)

// The values of the option codes.
const (
	codesExit   = "exit"
	codesNagios = "nagios"
)

// Config is the configuration of an exec check.
type Config struct {
	Codes string            `option:"codes" help:"what exit statuses mean: exit (0 is healthy) or nagios (1 is degraded)"`
	Env   map[string]string `option:"env" help:"environment variables to set"`
	Dir   string            `option:"dir" help:"absolute path of the working directory"`
	User  string            `option:"user" help:"user to run as: a name or a number"`

	words []string
	// anyPath is true when a relative path is allowed.
	anyPath bool
}

// Kind is the kind exec.
func Kind() check.Kind { return define(Config{Codes: codesExit}) }

// KindAnyPath is the kind exec for command lines that come from the command
// line of a person, who may name a program by a path relative to where hale
// was started.
func KindAnyPath() check.Kind { return define(Config{Codes: codesExit, anyPath: true}) }

func define(defaults Config) check.Kind {
	k := check.Define("exec", "exec:/usr/local/bin/check.sh --port 2181", defaults)
	k.Opaque = true
	k.Pool = "exec"
	return k
}

var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

// SetTarget takes the command line.
func (c *Config) SetTarget(t check.Target) error {
	words, err := Split(t.Opaque)
	if err != nil {
		return check.OptionErrorf("url", "%v", err)
	}
	if len(words) == 0 || words[0] == "" {
		return check.OptionErrorf("url", "no command; write exec:/path/to/program ARGUMENT…")
	}
	name := words[0]
	base := check.CleanText(name[strings.LastIndexByte(name, '/')+1:])
	switch {
	case strings.Contains(t.Opaque, "\x00"):
		return check.OptionErrorf("url", "the command line has a NUL character, which no program can be given")
	case assignment.MatchString(name):
		return check.OptionErrorf("url", "%s… is an assignment, which needs a shell, and exec runs none; set variables with the option env", assignment.FindString(name))
	case strings.HasPrefix(name, "//"):
		return check.OptionErrorf("url", "exec is followed by a command line and not by //; write exec:/%s", strings.TrimLeft(check.CleanText(name), "/"))
	case strings.HasSuffix(name, "/"):
		return check.OptionErrorf("url", "%q is a directory; write exec:/path/to/program ARGUMENT…", check.CleanText(name))
	case strings.Contains(name, "/") && !filepath.IsAbs(name) && !c.anyPath:
		return check.OptionErrorf("url", "%q is a relative path, and hale may run anywhere; write an absolute one such as exec:/usr/local/bin/%s, or exec:%s to look it up in PATH", check.CleanText(name), base, base)
	}
	c.words = words
	return nil
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	if c.Codes != codesExit && c.Codes != codesNagios {
		errs = append(errs, check.OptionErrorf("codes", "%q is unknown; give exit or nagios", check.CleanText(c.Codes)))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00"):
			errs = append(errs, check.OptionErrorf("env", "%q can't be a variable's name; give NAME=VALUE", check.CleanText(name)))
		case strings.Contains(c.Env[name], "\x00"):
			errs = append(errs, check.OptionErrorf("env", "the value of %s has a NUL character, which no program can be given", check.CleanText(name)))
		}
	}
	switch {
	case strings.Contains(c.Dir, "\x00"):
		errs = append(errs, check.OptionErrorf("dir", "the path has a NUL character, which no path can have"))
	case c.Dir != "" && !filepath.IsAbs(c.Dir):
		errs = append(errs, check.OptionErrorf("dir", "%q is a relative path, and hale may run anywhere; write an absolute one such as /srv/app", check.CleanText(c.Dir)))
	}
	if strings.ContainsAny(c.User, ": \x00") {
		errs = append(errs, check.OptionErrorf("user", "%q is not a user; give one name such as www-data, or a number", check.CleanText(c.User)))
	}
	return errors.Join(errs...)
}

// Checker makes the checker.
func (c *Config) Checker(check.Env) (check.Checker, error) {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "HALE_") })
	return &checker{
		words: c.words,
		codes: c.Codes,
		dir:   c.Dir,
		user:  c.User,
		env:   env,
		extra: c.Env,
		host:  thisHost(),
	}, nil
}
