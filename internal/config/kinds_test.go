package config_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kballard/go-shellquote"

	"hale/internal/check"
)

// The kinds below stand in for the real ones, which know this package's rules
// only through internal/check.

type healthy struct{}

func (healthy) Check(context.Context) (string, error) { return "fine", nil }

type tcpConfig struct {
	Send   string `option:"send" help:"what to send"`
	Expect string `option:"expect" help:"what to expect"`
}

func (c *tcpConfig) SetTarget(t check.Target) error {
	_, _, err := t.Host(0)
	return err
}
func (c *tcpConfig) Validate() error {
	if c.Expect != "" && c.Send == "" {
		return check.OptionErrorf("send", "is missing; expect needs it")
	}
	return nil
}
func (c *tcpConfig) Checker(check.Env) (check.Checker, error) { return healthy{}, nil }

type httpConfig struct {
	Host    string            `option:"host" help:"the Host header"`
	Status  []string          `option:"status,comma" help:"accepted statuses"`
	Body    string            `option:"body" help:"text that must be there"`
	Headers map[string]string `option:"headers" help:"headers to send"`
	Bearer  check.Secret      `option:"bearer" help:"a bearer token"`
	Follow  int               `option:"follow" help:"redirects to follow"`
	Slow    time.Duration     `option:"slow" help:"degraded from then on"`
	url     string
}

func (c *httpConfig) SetTarget(t check.Target) error {
	c.url = t.URL.String()
	_, _, err := t.Host(80)
	return err
}
func (c *httpConfig) Validate() error {
	if c.Follow < 0 {
		return check.OptionErrorf("follow", "%d is negative; give a count from 0 to 10", c.Follow)
	}
	return nil
}
func (c *httpConfig) Checker(check.Env) (check.Checker, error) { return words{c.url}, nil }

type execConfig struct {
	Codes string            `option:"codes" help:"what exit codes mean"`
	Env   map[string]string `option:"env" help:"environment"`
	words []string
}

func (c *execConfig) SetTarget(t check.Target) error {
	words, err := shellquote.Split(t.Opaque)
	if err != nil {
		return check.OptionErrorf("url", "a quote in the command is not closed")
	}
	if len(words) == 0 {
		return check.OptionErrorf("url", "names no command; write exec:/usr/local/bin/check.sh")
	}
	c.words = words
	return nil
}
func (c *execConfig) Validate() error                          { return nil }
func (c *execConfig) Checker(check.Env) (check.Checker, error) { return words(c.words), nil }

// words is a checker that keeps the command it was made of.
type words []string

func (w words) Check(context.Context) (string, error) { return strings.Join(w, "|"), nil }

type fileConfig struct {
	MaxAge time.Duration `option:"max_age" help:"the greatest age"`
}

func (c *fileConfig) SetTarget(t check.Target) error {
	if !filepath.IsAbs(t.URL.Path) {
		return check.OptionErrorf("url", "%s has no absolute path; write file:///run/app.live", t.Masked())
	}
	return nil
}
func (c *fileConfig) Validate() error                          { return nil }
func (c *fileConfig) Checker(check.Env) (check.Checker, error) { return healthy{}, nil }

type dbConfig struct {
	Password check.Secret `option:"password" help:"the password"`
	Role     string       `option:"role" help:"primary or standby"`
	login    string
}

func (c *dbConfig) SetTarget(t check.Target) error {
	if password, ok := t.URL.User.Password(); ok {
		c.Password = check.NewSecret(password)
	}
	c.login = t.URL.User.Username() + ":" + c.Password.Reveal()
	_, _, err := t.Host(5432)
	return err
}
func (c *dbConfig) Validate() error {
	if c.Role != "" && c.Role != "primary" && c.Role != "standby" {
		return check.OptionErrorf("role", "%q is not a role; give primary or standby", c.Role)
	}
	return nil
}
func (c *dbConfig) Checker(check.Env) (check.Checker, error) { return words{c.login}, nil }

// registry returns a registry of the kinds above.
func registry(t testing.TB) *check.Registry {
	t.Helper()
	web := check.Define("http", "http://127.0.0.1:8000/", httpConfig{Status: []string{"200"}})
	web.KeepsQuery = true
	command := check.Define("exec", "exec:/usr/local/bin/check.sh", execConfig{})
	command.Opaque = true
	command.Pool = "exec"
	r, err := check.NewRegistry(check.Env{},
		check.Define("tcp", "tcp://127.0.0.1:5432", tcpConfig{}),
		web, command,
		check.Define("file", "file:///run/app.live", fileConfig{}),
		check.Define("postgres", "postgres://127.0.0.1:5432/app", dbConfig{}),
		check.Define("redis", "redis://127.0.0.1:6379", dbConfig{}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
