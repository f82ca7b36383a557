// Package memcachedcheck checks that a memcached server answers.
//
// It asks for the server's version, in the text protocol, which touches neither
// the cache nor its statistics of reads and writes. A server that wants a login
// for that (memcached --auth-file) gets one if there is a password. The login
// looks like storing an item, so it is only sent to a server that has asked for
// it, and as an item that has expired.
//
// Each run makes one connection. The protocol is described in
// https://github.com/memcached/memcached/blob/master/doc/protocol.txt
package memcachedcheck

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

// DefaultPort is the port of a URL that has none.
const DefaultPort = 11211

// Config is the configuration of one check.
type Config struct {
	Username string       `option:"username" help:"user to log in as, instead of the one in the URL"`
	Password check.Secret `option:"password" help:"password to log in with, instead of the one in the URL"`
	Socket   string       `option:"unix,where" help:"the server's unix socket, instead of a host in the URL"`
	TLS      bool         `option:"tls" help:"connect through TLS"`
	tlsconf.Options

	host string
	port int
}

// Kind is the kind memcached.
func Kind() check.Kind {
	return check.Define("memcached", "memcached://127.0.0.1:11211", Config{})
}

// SetTarget takes memcached://USER:PASSWORD@HOST:PORT, of which all but
// the host may be missing; :PORT alone is this host. With a unix socket the URL
// has no host.
func (c *Config) SetTarget(t check.Target) error {
	c.port = DefaultPort
	if t.URL.Host != "" || t.URL.Opaque != "" || c.Socket == "" {
		var err error
		if c.host, c.port, err = t.Host(DefaultPort); err != nil {
			return err
		}
		if c.Socket != "" {
			return check.OptionErrorf("unix", "is a unix socket, and the URL names a host or port; give one of them")
		}
	}
	if t.URL.Path != "" && t.URL.Path != "/" {
		return check.OptionErrorf("url", "has the path %q, which means nothing to memcached; write memcached://HOST:PORT, or memcached://?unix=PATH for a unix socket", check.CleanText(t.URL.Path))
	}
	return t.Login(&c.Username, &c.Password)
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	errs := []error{c.Options.Validate()}
	fault := func(option, format string, args ...any) {
		errs = append(errs, check.OptionErrorf(option, format, args...))
	}
	switch {
	case c.Username == "" && !c.Password.IsZero():
		fault("username", "is missing, and a password needs one; write memcached://USER:PASSWORD@HOST")
	case c.Username != "" && c.Password.IsZero():
		// The name is not shown: it is a password when the colon was forgotten.
		fault("username", "needs a password; write memcached://USER:PASSWORD@HOST")
	case strings.ContainsAny(c.Username, " :\r\n\x00"):
		fault("username", "has a space, a colon, a line break or a zero byte, which memcached's --auth-file has no way to hold")
	}
	if strings.ContainsAny(c.Password.Reveal(), "\r\n\x00") {
		fault("password", "has a line break or a zero byte, which memcached's --auth-file has no way to hold")
	}
	if c.Socket != "" && !filepath.IsAbs(c.Socket) {
		fault("unix", "%q is a relative path; give an absolute one", check.CleanText(c.Socket))
	}
	switch {
	case c.Socket != "" && c.TLS:
		fault("tls", "is for a host, and a unix socket is without TLS; leave it out")
	case !c.TLS && !c.Options.IsZero():
		fault("tls", "is false, and ca, cert, key, server_name, insecure and min_days need it to be true")
	}
	return errors.Join(errs...)
}

// Checker makes the checker. It reads the files that the TLS options name.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	k := &checker{
		dial:    env.Dial,
		network: "tcp",
		address: check.Address(c.host, c.port),
		options: c.Options,
	}
	k.target = "memcached://" + k.address
	if c.Socket != "" {
		k.network, k.address, k.target = "unix", c.Socket, c.Socket
	}
	if c.Username != "" {
		proof := c.Username + " " + c.Password.Reveal()
		// Key, flags and age of the item mean nothing to a login. Should it be
		// stored all the same, it is too old to be there.
		k.login = fmt.Appendf(nil, "set hale 0 -1 %d\r\n%s\r\n%s", len(proof), proof, askVersion)
	}
	if c.TLS {
		host := c.host
		if host == "" {
			host = "localhost"
		}
		var err error
		if k.tls, err = c.Options.Config(host); err != nil {
			return nil, err
		}
	}
	return k, nil
}
