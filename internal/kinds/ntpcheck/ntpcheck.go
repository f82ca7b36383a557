// Package ntpcheck checks that a time server serves and is synchronised, and
// that this host's clock agrees with it.
//
// A run sends one packet and computes the offset of the clock from the reply,
// as a simple client does (SNTP; RFC 5905, sections 8 and 14). It does not set
// the clock. In place of its time it sends a random number, which the reply has
// to repeat; anything else that arrives is ignored.
package ntpcheck

import (
	"errors"
	"strings"
	"time"

	"hale/internal/check"
)

// DefaultPort is the port of a URL that has none.
const DefaultPort = 123

// maxStratum is the greatest stratum of a synchronised server (RFC 5905,
// section 7.3).
const maxStratum = 15

// Config is the configuration of one check.
type Config struct {
	MaxOffset  time.Duration `option:"max_offset" help:"how far this host's clock may be from the server's"`
	MaxStratum int           `option:"max_stratum" help:"greatest stratum that the server may have, 1 to 15; 1 is a reference clock"`

	host string
	port int
}

// Kind is the kind ntp.
func Kind() check.Kind {
	return check.Define("ntp", "ntp://ntp.example.com:123", Config{MaxOffset: time.Second, MaxStratum: maxStratum})
}

// SetTarget takes ntp://HOST:PORT, of which :PORT alone is this host.
func (c *Config) SetTarget(t check.Target) error {
	c.port = DefaultPort
	if t.URL.User != nil {
		return check.OptionErrorf("url", "has a user name or password, and a time server needs none; leave it out")
	}
	if strings.Trim(t.URL.Path, "/") != "" {
		return check.OptionErrorf("url", "has the path %q, and a time server has none; leave it out", check.CleanText(t.URL.Path))
	}
	var err error
	c.host, c.port, err = t.Host(DefaultPort)
	return err
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	if c.MaxOffset <= 0 {
		errs = append(errs, check.OptionErrorf("max_offset", "%v is not above zero; give a duration such as 500ms", c.MaxOffset))
	}
	if c.MaxStratum < 1 || c.MaxStratum > maxStratum {
		errs = append(errs, check.OptionErrorf("max_stratum", "%d is out of range; give a number from 1 to %d", c.MaxStratum, maxStratum))
	}
	return errors.Join(errs...)
}

// Checker makes the checker.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	address := check.Address(c.host, c.port)
	return &checker{
		dial: env.Dial, address: address, target: "ntp://" + address,
		maxOffset: c.MaxOffset, maxStratum: c.MaxStratum,
	}, nil
}
