// Package mountcheck is the kind mount: a check that a file system is mounted on
// a path, is the right one, and can be written to.
//
// The kernel says whether the path is the root of a mount: statx(2), and what is
// mounted there: /proc/self/mountinfo, proc_pid_mountinfo(5). The file system is
// asked, not the kernel's memory of it, so that one whose server is gone is
// noticed.
//
// With the option writable a run makes a file of a name that nobody can foresee,
// writes to it, has that written through to the disk, and removes it.
//
// What hangs in the kernel is left behind, once for each path however often the
// check runs, and the run ends at its timeout. A probe file that was made is
// removed when the file system answers again.
package mountcheck

import (
	"errors"
	"strings"

	"hale/internal/check"
	"hale/internal/hosturl"
	"hale/internal/isolate"
)

// Config is the configuration of one check.
type Config struct {
	FSType   []string `option:"fstype,comma" help:"the types of which the file system must have one, such as ext4 or nfs,nfs4"`
	Source   string   `option:"source" help:"what must be mounted, as findmnt shows it: /dev/sdb1, server:/export"`
	Writable bool     `option:"writable" help:"write a probe file, and remove it"`

	path  string
	looks *isolate.Group
}

// Kind is the kind mount. Its checks of the same path leave one look behind
// between them.
func Kind() check.Kind {
	return check.Define("mount", "mount:///data", Config{looks: &isolate.Group{}})
}

// SetTarget takes the path, which is absolute.
func (c *Config) SetTarget(t check.Target) (err error) {
	c.path, err = hosturl.Path(t, "/data")
	return err
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	for _, name := range c.FSType {
		if name == "" || strings.ContainsAny(name, " \t\n/") {
			errs = append(errs, check.OptionErrorf("fstype", "%q is not a type of file system; give one such as ext4, or several with commas", check.CleanText(name)))
		}
	}
	return errors.Join(errs...)
}

// Checker makes the checker.
func (c *Config) Checker(check.Env) (check.Checker, error) {
	return &checker{path: c.path, types: c.FSType, source: c.Source, writable: c.Writable, looks: c.looks}, nil
}
