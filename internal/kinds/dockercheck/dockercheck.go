// Package dockercheck is the kind docker: a check that a container runs, is
// healthy if it has a health check of its own, and is not restarted over and
// over, by asking its engine.
//
// A run is one GET request to the engine, on a connection of its own; the first
// one of a check is two. Nothing of the engine or its containers is changed.
//
// The checks of one registry share a stream of events for each engine, by which
// they learn at once that something happened to their containers.
package dockercheck

import (
	"errors"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/engine"
)

const (
	// DefaultMinUptime is how long a container must run once the engine has
	// restarted it by itself. It is the time after which Docker starts to
	// restart it without delay again.
	DefaultMinUptime = 10 * time.Second

	// AnyRestarts is a max_restarts that is off.
	AnyRestarts = -1

	maxName = 255
)

// Config is the configuration of one check.
type Config struct {
	Healthy     bool          `option:"healthy" help:"fail when the container has no health check of its own"`
	MinUptime   time.Duration `option:"min_uptime" help:"how long the container must have been running once the engine has restarted it by itself; 0 is off"`
	MaxRestarts int           `option:"max_restarts" help:"fail when the engine has restarted the container by itself more often than this since somebody started it; -1 is off"`
	Host        string        `option:"host" help:"address of the engine to ask, such as unix:///run/podman/podman.sock or tcp://127.0.0.1:2376"`

	name string
	hub  *hub
}

// Kind returns the kind docker. Its checks share the streams of events.
func Kind() check.Kind {
	return check.Define("docker", "docker://web", Config{
		MinUptime: DefaultMinUptime, MaxRestarts: AnyRestarts, hub: newHub(),
	})
}

// SetTarget takes the container: docker://NAME or docker:NAME, where NAME may
// also be its id or the beginning of that, of 12 characters or more.
func (c *Config) SetTarget(t check.Target) error {
	u := t.URL
	name := u.Opaque
	if name == "" {
		name = u.Hostname()
	}
	switch {
	case u.User != nil:
		return check.OptionErrorf("url", "a container has no user; write one such as docker://web")
	case u.Port() != "":
		return check.OptionErrorf("url", "has a port, and this kind looks at a container, not at a port of it; write docker://%s, or http:// or tcp:// with an address", check.CleanText(name))
	case name == "" && strings.Trim(u.Path, "/") != "":
		return check.OptionErrorf("url", "names no container; write two slashes: docker://%s", check.CleanText(strings.Trim(u.Path, "/")))
	case name == "":
		return check.OptionErrorf("url", "names no container; write one such as docker://web")
	case strings.Trim(u.Path, "/") != "":
		return check.OptionErrorf("url", "has the path %q after a container; leave it out, and set options after ?", check.CleanText(u.Path))
	case len(name) > maxName:
		return check.OptionErrorf("url", "the container's name is longer than %d characters", maxName)
	case !engine.IsName(name):
		return check.OptionErrorf("url", "%q is not a container's name, which has letters, digits, '_', '.' and '-' only; see docker ps --all", check.CleanText(name))
	}
	c.name = name
	return nil
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	if c.MinUptime < 0 {
		errs = append(errs, check.OptionErrorf("min_uptime", "%v is negative; give a duration such as 10s", c.MinUptime))
	}
	if c.MaxRestarts < AnyRestarts {
		errs = append(errs, check.OptionErrorf("max_restarts", "%d is out of range; give a count from 0, or %d for any", c.MaxRestarts, AnyRestarts))
	}
	return errors.Join(errs...)
}

// Checker makes the checker, which is a [check.Watcher] too.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	client, err := engine.New(engine.Options{Host: c.Host, Dial: env.Dial})
	if err != nil {
		return nil, check.OptionErrorf("host", "%v", err)
	}
	return &checker{
		client: client, host: c.Host, hub: c.hub, name: c.name, target: "docker://" + c.name,
		healthy: c.Healthy, minUptime: c.MinUptime, maxRestarts: c.MaxRestarts,
	}, nil
}
