// Package smtpcheck checks that a mail server takes SMTP sessions: it greets,
// answers EHLO and, if told to, changes to TLS with a valid certificate.
//
// Each run makes one connection and ends it with QUIT, so that servers do not
// log it as broken off. No mail is begun, no sender or recipient is named. A
// line of a reply is read up to [MaxLine] bytes, and a reply up to [MaxLines]
// lines.
//
// The protocol is that of RFC 5321; STARTTLS is in RFC 3207, and TLS from the
// start on port 465 in RFC 8314, section 3.3.
package smtpcheck

import (
	"errors"
	"strings"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

const (
	// DefaultPort and DefaultPortTLS are the ports of a URL that has none.
	DefaultPort    = 25
	DefaultPortTLS = 465
	// MaxLine is how many bytes a line may have, its end included: more than
	// the 512 of RFC 5321, section 4.5.3.1.5.
	MaxLine = 2048
	// MaxLines is how many lines a reply may have.
	MaxLines = 128
)

// Config is the configuration of one check.
type Config struct {
	StartTLS bool   `option:"starttls" help:"change to TLS with STARTTLS, and fail when the server does not"`
	Helo     string `option:"helo" help:"name to introduce itself with in EHLO"`
	tlsconf.Options

	tls    bool // from the start
	scheme string
	host   string
	port   int
}

// Kind is the kind for connections that begin without TLS: smtp.
func Kind() check.Kind {
	return check.Define("smtp", "smtp://mail.example.com:25", Config{Helo: "localhost"})
}

// KindTLS is the kind for connections through TLS from the start: smtps.
func KindTLS() check.Kind {
	return check.Define("smtps", "smtps://mail.example.com:465", Config{Helo: "localhost", tls: true})
}

// SetTarget takes smtp://HOST:PORT; :PORT alone is this host.
func (c *Config) SetTarget(t check.Target) error {
	if t.URL.User != nil {
		return check.OptionErrorf("url", "has a user name or password, and this check does not log in; leave it out")
	}
	if strings.Trim(t.URL.Path, "/") != "" {
		return check.OptionErrorf("url", "has the path %q, and a mail server has none; leave it out", check.CleanText(t.URL.Path))
	}
	c.scheme, c.port = t.Scheme, DefaultPort
	if c.tls {
		c.port = DefaultPortTLS
	}
	var err error
	c.host, c.port, err = t.Host(c.port)
	return err
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	if c.tls && c.StartTLS {
		errs = append(errs, check.OptionErrorf("starttls", "smtps:// has TLS from the start; leave it out, or use smtp://"))
	}
	if c.Helo == "" || strings.ContainsFunc(c.Helo, func(r rune) bool { return r <= ' ' || r > '~' }) {
		errs = append(errs, check.OptionErrorf("helo", "%q is not a host's name; give one such as probe.example.com", check.CleanText(c.Helo)))
	}
	errs = append(errs, c.Options.Validate())
	if !c.tls && !c.StartTLS {
		errs = append(errs, c.Options.Unused("is for TLS, and this check is without; set starttls, or write smtps://"))
	}
	return errors.Join(errs...)
}

// Checker makes the checker. It reads the files that the TLS options name.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	address := check.Address(c.host, c.port)
	k := &checker{
		dial: env.Dial, address: address, target: c.scheme + "://" + address,
		helo: c.Helo, starttls: c.StartTLS, implicit: c.tls, options: c.Options,
	}
	if c.tls || c.StartTLS {
		name := c.host
		if name == "" {
			name = "localhost"
		}
		var err error
		if k.config, err = c.Options.Config(name); err != nil {
			return nil, err
		}
	}
	return k, nil
}
