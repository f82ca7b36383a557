// Package mysqlcheck checks that a MySQL or MariaDB server takes connections.
//
// Without credentials it decides as mysqladmin's ping does: a server that
// greets and answers a login attempt is up, also when it denies access. Unlike
// mysqladmin, it calls a server down that has no room, blocks or does not allow
// this host, or is shutting down. The attempt is carried to its end, because
// MySQL counts handshakes that break off and blocks a host after some of them.
// With credentials, a query or a wanted read_only it logs in, asks, and says
// goodbye.
//
// Each run makes one connection. Nothing but the check's own URL and options
// has a say: no option file and no environment variable.
//
// The protocol is described in
// https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html and
// https://mariadb.com/kb/en/clientserver-protocol/
package mysqlcheck

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

// DefaultPort is the port of a URL that has none.
const DefaultPort = 3306

// The values of the option tls.
const (
	tlsDisable = "disable"
	tlsPrefer  = "prefer"
	tlsRequire = "require"
)

var tlsModes = []string{tlsDisable, tlsPrefer, tlsRequire}

// Config is the configuration of one check.
type Config struct {
	Username string       `option:"username" help:"account to log in as, instead of the one in the URL"`
	Password check.Secret `option:"password" help:"password to log in with, instead of the one in the URL"`
	Socket   string       `option:"unix,where" help:"the server's unix socket, instead of a host in the URL"`
	Query    string       `option:"query" help:"statement to run after logging in"`
	Expect   string       `option:"expect" help:"what the first column of the query's first row must be, exactly"`
	ReadOnly string       `option:"read_only" help:"what the server's read_only must be: true or false; it needs a login"`
	TLS      string       `option:"tls" help:"TLS: disable, prefer (for logins, unverified) or require (verified)"`
	tlsconf.Options

	host     string
	port     int
	database string
}

// Kind is the kind mysql.
func Kind() check.Kind {
	return check.Define("mysql", "mysql://127.0.0.1:3306", Config{TLS: tlsPrefer})
}

// SetTarget takes mysql://USER:PASSWORD@HOST:PORT/DATABASE, of which all but
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
	c.database = strings.TrimPrefix(t.URL.Path, "/")
	return t.Login(&c.Username, &c.Password)
}

// login reports whether the check logs in.
func (c *Config) login() bool {
	return !c.Password.IsZero() || c.Cert != "" || c.Query != "" || c.ReadOnly != ""
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	errs := []error{c.Options.Validate()}
	fault := func(option, format string, args ...any) {
		errs = append(errs, check.OptionErrorf(option, format, args...))
	}
	if c.login() && c.Username == "" {
		fault("username", "is missing, and a password, cert, query or read_only needs a login; write mysql://USER:PASSWORD@HOST/DATABASE")
	}
	if c.Query != "" && strings.TrimSpace(c.Query) == "" {
		fault("query", "is blank; give a statement such as select 1")
	}
	if c.Expect != "" && c.Query == "" {
		fault("expect", "needs query, the statement that answers it")
	}
	if c.ReadOnly != "" && c.ReadOnly != "true" && c.ReadOnly != "false" {
		fault("read_only", "%q is not known; give true or false", check.CleanText(c.ReadOnly))
	}
	if c.Socket != "" && !filepath.IsAbs(c.Socket) {
		fault("unix", "%q is a relative path; give an absolute one", check.CleanText(c.Socket))
	}
	for _, text := range []struct{ option, value string }{
		{"username", c.Username}, {"password", c.Password.Reveal()}, {"url", c.database},
	} {
		if strings.ContainsRune(text.value, 0) {
			fault(text.option, "has a zero byte, which MySQL has no way to receive")
		}
	}
	switch {
	case !slices.Contains(tlsModes, c.TLS):
		fault("tls", "%q is not known%s (known: %s)", check.CleanText(c.TLS), check.DidYouMean(c.TLS, tlsModes), strings.Join(tlsModes, ", "))
	case c.Socket != "" && c.TLS == tlsRequire:
		fault("tls", "is %s, and a unix socket is without TLS; leave it out", tlsRequire)
	case !c.Options.IsZero() && c.TLS != tlsRequire:
		fault("tls", "is %s, and ca, cert, key, server_name, insecure and min_days need %s", c.TLS, tlsRequire)
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
		user:    c.Username, password: c.Password.Reveal(), database: c.database,
		login: c.login(),
		query: c.Query, expect: c.Expect, readOnly: c.ReadOnly,
	}
	k.target = "mysql://" + k.address
	if c.Socket != "" {
		k.network, k.address, k.target = "unix", c.Socket, c.Socket
		return k, nil
	}
	k.required = c.TLS == tlsRequire
	if !k.required && (c.TLS == tlsDisable || !k.login) {
		// Without a login there is nothing to protect, and a handshake of TLS
		// costs either side more than all the rest.
		return k, nil
	}
	host := c.host
	if host == "" {
		host = "localhost"
	}
	var err error
	if k.tls, err = c.Options.Config(host); err != nil {
		return nil, err
	}
	if !k.required {
		k.tls.InsecureSkipVerify = true
	}
	return k, nil
}
