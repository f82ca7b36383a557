// Package supervisorcheck checks that programs under Supervisor
// (http://supervisord.org) are RUNNING, by asking supervisord over its unix
// socket or its HTTP port.
//
// A run makes one connection and one XML-RPC call: supervisor.getProcessInfo
// for a single program, else supervisor.getAllProcessInfo. Only when the single
// program is not known is there a second call, to say which ones are. At most
// [MaxReply] bytes of a reply are read. Nothing in supervisord is changed, and
// it logs such calls at its debug level only.
//
// The calls, states and faults are those of
// http://supervisord.org/api.html and http://supervisord.org/subprocess.html;
// XML-RPC is that of http://xmlrpc.com/spec.md.
package supervisorcheck

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"hale/internal/check"
)

const (
	// DefaultPort is the port of a URL with a host and no port.
	DefaultPort = 9001
	// DefaultSocket is the socket of a URL without host and path: Debian's.
	DefaultSocket = "/run/supervisor.sock"
	// MaxReply is how many bytes of a reply are read, which is enough for
	// some 3,000 programs.
	MaxReply = 4 << 20

	// maxSocketPath is how long the path of a unix socket may be (unix(7)).
	maxSocketPath = 107
)

// Config is the configuration of one check.
type Config struct {
	Program   []string      `option:"program,comma" help:"programs that must be RUNNING: NAME, GROUP:NAME or GROUP:* for all of a group"`
	MinUptime time.Duration `option:"min_uptime" help:"fail when a program has been running for less than this, so that one that is restarted again and again is seen; 0 is off"`
	Username  string        `option:"username" help:"user to log in as, instead of the one in the URL"`
	Password  check.Secret  `option:"password" help:"password to log in with, instead of the one in the URL"`

	network, address, shown string
}

// Kind is the kind supervisor.
func Kind() check.Kind {
	return check.Define("supervisor", "supervisor:///run/supervisor.sock?program=web", Config{})
}

// SetTarget takes supervisor:///SOCKET or supervisor://HOST:PORT, each with
// USER:PASSWORD@ before it if need be.
func (c *Config) SetTarget(t check.Target) error {
	return errors.Join(c.setAddress(t), c.setLogin(t))
}

func (c *Config) setAddress(t check.Target) error {
	u := t.URL
	if u.Opaque != "" {
		return check.OptionErrorf("url", "has neither a path nor a host; write supervisor:///run/supervisor.sock for a socket, or supervisor://HOST:%d", DefaultPort)
	}
	if u.Host == "" {
		path := u.Path
		if path == "" {
			path = DefaultSocket
		}
		c.network, c.address, c.shown = "unix", path, "supervisor://"+path
		switch {
		case strings.HasSuffix(path, "/"):
			return check.OptionErrorf("url", "%q ends in a slash, which makes it a directory; give the path of the socket", check.CleanText(path))
		case strings.ContainsRune(path, 0):
			return check.OptionErrorf("url", "%q holds a NUL character, which no path can", check.CleanText(path))
		case len(path) > maxSocketPath:
			return check.OptionErrorf("url", "the socket's path is longer than the %d bytes that are possible", maxSocketPath)
		}
		return nil
	}
	switch u.Path {
	case "", "/", rpcPath:
	default:
		return check.OptionErrorf("url", "has the path %q after a host; leave it out, or write three slashes for a socket: supervisor:///run/supervisor.sock", check.CleanText(u.Path))
	}
	host, port, err := t.Host(DefaultPort)
	c.network, c.address = "tcp", check.Address(host, port)
	c.shown = "supervisor://" + c.address
	return err
}

func (c *Config) setLogin(t check.Target) error {
	return t.Login(&c.Username, &c.Password)
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	for _, name := range c.Program {
		if !isProgram(name) {
			errs = append(errs, check.OptionErrorf("program", "%q is not a program; write NAME, GROUP:NAME or GROUP:*", check.CleanText(name)))
		}
	}
	if c.MinUptime < 0 {
		errs = append(errs, check.OptionErrorf("min_uptime", "%v is negative; give a duration such as 30s", c.MinUptime))
	}
	switch {
	case c.Username != "" && c.Password.IsZero():
		// The name is not shown: it is a password when the colon was forgotten.
		errs = append(errs, check.OptionErrorf("username", "needs a password; write supervisor://USER:PASSWORD@HOST, or set password"))
	case c.Username == "" && !c.Password.IsZero():
		errs = append(errs, check.OptionErrorf("password", "needs a user name; supervisord has both or neither"))
	case strings.Contains(c.Username, ":"):
		errs = append(errs, check.OptionErrorf("username", "has a colon, which basic authentication can't carry"))
	}
	return errors.Join(errs...)
}

// isProgram reports whether a name is one that supervisord could have.
func isProgram(name string) bool {
	group, program, ok := strings.Cut(name, ":")
	if !ok {
		program = group
	}
	return group != "" && program != "" && !strings.ContainsAny(name, " \t") && !strings.Contains(program, ":") &&
		!strings.Contains(group, "*") && (program == "*" || !strings.Contains(program, "*"))
}

// Derived returns the credentials as basic authentication sends them, and
// without the padding, which is easily lost.
func (c *Config) Derived() []string {
	if c.Password.IsZero() {
		return nil
	}
	credentials := c.credentials()
	return []string{credentials, strings.TrimRight(credentials, "=")}
}

// credentials are those of basic authentication (RFC 7617).
func (c *Config) credentials() string {
	return base64.StdEncoding.EncodeToString([]byte(c.Username + ":" + c.Password.Reveal()))
}

// Checker makes the checker.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	k := &checker{
		dial: env.Dial, network: c.network, address: c.address, target: c.shown,
		programs: slices.Clone(c.Program), minUptime: c.MinUptime,
	}
	if !c.Password.IsZero() {
		k.authorization = "Basic " + c.credentials()
	}
	return k, nil
}
