// Package systemdcheck checks that a systemd unit is active and does not flap,
// by asking systemd over D-Bus.
//
// A run makes one connection – to systemd's own socket or to the bus – and
// reads a few properties of the unit, all asked for in one write: what
// systemctl show does. Nothing in systemd is changed; a unit that is not loaded
// is loaded for the answer, as systemctl does, and let go again. At most
// [maxBody] bytes of a message are kept.
//
// While it watches, the check has a second connection, over which systemd tells
// of changes of the unit.
//
// The protocol is spoken by hand: a few messages with strings and numbers in
// them, without goroutines and with precise deadlines. It is that of
// https://dbus.freedesktop.org/doc/dbus-specification.html; the properties are
// those of org.freedesktop.systemd1(5).
package systemdcheck

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hale/internal/check"
)

const (
	// DefaultMinUptime is how long a unit must be active once systemd has
	// restarted it by itself.
	DefaultMinUptime = 10 * time.Second
	// MaxWatchers is how many checks of a registry are told of changes. The
	// bus allows a user 256 connections in all.
	MaxWatchers = 64

	// AnyRestarts is a max_restarts that is off.
	AnyRestarts = -1

	maxUnitName   = 255 // systemd.unit(5)
	maxSocketPath = 107 // unix(7)
)

// states are those of the property ActiveState.
var states = []string{"active", "reloading", "inactive", "failed", "activating", "deactivating", "maintenance", "refreshing"}

// unitTypes are what the names of units end in, systemd.unit(5).
var unitTypes = []string{".service", ".socket", ".device", ".mount", ".automount", ".swap", ".target", ".path", ".timer", ".slice", ".scope"}

// Config is the configuration of one check.
type Config struct {
	State       []string      `option:"state,comma" help:"states of which the unit must have one: active, reloading, inactive and others of systemctl"`
	MinUptime   time.Duration `option:"min_uptime" help:"how long the unit must have been active once systemd has restarted it by itself; 0 is off"`
	MaxRestarts int           `option:"max_restarts" help:"fail when systemd has restarted the unit by itself more often than this since it was started; -1 is off"`
	User        bool          `option:"user" help:"ask the user's systemd, not the system's"`
	Bus         string        `option:"bus" help:"path of the socket to ask at: a bus, or systemd's own"`

	unit     string
	watchers chan struct{} // one place for each that watches
}

// Kind returns the kind systemd. Its checks share a bound on how many watch.
func Kind() check.Kind {
	return check.Define("systemd", "systemd://nginx.service", Config{
		State: []string{"active", "reloading"}, MinUptime: DefaultMinUptime, MaxRestarts: AnyRestarts,
		watchers: make(chan struct{}, MaxWatchers),
	})
}

// SetTarget takes the unit: systemd://NAME, systemd:NAME, or systemd:///NAME
// for a name that can't be a host's.
func (c *Config) SetTarget(t check.Target) error {
	u := t.URL
	name := u.Opaque
	if strings.Contains(name, "@") {
		return check.OptionErrorf("url", "a unit with an @ in its name is written after two slashes, such as systemd://getty@tty1.service")
	}
	if name == "" {
		if _, ok := u.User.Password(); ok {
			return check.OptionErrorf("url", "a unit with a colon in its name is written after three slashes: systemd:///NAME")
		}
		name = u.Host
		if u.User != nil {
			name = u.User.Username() + "@" + u.Host
		}
		path := strings.TrimPrefix(u.Path, "/")
		if name != "" && path != "" {
			return check.OptionErrorf("url", "has the path %q after a unit; leave it out, and set options after ?", check.CleanText(u.Path))
		}
		if name == "" {
			name = path
		}
	}
	if name == "" {
		return check.OptionErrorf("url", "names no unit; write one such as systemd://nginx.service")
	}
	c.unit = name
	if !slices.ContainsFunc(unitTypes, func(end string) bool { return strings.HasSuffix(name, end) }) {
		c.unit += ".service" // as systemctl takes it
	}
	return validateUnit(c.unit)
}

