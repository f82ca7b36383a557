// Package postgrescheck checks that a PostgreSQL server accepts connections.
//
// Without credentials it decides as pg_isready does: it introduces itself with
// a startup packet, and any answer but "cannot connect now" (SQLSTATE 57P03)
// means that the server accepts connections. That needs no account, and a
// server that asks for a password sees the connection end, which it does not
// log. With credentials, a query or a wanted role it logs in, runs what it is
// to run, and says goodbye.
//
// Each run makes one connection. Nothing but the check's own URL and options
// has a say: not the PG* variables of the environment, nor ~/.pgpass, nor
// service files.
//
// The protocol is described in https://www.postgresql.org/docs/current/protocol.html
package postgrescheck

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

const (
	// DefaultPort is the port of a URL that has none.
	DefaultPort = 5432
	// DefaultUser is whom a check without credentials introduces itself as. It
	// exists nearly everywhere, as does the database of the same name, so that
	// a server which trusts everybody has nothing to complain about.
	DefaultUser = "postgres"
)

// The roles that the option role knows.
const (
	RolePrimary = "primary"
	RoleStandby = "standby"
)

// The values of the option sslmode, which mean what they mean to libpq.
const (
	sslDisable    = "disable"
	sslPrefer     = "prefer"
	sslRequire    = "require"
	sslVerifyCA   = "verify-ca"
	sslVerifyFull = "verify-full"
)

var sslModes = []string{sslDisable, sslPrefer, sslRequire, sslVerifyCA, sslVerifyFull}

// Config is the configuration of one check.
type Config struct {
	Username string       `option:"username" help:"role to log in as, instead of the one in the URL"`
	Password check.Secret `option:"password" help:"password to log in with, instead of the one in the URL"`
	Host     string       `option:"host,where" help:"directory of the server's unix socket, instead of a host in the URL"`
	Query    string       `option:"query" help:"statement to run after logging in"`
	Expect   string       `option:"expect" help:"what the first column of the query's first row must be, exactly"`
	Role     string       `option:"role" help:"role that the server must have: primary or standby; it needs a login"`
	SSLMode  string       `option:"sslmode" help:"TLS: disable, prefer, require, verify-ca or verify-full"`
	tlsconf.Options

	host     string
	port     int
	database string
}

func defaults() Config { return Config{SSLMode: sslPrefer} }

// Kind is the kind postgres.
func Kind() check.Kind {
	return check.Define("postgres", "postgres://127.0.0.1:5432", defaults())
}

// KindLong is the kind postgresql, the same by the other name that PostgreSQL's
// own tools know.
func KindLong() check.Kind {
	return check.Define("postgresql", "postgresql://127.0.0.1:5432", defaults())
}

// SetTarget takes postgres://USER:PASSWORD@HOST:PORT/DATABASE, of which all but
// the host may be missing; :PORT alone is this host. With the option host the
// URL has none.
func (c *Config) SetTarget(t check.Target) error {
	c.port = DefaultPort
	if t.URL.Host != "" || t.URL.Opaque != "" || c.Host == "" {
		var err error
		if c.host, c.port, err = t.Host(DefaultPort); err != nil {
			return err
		}
	}
	c.database = strings.TrimPrefix(t.URL.Path, "/")
	return t.Login(&c.Username, &c.Password)
}

// login reports whether the check logs in.
func (c *Config) login() bool {
	return !c.Password.IsZero() || c.Cert != "" || c.Query != "" || c.Role != ""
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	fault := func(option, format string, args ...any) {
		errs = append(errs, check.OptionErrorf(option, format, args...))
	}
	if c.login() && c.Username == "" {
		fault("username", "is missing, and a password, cert, query or role needs a login; write postgres://USER:PASSWORD@HOST/DATABASE")
	}
	if c.Query != "" && strings.TrimSpace(c.Query) == "" {
		fault("query", "is blank; give a statement such as select 1")
	}
	if c.Expect != "" && c.Query == "" {
		fault("expect", "needs query, the statement that answers it")
	}
	if c.Role != "" && c.Role != RolePrimary && c.Role != RoleStandby {
		fault("role", "%q is not a role; give %s or %s", check.CleanText(c.Role), RolePrimary, RoleStandby)
	}
	for _, text := range []struct{ option, value string }{
		{"username", c.Username}, {"password", c.Password.Reveal()}, {"query", c.Query}, {"url", c.database},
	} {
		if strings.ContainsRune(text.value, 0) {
			fault(text.option, "has a zero byte, which PostgreSQL has no way to receive")
		}
	}
	errs = append(errs, c.validateHost(), c.validateTLS())
	return errors.Join(errs...)
}

func (c *Config) validateHost() error {
	switch {
	case c.Host == "":
		return nil
	case !filepath.IsAbs(c.Host):
		return check.OptionErrorf("host", "%q is not the absolute path of a directory; a name or address of a host goes into the URL", check.CleanText(c.Host))
	case c.host != "":
		return check.OptionErrorf("host", "is for a unix socket, and the URL names a host; give one of them")
	}
	return nil
}

func (c *Config) validateTLS() error {
	errs := []error{c.Options.Validate()}
	fault := func(option, format string, args ...any) {
		errs = append(errs, check.OptionErrorf(option, format, args...))
	}
	verifies := c.SSLMode == sslVerifyCA || c.SSLMode == sslVerifyFull
	switch {
	case !slices.Contains(sslModes, c.SSLMode):
		fault("sslmode", "%q is not known%s (known: %s)", check.CleanText(c.SSLMode), check.DidYouMean(c.SSLMode, sslModes), strings.Join(sslModes, ", "))
	case c.Host != "" && (verifies || c.SSLMode == sslRequire):
		fault("sslmode", "is %s, and a unix socket is without TLS; leave it out", c.SSLMode)
	case !c.Options.IsZero() && (c.SSLMode == sslDisable || c.SSLMode == sslPrefer):
		fault("sslmode", "is %s, and ca, cert, key, server_name, insecure and min_days need TLS; give %s, %s or %s", c.SSLMode, sslRequire, sslVerifyCA, sslVerifyFull)
	case c.Insecure && verifies:
		fault("insecure", "contradicts sslmode=%s; leave one of them out", c.SSLMode)
	}
	return errors.Join(errs...)
}

// Checker makes the checker. It reads the files that the TLS options name.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	k := &checker{
		dial:    env.Dial,
		network: "tcp",
		address: check.Address(c.host, c.port),
		tls:     tlsPolicy{options: c.Options, mode: c.SSLMode},
		user:    c.Username, database: c.database,
		query: c.Query, expect: c.Expect, role: c.Role,
	}
	k.target = "postgres://" + k.address
	if c.Host != "" {
		k.network, k.address = socketAddress(c.Host, c.port)
		k.target = k.address
		k.tls.mode = sslDisable
	}
	if err := k.tls.prepare(c.host); err != nil {
		return nil, err
	}
	if c.login() {
		var err error
		if k.login, err = loginConfig(c.Username, c.Password.Reveal(), c.database); err != nil {
			return nil, err
		}
		return k, nil
	}
	if k.user == "" {
		k.user = DefaultUser
	}
	if k.database == "" {
		k.database = DefaultUser
	}
	return k, nil
}
