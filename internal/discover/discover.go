// Package discover finds checks by itself: of the containers of an engine, of
// Docker's links, of what listens on this host. Each way is a [Method] in a
// folder of its own; package methods lists them.
package discover

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"hale/internal/check"
)

// A Method is a way to find checks.
type Method struct {
	// Name is what it is called in a configuration and on the command line.
	Name string
	// Help says in one line what it finds.
	Help string
	// Options are those it takes; see [check.Describe].
	Options []check.OptionInfo
	// New makes a source of the options. Its error joins every fault of them
	// as a [*check.OptionError]. It does no I/O but for reading files.
	New func(options []check.Option, env Env) (Source, error)
	// Applies reports whether it is likely to find something here, so that it
	// is what to do when nothing is configured. It may look at files and
	// variables, and does not block.
	Applies func(env Env) bool
}

// Env is what sources may use of the process they run in.
type Env struct {
	// Registry makes the checks that are found.
	Registry *check.Registry
	// Policy and Defaults are those of checks that do not say otherwise.
	Policy   check.Policy
	Defaults []check.Option
	// Getenv reads a variable of the environment.
	Getenv func(name string) (value string, ok bool)
	// Environ returns the whole environment, as os.Environ does.
	Environ func() []string
	// OwnPorts are the ports on which hale itself listens.
	OwnPorts []int
	// Log takes what a source chose and left out; never nil.
	Log *slog.Logger
}

// A Source finds checks.
type Source interface {
	// Run finds checks until ctx ends. It calls set with all that it has found,
	// at first soon, and again whenever that changes. A source that may lose
	// sight of what it looks at (an engine that hangs) has a check of its own
	// among them, which tells of that: it fails until the first look has
	// succeeded, and only warns after that. Run calls set from one goroutine
	// at a time; set does not block for long.
	Run(ctx context.Context, set func(checks []*check.Check))
}

// Merge joins checks that were written with those that sources found. The first
// that has a name keeps it; another one of that name gets the source's in front
// of its own, and a number if need be.
func Merge(written []*check.Check, found map[string][]*check.Check) []*check.Check {
	all := slices.Clone(written)
	taken := map[string]bool{}
	for _, c := range all {
		taken[c.Name] = true
	}
	var sources []string
	for source := range found {
		sources = append(sources, source)
	}
	slices.Sort(sources)
	for _, source := range sources {
		for _, c := range found[source] {
			all = append(all, named(c, source, taken))
		}
	}
	return all
}

// named returns the check under a name that is free, and takes it.
func named(c *check.Check, source string, taken map[string]bool) *check.Check {
	name := c.Name
	if taken[name] && !strings.HasPrefix(name, source) {
		name = source + "-" + name
	}
	name = check.FreeName(name, func(name string) bool { return taken[name] })
	taken[name] = true
	if name == c.Name {
		return c
	}
	renamed := *c
	renamed.Name = name
	return &renamed
}
