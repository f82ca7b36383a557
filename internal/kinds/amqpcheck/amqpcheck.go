// Package amqpcheck checks that a message broker serves AMQP 0-9-1: it logs in,
// opens a virtual host and a channel, may look at a queue, and closes both as
// the broker wants them closed.
//
// It speaks the handful of methods that this takes and does not use a client
// library: amqp091-go starts goroutines that outlive a run, sets deadlines of
// its own on the connection, and says "bad credentials" of whatever breaks off
// during the login. Nothing is declared, published or consumed, so nothing is
// left in the broker.
//
// Each run makes one connection. The protocol is described in
// https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, RabbitMQ's additions in
// https://www.rabbitmq.com/docs/specification and the URL in
// https://www.rabbitmq.com/docs/uri-spec
package amqpcheck

import (
	"errors"
	"net/url"
	"strings"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

// The ports of a URL that has none.
const (
	DefaultPort    = 5672
	DefaultPortTLS = 5671
)

// The account that clients use unless told otherwise. RabbitMQ lets it in from
// its own host only.
const (
	defaultUser     = "guest"
	defaultPassword = "guest"
	defaultVhost    = "/"
)

// maxShort is the length of the longest name in AMQP, in bytes.
const maxShort = 255

// Config is the configuration of one check.
type Config struct {
	Username     string       `option:"username" help:"user to log in as, instead of the one in the URL"`
	Password     check.Secret `option:"password" help:"password to log in with, instead of the one in the URL"`
	Queue        string       `option:"queue" help:"queue that must exist"`
	MaxMessages  int          `option:"max_messages" help:"fail when more messages than this wait in the queue; -1 is off"`
	MinConsumers int          `option:"min_consumers" help:"fail when fewer consumers than this are at the queue"`
	tlsconf.Options

	scheme string
	tls    bool
	host   string
	port   int
	vhost  string
}

// Kind is the kind for plain connections: amqp.
func Kind() check.Kind {
	return check.Define("amqp", "amqp://127.0.0.1:5672", Config{MaxMessages: -1})
}

// KindTLS is the kind for connections through TLS: amqps.
func KindTLS() check.Kind {
	return check.Define("amqps", "amqps://mq.example.com:5671", Config{MaxMessages: -1, tls: true})
}

// SetTarget takes amqp://USER:PASSWORD@HOST:PORT/VHOST, of which all but the
// host may be missing; :PORT alone is this host.
func (c *Config) SetTarget(t check.Target) error {
	c.scheme, c.port = t.Scheme, DefaultPort
	if c.tls {
		c.port = DefaultPortTLS
	}
	var err error
	if c.host, c.port, err = t.Host(c.port); err != nil {
		return err
	}
	return errors.Join(c.setVhost(t), c.setLogin(t))
}

// setVhost takes the virtual host from the path: one segment, in which a slash
// is encoded. No path is the virtual host "/", and a bare slash the empty one.
func (c *Config) setVhost(t check.Target) error {
	path := t.URL.EscapedPath()
	if path == "" {
		c.vhost = defaultVhost
		return nil
	}
	var err error
	if c.vhost, err = url.PathUnescape(path[1:]); err != nil || strings.Contains(path[1:], "/") {
		return check.OptionErrorf("url", "the path %q is not one virtual host; write %%2F for a slash in its name, as in %s://HOST/%%2F for the virtual host /", check.CleanText(path), t.Scheme)
	}
	return nil
}

func (c *Config) setLogin(t check.Target) error {
	return t.Login(&c.Username, &c.Password)
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	fault := func(option, format string, args ...any) {
		errs = append(errs, check.OptionErrorf(option, format, args...))
	}
	switch {
	case c.Username != "" && c.Password.IsZero():
		// The name is not shown: it is a password when the colon was forgotten.
		fault("username", "needs a password; write %s://USER:PASSWORD@HOST", c.scheme)
	case c.Username == "" && !c.Password.IsZero():
		fault("username", "is missing, and a password needs one; write %s://USER:PASSWORD@HOST", c.scheme)
	}
	for _, text := range []struct{ option, value string }{{"username", c.Username}, {"password", c.Password.Reveal()}} {
		if strings.ContainsRune(text.value, 0) {
			fault(text.option, "has a zero byte, which AMQP's login has no way to hold")
		}
	}
	if len(c.vhost) > maxShort {
		fault("url", "names a virtual host of %d bytes; AMQP has room for %d", len(c.vhost), maxShort)
	}
	if len(c.Queue) > maxShort {
		fault("queue", "has %d bytes; AMQP has room for %d", len(c.Queue), maxShort)
	}
	switch {
	case c.MaxMessages < -1:
		fault("max_messages", "%d is negative; give a number of messages, or -1 for any", c.MaxMessages)
	case c.MaxMessages >= 0 && c.Queue == "":
		fault("max_messages", "needs queue, the queue whose messages count")
	}
	switch {
	case c.MinConsumers < 0:
		fault("min_consumers", "%d is negative; give a number of consumers", c.MinConsumers)
	case c.MinConsumers > 0 && c.Queue == "":
		fault("min_consumers", "needs queue, the queue whose consumers count")
	}
	errs = append(errs, c.Options.Validate())
	if !c.tls {
		errs = append(errs, c.Options.Unused("is for TLS, and this URL is without; write amqps://"))
	}
	return errors.Join(errs...)
}

// Checker makes the checker. It reads the files that the TLS options name.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	address := check.Address(c.host, c.port)
	k := &checker{
		dial:    env.Dial,
		address: address, target: c.scheme + "://" + address,
		options: c.Options,
		user:    c.Username, password: c.Password.Reveal(), vhost: c.vhost,
		queue: c.Queue, maxMessages: c.MaxMessages, minConsumers: c.MinConsumers,
	}
	if k.user == "" {
		k.user, k.password = defaultUser, defaultPassword
	}
	if c.tls {
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
