// Package tlscheck checks that a server completes a TLS handshake with a
// certificate that is valid: signed by a trusted authority, for the name that
// is expected, and for enough days more.
//
// Each run makes one connection, does the handshake, says goodbye and closes.
// Nothing is sent through the connection. When the server asks for a client
// certificate in TLS 1.3, a run waits until the server has judged it, for it
// does so only after the handshake (RFC 8446, section 4.4.2.4), but no longer
// than [Settle].
package tlscheck

import (
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

const (
	// DefaultPort is the port of a URL that has none: that of HTTPS.
	DefaultPort = 443
	// Settle is how long a run waits for a server to refuse a client
	// certificate after the handshake. A server that does not, and does not
	// close the connection when told that nothing will come, has accepted it.
	Settle = time.Second
)

// Config is the configuration of one check.
type Config struct {
	tlsconf.Options

	host string
	port int
}

// Kind is the kind tls.
func Kind() check.Kind {
	return check.Define("tls", "tls://example.com:443?min_days=14", Config{})
}

// SetTarget takes tls://HOST:PORT. No host is this host.
func (c *Config) SetTarget(t check.Target) error {
	if t.URL.User != nil {
		return check.OptionErrorf("url", "has a user name or password, and a handshake needs none; leave it out")
	}
	if strings.Trim(t.URL.Path, "/") != "" {
		return check.OptionErrorf("url", "has the path %q, and a handshake has none; leave it out, or use https:// to request it", check.CleanText(t.URL.Path))
	}
	var err error
	c.host, c.port, err = t.Host(DefaultPort)
	return err
}

// Validate reports every fault in the options.
func (c *Config) Validate() error { return c.Options.Validate() }

// Checker makes the checker. It reads the files that the options name.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	name := c.host
	if name == "" {
		name = "localhost"
	}
	config, err := c.Options.Config(name)
	if err != nil {
		return nil, err
	}
	address := check.Address(c.host, c.port)
	return &checker{
		dial: env.Dial, address: address, target: "tls://" + address,
		options: c.Options, config: config,
	}, nil
}
