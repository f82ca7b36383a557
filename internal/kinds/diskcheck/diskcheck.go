// Package diskcheck is the kind disk: a check that the file system of a path
// has free space and free inodes.
//
// What counts is what a program without privileges may still use, as statfs(2)
// tells: blocks that are reserved for root are not free. A percentage is of what
// such a program could use at all, as in the output of df.
//
// The look at a file system whose server is gone hangs in the kernel. It is left
// behind then, once for each path however often the check runs, and the run ends
// at its timeout.
package diskcheck

import (
	"hale/internal/check"
	"hale/internal/hosturl"
	"hale/internal/isolate"
	"hale/internal/quantity"
)

// Config is the configuration of one check.
type Config struct {
	MinFree       quantity.Share `option:"min_free" help:"fail when less is free: a percentage such as 10%, or a size such as 5GiB; 0 is off"`
	MinFreeInodes quantity.Count `option:"min_free_inodes" help:"fail when fewer inodes are free: a percentage such as 10%, or a number; 0 is off"`

	path  string
	looks *isolate.Group
}

// Kind is the kind disk. Its checks of the same path leave one look behind
// between them.
func Kind() check.Kind {
	return check.Define("disk", "disk:///var/lib", Config{
		MinFree:       quantity.PercentShare(5),
		MinFreeInodes: quantity.PercentCount(5),
		looks:         &isolate.Group{},
	})
}

// SetTarget takes the path, which is absolute.
func (c *Config) SetTarget(t check.Target) (err error) {
	c.path, err = hosturl.Path(t, "/var/lib")
	return err
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	if c.MinFree.IsZero() && c.MinFreeInodes.IsZero() {
		return check.OptionErrorf("min_free", "is 0, as is min_free_inodes, so that nothing would be checked; give one of them")
	}
	return nil
}

// Checker makes the checker.
func (c *Config) Checker(check.Env) (check.Checker, error) {
	return &checker{path: c.path, space: c.MinFree, inodes: c.MinFreeInodes, looks: c.looks}, nil
}
