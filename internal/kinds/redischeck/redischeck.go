// Package redischeck checks that a Redis server, or one that speaks its
// protocol, serves: it logs in if told to, selects a database if told to, sends
// PING and expects PONG, and may ask for the server's role.
//
// Each run makes one connection, sends all its commands in one write and reads
// the replies, which are bounded. It speaks the protocol as package resp does and
// sends nothing but AUTH, SELECT, PING and ROLE, so that it works for an ACL user
// who may do little.
package redischeck

import (
	"errors"
	"strconv"
	"strings"

	"hale/internal/check"
	"hale/internal/resp"
	"hale/internal/tlsconf"
)

// The roles that the option role knows.
const (
	RoleMaster  = "master"
	RoleReplica = "replica"
)

// Config is the configuration of one check.
type Config struct {
	Username string       `option:"username" help:"ACL user to log in as, instead of the one in the URL"`
	Password check.Secret `option:"password" help:"password to log in with, instead of the one in the URL"`
	DB       int          `option:"db" help:"number of the database to select, instead of the one in the URL's path"`
	Role     string       `option:"role" help:"role that the server must have: master or replica"`
	tlsconf.Options

	scheme string
	tls    bool
	host   string
	port   int
}

// Kind is the kind for plain connections: redis.
func Kind() check.Kind {
	return check.Define("redis", "redis://127.0.0.1:6379", Config{})
}

// KindTLS is the kind for connections through TLS: rediss.
func KindTLS() check.Kind {
	return check.Define("rediss", "rediss://redis.example.com:6379", Config{tls: true})
}

// SetTarget takes redis://USER:PASSWORD@HOST:PORT/DB, of which all but the host
// may be missing; :PORT alone is this host.
func (c *Config) SetTarget(t check.Target) error {
	var err error
	c.scheme = t.Scheme
	if c.host, c.port, err = t.Host(resp.DefaultPort); err != nil {
		return err
	}
	return errors.Join(c.setLogin(t), c.setDB(t))
}

func (c *Config) setLogin(t check.Target) error {
	return t.Login(&c.Username, &c.Password)
}

func (c *Config) setDB(t check.Target) error {
	path := strings.TrimPrefix(t.URL.Path, "/")
	if path == "" {
		return nil
	}
	db, err := strconv.Atoi(path)
	if err != nil {
		return check.OptionErrorf("url", "the path %q is not the number of a database; write %s://HOST:PORT/3 for database 3", t.URL.Path, t.Scheme)
	}
	if c.DB != 0 && c.DB != db {
		return check.OptionErrorf("db", "is %d, and the URL says %d; give it once", c.DB, db)
	}
	c.DB = db
	return nil
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	if c.Username != "" && c.Password.IsZero() {
		// The name is not shown: it is a password when the colon was forgotten.
		errs = append(errs, check.OptionErrorf("username", "needs a password; write %s://USER:PASSWORD@HOST, or %s://:PASSWORD@HOST for a password alone", c.scheme, c.scheme))
	}
	if c.DB < 0 {
		errs = append(errs, check.OptionErrorf("db", "%d is negative; databases are numbered from 0", c.DB))
	}
	if c.Role != "" && c.Role != RoleMaster && c.Role != RoleReplica {
		errs = append(errs, check.OptionErrorf("role", "%q is not a role; give %s or %s", check.CleanText(c.Role), RoleMaster, RoleReplica))
	}
	errs = append(errs, c.Options.Validate())
	if !c.tls {
		errs = append(errs, c.Options.Unused("is for TLS, and this URL is without; write rediss://"))
	}
	return errors.Join(errs...)
}

// Checker makes the checker. It reads the files that the TLS options name.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	server := &resp.Server{
		Dial:     env.Dial,
		Scheme:   c.scheme,
		Address:  check.Address(c.host, c.port),
		Username: c.Username,
		Password: c.Password.Reveal(),
		DB:       c.DB,
		Options:  c.Options,
	}
	if c.tls {
		host := c.host
		if host == "" {
			host = "localhost"
		}
		var err error
		if server.TLS, err = c.Options.Config(host); err != nil {
			return nil, err
		}
	}
	k := &checker{server: server, role: c.Role}
	k.request, k.commands = server.AppendLogin(nil)
	k.add("PING")
	if c.Role != "" {
		k.add("ROLE")
	}
	return k, nil
}
