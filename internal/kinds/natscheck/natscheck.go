// Package natscheck checks that a NATS server serves: it reads the server's
// INFO, begins TLS where that says so, logs in if told to, sends PING and
// expects PONG, and may ask for JetStream.
//
// Each run makes one connection, sends CONNECT and PING in one write and reads
// the replies, which are bounded. The protocol is one of text lines:
// https://docs.nats.io/reference/reference-protocols/nats-protocol
package natscheck

import (
	"encoding/json"
	"errors"
	"strings"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

// DefaultPort is the port of a URL that has none.
const DefaultPort = 4222

// Config is the configuration of one check.
type Config struct {
	Username  string       `option:"username" help:"user to log in as, instead of the one in the URL"`
	Password  check.Secret `option:"password" help:"password to log in with, instead of the one in the URL"`
	Token     check.Secret `option:"token" help:"token to log in with, in place of user and password"`
	JetStream bool         `option:"jetstream" help:"fail unless the server has JetStream"`
	tlsconf.Options

	scheme string
	tls    bool // TLS is demanded, not only begun when the server demands it
	host   string
	port   int
}

// Kind is the kind for connections that go through TLS when the server demands
// it or an option is about it: nats.
func Kind() check.Kind {
	return check.Define("nats", "nats://127.0.0.1:4222", Config{})
}

// KindTLS is the kind for connections through TLS only: natss.
func KindTLS() check.Kind {
	return check.Define("natss", "natss://nats.example.com:4222", Config{tls: true})
}

// SetTarget takes nats://USER:PASSWORD@HOST:PORT or nats://:TOKEN@HOST:PORT, of
// which every part may be missing. No host is this host.
func (c *Config) SetTarget(t check.Target) error {
	c.scheme, c.port = t.Scheme, DefaultPort
	if path := strings.Trim(t.URL.Path, "/"); path != "" {
		return check.OptionErrorf("url", "has the path %q, and a server is checked as a whole; leave it out", check.CleanText(t.URL.Path))
	}
	if strings.Contains(t.URL.Host, ",") {
		return check.OptionErrorf("url", "names several servers; make a check of each")
	}
	if t.URL.Host != "" || t.URL.Opaque != "" {
		var err error
		if c.host, c.port, err = t.Host(DefaultPort); err != nil {
			return err
		}
	}
	return c.setLogin(t)
}

func (c *Config) setLogin(t check.Target) error {
	if t.URL.User == nil {
		return nil
	}
	name := t.URL.User.Username()
	secret, given := t.URL.User.Password()
	if name == "" {
		if !c.Token.IsZero() && c.Token.Reveal() != secret {
			return check.OptionErrorf("token", "is not the one in the URL; give it once")
		}
		c.Token = check.NewSecret(secret)
		return nil
	}
	if c.Username != "" && c.Username != name {
		return check.OptionErrorf("username", "is %q, and the URL names another user; give it once", check.CleanText(c.Username))
	}
	c.Username = name
	if given {
		if !c.Password.IsZero() && c.Password.Reveal() != secret {
			return check.OptionErrorf("password", "is not the one in the URL; give it once")
		}
		c.Password = check.NewSecret(secret)
	}
	return nil
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	switch {
	case !c.Token.IsZero() && (c.Username != "" || !c.Password.IsZero()):
		errs = append(errs, check.OptionErrorf("token", "is in place of user and password; give either"))
	case c.Username != "" && c.Password.IsZero():
		// The name is not shown: it is a token when the colon was forgotten.
		errs = append(errs, check.OptionErrorf("username", "needs a password; write %s://USER:PASSWORD@HOST, or %s://:TOKEN@HOST for a token", c.scheme, c.scheme))
	case c.Username == "" && !c.Password.IsZero():
		errs = append(errs, check.OptionErrorf("password", "needs username, the user it is the password of"))
	}
	return errors.Join(append(errs, c.Options.Validate())...)
}

// Derived returns the secrets as CONNECT sends them.
func (c *Config) Derived() []string {
	var derived []string
	for _, secret := range []check.Secret{c.Password, c.Token} {
		if text, err := json.Marshal(secret.Reveal()); err == nil {
			derived = append(derived, strings.Trim(string(text), `"`))
		}
	}
	return derived
}

// Checker makes the checker. It reads the files that the TLS options name.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	address := check.Address(c.host, c.port)
	k := &checker{
		dial: env.Dial, address: address, target: c.scheme + "://" + address,
		// Who says how to do TLS does not mean to do without.
		demandTLS: c.tls || !c.Options.IsZero(), options: c.Options,
		jetStream: c.JetStream, login: c.Username != "" || !c.Token.IsZero(),
	}
	host := c.host
	if host == "" {
		host = "localhost"
	}
	var err error
	if k.tls, err = c.Options.Config(host); err != nil {
		return nil, err
	}
	k.plain, err = c.greeting(false)
	k.secure, _ = c.greeting(true)
	return k, err
}

// connect is the argument of CONNECT.
type connect struct {
	Verbose  bool   `json:"verbose"`
	Pedantic bool   `json:"pedantic"`
	TLS      bool   `json:"tls_required"`
	User     string `json:"user,omitempty"`
	Password string `json:"pass,omitempty"`
	Token    string `json:"auth_token,omitempty"`
	Name     string `json:"name"`
	Language string `json:"lang"`
	Version  string `json:"version"`
	// Protocol 0 asks the server to send no further INFO.
	Protocol int `json:"protocol"`
}

// greeting returns what is sent after INFO: CONNECT and PING.
func (c *Config) greeting(secure bool) ([]byte, error) {
	text, err := json.Marshal(connect{
		TLS: secure, User: c.Username, Password: c.Password.Reveal(), Token: c.Token.Reveal(),
		Name: "hale", Language: "go", Version: "1",
	})
	return append(append([]byte("CONNECT "), text...), "\r\nPING\r\n"...), err
}
