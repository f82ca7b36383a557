package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"hale/internal/check"
	"hale/internal/config"
	"hale/internal/discover"
	"hale/internal/discover/links"
	"hale/internal/discover/methods"
)

// methodFaults is, for the configuration, what tells the faults of the options
// of each way to find checks.
func methodFaults(registry *check.Registry) map[string]func([]check.Option) error {
	faults := map[string]func([]check.Option) error{}
	for _, m := range methods.All() {
		faults[m.Name] = func(options []check.Option) error {
			_, err := m.New(options, discoverEnv(nil, registry, slog.New(slog.DiscardHandler)))
			return err
		}
	}
	return faults
}

// methodNames are the ways to find checks.
func methodNames() []string {
	var names []string
	for _, m := range methods.All() {
		names = append(names, m.Name)
	}
	return names
}

// discoverEnv is what sources get; c may be nil.
func discoverEnv(c *config.Config, registry *check.Registry, log *slog.Logger, own ...net.Listener) discover.Env {
	env := discover.Env{
		Registry: registry, Policy: check.DefaultPolicy(), Getenv: os.LookupEnv, Environ: os.Environ, Log: log,
	}
	if c != nil {
		env.Policy, env.Defaults = c.Policy, c.Defaults
	}
	for _, l := range own {
		if l == nil {
			continue
		}
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			env.OwnPorts = append(env.OwnPorts, a.Port)
		}
	}
	return env
}

// chooseDiscovery chooses a way to find checks when nothing is configured: the
// first that is likely to find something here.
func chooseDiscovery(c *config.Config, registry *check.Registry, log *slog.Logger) {
	if c.Discover != nil || len(c.Checks) > 0 {
		return
	}
	env := discoverEnv(c, registry, log)
	for _, name := range []string{"links", "docker", "listeners"} {
		for _, m := range methods.All() {
			if m.Name == name && m.Applies(env) {
				c.Discover = []config.Discovery{{Method: name}}
				log.Info("nothing is configured, so hale looks for checks itself", "method", name, "finds", m.Help)
				return
			}
		}
	}
}

// A gatherer joins the checks that were written with those that sources find.
type gatherer struct {
	log   *slog.Logger
	apply func([]*check.Check)

	mu      sync.Mutex
	written []*check.Check
	found   map[string][]*check.Check
	now     []*check.Check
}

// newSources makes the sources that the configuration asks for.
func newSources(c *config.Config, env discover.Env) (map[string]discover.Source, error) {
	sources := map[string]discover.Source{}
	for _, d := range c.Discover {
		for _, m := range methods.All() {
			if m.Name != d.Method {
				continue
			}
			source, err := m.New(d.Options, env)
			if err != nil {
				return nil, fmt.Errorf("discover %s: %w", m.Name, err)
			}
			sources[m.Name] = source
		}
	}
	return sources, nil
}

// gather applies the written checks, and until a source has found some a check
// in its place that fails: nothing is known before.
func gather(c *config.Config, sources map[string]discover.Source, log *slog.Logger, apply func([]*check.Check)) *gatherer {
	g := &gatherer{log: log, apply: apply, written: lean(c.Checks), found: map[string][]*check.Check{}}
	for name := range sources {
		g.found[name] = []*check.Check{looking(name)}
	}
	g.now = discover.Merge(g.written, g.found)
	apply(g.now)
	return g
}

// looking is the check of a source that has not found anything yet.
func looking(source string) *check.Check {
	return &check.Check{
		Name: source, Named: true, Kind: "discover", Target: "discover:" + source, ID: "discover " + source,
		Policy: check.DefaultPolicy(), Impact: check.ImpactFail, Groups: []string{check.GroupReady}, Checker: lookingChecker(source),
	}
}

// onlySources reports whether there is nothing to check but what sources tell of
// themselves.
func onlySources(checks []*check.Check, found map[string][]*check.Check) bool {
	return !slices.ContainsFunc(checks, func(c *check.Check) bool {
		_, isSource := found[c.Name]
		return !isSource
	})
}

// nothing is the check that fails where nothing was found: an instance of which
// nothing is known gets no traffic.
func nothing() *check.Check {
	return &check.Check{
		Name: "nothing-found", Named: true, Kind: "discover", Target: "discover:", ID: "discover nothing",
		Policy: check.DefaultPolicy(), Impact: check.ImpactFail, Groups: []string{check.GroupReady}, Checker: nothingChecker{},
	}
}

type nothingChecker struct{}

func (nothingChecker) Check(context.Context) (string, error) {
	return "", check.Failf(check.ReasonMissing, "nothing was found that could be checked; start it, or write down what there is to check")
}

type lookingChecker string

func (l lookingChecker) Check(context.Context) (string, error) {
	return "", check.Failf(check.ReasonLoading, "%s has not found out yet what there is to check", string(l))
}

// set takes all that a source has found.
func (g *gatherer) set(source string, checks []*check.Check) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.found[source] = checks
	g.changed(source)
}

// write takes the written checks anew.
func (g *gatherer) write(checks []*check.Check) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.written = lean(checks)
	g.changed("configuration")
}

// lean returns the checks without what an agent does not need.
func lean(checks []*check.Check) []*check.Check {
	for _, c := range checks {
		c.Forget()
	}
	return checks
}

// changed applies what there is now. g is locked.
func (g *gatherer) changed(source string) {
	now := discover.Merge(g.written, g.found)
	if onlySources(now, g.found) {
		now = append(now, nothing())
	}
	added, gone := difference(g.now, now)
	g.now = now
	g.apply(now)
	if len(added)+len(gone) > 0 {
		g.log.Info("the checks have changed", "source", source, "added", few(added), "gone", few(gone), "checks", len(now))
	}
}

// difference returns the names that only the one and only the other has.
func difference(before, after []*check.Check) (added, gone []string) {
	names := func(checks []*check.Check) []string {
		var names []string
		for _, c := range checks {
			names = append(names, c.Name)
		}
		slices.Sort(names)
		return names
	}
	old, now := names(before), names(after)
	for _, name := range now {
		if _, found := slices.BinarySearch(old, name); !found {
			added = append(added, name)
		}
	}
	for _, name := range old {
		if _, found := slices.BinarySearch(now, name); !found {
			gone = append(gone, name)
		}
	}
	return added, gone
}

// few names the first of many.
func few(names []string) string {
	const most = 20
	if len(names) > most {
		return fmt.Sprintf("%s … (%d)", strings.Join(names[:most], " "), len(names))
	}
	return strings.Join(names, " ")
}

// isDockerStatus reports whether hale is in its own image, with links, and nothing
// was said of what to do, be it by a flag, a file, a variable or a URL: then it
// takes docker-status' place there, answers and port included.
func isDockerStatus(c *config.Config, flags *pflag.FlagSet) bool {
	return inImage() && flags.NFlag() == 0 && len(c.Sources) == 0 &&
		links.Method().Applies(discover.Env{Environ: os.Environ, Getenv: os.LookupEnv})
}
