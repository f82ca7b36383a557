// Package loadcheck is the kind load: a check that this host is not overloaded.
//
// It compares the load average of /proc/loadavg, proc(5), with the number of
// CPUs, and on request the share of time in which something waited for CPU,
// memory or I/O: the pressure of the kernel's accounting/psi.rst.
//
// The kernel's files are those of Linux; elsewhere the check fails and says so.
package loadcheck

import (
	"errors"
	"io/fs"
	"os"

	"hale/internal/check"
	"hale/internal/hosturl"
	"hale/internal/quantity"
)

// Config is the configuration of one check.
type Config struct {
	Max               float64          `option:"max" help:"fail when the load average for each CPU is higher; 0 is off"`
	Minutes           int              `option:"minutes" help:"over how many minutes the load is averaged: 1, 5 or 15"`
	MaxCPUPressure    quantity.Percent `option:"max_cpu_pressure" help:"fail when something waited for a CPU for more of the last minute, such as 50%; 100% is off"`
	MaxMemoryPressure quantity.Percent `option:"max_memory_pressure" help:"fail when something waited for memory for more of the last minute, such as 10%; 100% is off"`
	MaxIOPressure     quantity.Percent `option:"max_io_pressure" help:"fail when something waited for I/O for more of the last minute, such as 50%; 100% is off"`

	files fs.FS
}

// Kind is the kind load.
func Kind() check.Kind { return kindOn(os.DirFS("/")) }

// kindOn is the kind on a host with these files.
func kindOn(files fs.FS) check.Kind {
	return check.Define("load", "load:", Config{
		Max: 4, Minutes: 5, MaxCPUPressure: 100, MaxMemoryPressure: 100, MaxIOPressure: 100, files: files,
	})
}

// SetTarget takes a URL that is nothing but the scheme.
func (c *Config) SetTarget(t check.Target) error { return hosturl.Nothing(t, "the load") }

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	if c.Max < 0 {
		errs = append(errs, check.OptionErrorf("max", "%v is negative; give the load for each CPU, such as 2 or 0.7", c.Max))
	}
	if c.Minutes != 1 && c.Minutes != 5 && c.Minutes != 15 {
		errs = append(errs, check.OptionErrorf("minutes", "the load is averaged over 1, 5 or 15 minutes, and not over %d", c.Minutes))
	}
	if c.Max == 0 && len(c.pressures()) == 0 {
		errs = append(errs, check.OptionErrorf("max", "is 0, and no pressure is limited, so that nothing would be checked; give one of them"))
	}
	return errors.Join(errs...)
}

// A pressure is a limit of one resource's pressure.
type pressure struct {
	resource string // the file's name
	max      quantity.Percent
}

// pressures returns the limits that are set.
func (c *Config) pressures() []pressure {
	var set []pressure
	for _, p := range []pressure{{"cpu", c.MaxCPUPressure}, {"memory", c.MaxMemoryPressure}, {"io", c.MaxIOPressure}} {
		if p.max < 100 {
			set = append(set, p)
		}
	}
	return set
}

// Checker makes the checker.
func (c *Config) Checker(check.Env) (check.Checker, error) {
	return &checker{max: c.Max, minutes: c.Minutes, pressures: c.pressures(), files: c.files}, nil
}