// validateUnit reports a name that no unit has, by systemd.unit(5).
func validateUnit(name string) error {
	base, _, _ := strings.Cut(name, "@")
	switch {
	case strings.TrimFunc(name, inUnitName) != "":
		return check.OptionErrorf("url", `%q is not a unit's name, which has letters, digits and :-_.\@ only; see systemd-escape(1)`, check.CleanText(name))
	case len(name) > maxUnitName:
		return check.OptionErrorf("url", "the unit's name is longer than the %d characters that are possible", maxUnitName)
	case base == "" || strings.HasPrefix(name, "."):
		return check.OptionErrorf("url", "%q has a type and no name before it; write one such as systemd://nginx.service", check.CleanText(name))
	case strings.HasPrefix(name[len(base):], "@."):
		return check.OptionErrorf("url", "%q is a template; name an instance of it, such as systemd://getty@tty1.service", check.CleanText(name))
	}
	return nil
}

func inUnitName(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(`:-_.\@`, r)
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	for _, state := range c.State {
		if !slices.Contains(states, state) {
			errs = append(errs, check.OptionErrorf("state", "%q is not known%s (known: %s)", check.CleanText(state), check.DidYouMean(state, states), strings.Join(states, ", ")))
		}
	}
	if len(c.State) == 0 {
		errs = append(errs, check.OptionErrorf("state", "is empty; give states such as active"))
	}
	if c.MinUptime < 0 {
		errs = append(errs, check.OptionErrorf("min_uptime", "%v is negative; give a duration such as 10s", c.MinUptime))
	}
	if c.MaxRestarts < AnyRestarts {
		errs = append(errs, check.OptionErrorf("max_restarts", "%d is out of range; give a count from 0, or %d for any", c.MaxRestarts, AnyRestarts))
	}
	if c.Bus != "" {
		switch path := c.busPath(); {
		case !strings.HasPrefix(path, "/"):
			errs = append(errs, check.OptionErrorf("bus", "%q is not a socket; give an absolute path such as %s", check.CleanText(c.Bus), systemBus))
		case len(path) > maxSocketPath:
			errs = append(errs, check.OptionErrorf("bus", "the socket's path is longer than the %d bytes that are possible", maxSocketPath))
		case strings.ContainsRune(path, 0):
			errs = append(errs, check.OptionErrorf("bus", "%q holds a NUL character, which no path can", check.CleanText(path)))
		}
	}
	return errors.Join(errs...)
}

// busPath is the path that the option bus gives, which may have the form of a
// D-Bus address.
func (c *Config) busPath() string { return strings.TrimPrefix(c.Bus, "unix:path=") }

// Where systemd is asked at: its own socket, which only its user may use and
// which needs no bus to run, and the bus.
const (
	systemPrivate = "/run/systemd/private"
	systemBus     = "/run/dbus/system_bus_socket"
)

// sockets are where to ask, in the order in which they are tried; it is
// systemctl's.
func (c *Config) sockets() []string {
	switch {
	case c.Bus != "":
		return []string{c.busPath()}
	case c.User:
		dir := os.Getenv("XDG_RUNTIME_DIR")
		if dir == "" {
			return nil
		}
		return []string{filepath.Join(dir, "systemd/private"), filepath.Join(dir, "bus")}
	case os.Geteuid() == 0:
		return []string{systemPrivate, systemBus}
	default:
		return []string{systemBus}
	}
}

// Checker makes the checker, which is a [check.Watcher] too.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	sockets := c.sockets()
	if len(sockets) == 0 {
		return nil, check.OptionErrorf("user", "XDG_RUNTIME_DIR is not set, which says where the user's systemd is; set bus, such as /run/user/1000/bus")
	}
	return &checker{
		dial: env.Dial, sockets: sockets, unit: c.unit, target: "systemd://" + c.unit, user: c.User,
		states: slices.Clone(c.State), minUptime: c.MinUptime, maxRestarts: c.MaxRestarts,
		watchers: c.watchers,
	}, nil
}
