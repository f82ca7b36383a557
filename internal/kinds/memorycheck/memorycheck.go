// Package memorycheck is the kind memory: a check that enough memory is
// available on this host, and in the cgroup that hale runs in.
//
// Available is what a new program could get without swapping: MemAvailable of
// /proc/meminfo, proc(5). Where the memory of hale's own cgroup, or of one above
// it, is limited and less is left of that limit, that counts instead, as it is
// what the other programs of a container have. What the cgroup uses is taken
// without the file cache that it has not used lately, which the kernel takes
// back first.
//
// The kernel's files are those of Linux; elsewhere the check fails and says so.
package memorycheck

import (
	"io/fs"
	"os"

	"hale/internal/check"
	"hale/internal/hosturl"
	"hale/internal/quantity"
)

// Config is the configuration of one check.
type Config struct {
	MinFree quantity.Share `option:"min_free" help:"fail when less memory is available: a percentage such as 10%, or a size such as 500MB; 0 is off"`
	MaxSwap quantity.Share `option:"max_swap" help:"fail when more swap space is used: a percentage such as 50%, or a size such as 1GiB; 100% is off"`
	Cgroup  bool           `option:"cgroup" help:"count the memory limits of the cgroup that hale runs in"`

	files fs.FS
}

// Kind is the kind memory.
func Kind() check.Kind { return kindOn(os.DirFS("/")) }

// kindOn is the kind on a host with these files.
func kindOn(files fs.FS) check.Kind {
	return check.Define("memory", "memory:", Config{
		MinFree: quantity.PercentShare(5),
		MaxSwap: quantity.PercentShare(100),
		Cgroup:  true,
		files:   files,
	})
}

// SetTarget takes a URL that is nothing but the scheme.
func (c *Config) SetTarget(t check.Target) error { return hosturl.Nothing(t, "the memory") }

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	if c.MinFree.IsZero() && c.MaxSwap == quantity.PercentShare(100) {
		return check.OptionErrorf("min_free", "is 0, and max_swap 100%%, so that nothing would be checked; give one of them")
	}
	return nil
}

// Checker makes the checker.
func (c *Config) Checker(check.Env) (check.Checker, error) {
	return &checker{free: c.MinFree, swap: c.MaxSwap, cgroup: c.Cgroup, files: c.files}, nil
}
