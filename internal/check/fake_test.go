package check_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
)

// checkerFunc is a checker.
type checkerFunc func(context.Context) (string, error)

func (f checkerFunc) Check(ctx context.Context) (string, error) { return f(ctx) }

func healthy(context.Context) (string, error) { return "fine", nil }

// A level is an option's type that reads itself from text.
type level int

func (l *level) UnmarshalText(text []byte) error {
	if string(text) == "high" {
		*l = 10
		return nil
	}
	return fmt.Errorf("%q is not a level; give high", text)
}

func (l *level) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "level %d", int(*l)), nil }

// common options of two fake kinds.
type embedded struct {
	CA string `option:"ca" help:"in an embedded struct"`
}

// dbConfig is that of a kind with a user, a password and options of every type.
type dbConfig struct {
	Password check.Secret      `option:"password" help:"a secret"`
	Text     string            `option:"text" help:"a string"`
	On       bool              `option:"on" help:"a bool"`
	Count    int               `option:"count" help:"an int"`
	Small    int8              `option:"small" help:"a small int"`
	Ratio    float64           `option:"ratio" help:"a float"`
	MaxAge   time.Duration     `option:"max_age" help:"a duration"`
	List     []string          `option:"list" help:"a list"`
	Roles    []string          `option:"roles,comma" help:"a list with commas"`
	Headers  map[string]string `option:"headers" help:"a map"`
	Level    level             `option:"level" help:"a type that reads itself"`
	embedded
	Ignored string

	target check.Target
	fails  error
}

func (c *dbConfig) SetTarget(t check.Target) error {
	host, port, err := t.Host(1234)
	if err != nil {
		return err
	}
	if strings.HasPrefix(t.URL.Path, "/bad") {
		return check.OptionErrorf("url", "%q is not a database of %s:%d", t.URL.Path, host, port)
	}
	if password, ok := t.URL.User.Password(); ok {
		c.Password = check.NewSecret(password)
	}
	c.target = t
	return nil
}

func (c *dbConfig) Validate() error {
	if c.Count < 0 {
		return check.OptionErrorf("count", "%d is negative, %s", c.Count, c.Text)
	}
	return nil
}

func (c *dbConfig) Checker(env check.Env) (check.Checker, error) {
	if c.fails != nil {
		return nil, c.fails
	}
	if env.Dial == nil {
		return nil, fmt.Errorf("no way to dial")
	}
	return checkerFunc(healthy), nil
}

func dbKind() check.Kind {
	return check.Define("db", "db://h", dbConfig{Count: 7, Roles: []string{"a"}, MaxAge: time.Minute})
}

// webConfig is that of a kind whose query belongs to the target.
type webConfig struct {
	Body string `option:"body" help:"a string"`
}

func (*webConfig) SetTarget(t check.Target) error { _, _, err := t.Host(80); return err }
func (*webConfig) Validate() error                { return nil }
func (*webConfig) Checker(check.Env) (check.Checker, error) {
	return checkerFunc(healthy), nil
}

func webKind() check.Kind {
	k := check.Define("web", "web://h", webConfig{})
	k.KeepsQuery = true
	return k
}

// cmdConfig is that of a kind whose URL is opaque.
type cmdConfig struct {
	Env map[string]string `option:"env" help:"a map"`
}

func (*cmdConfig) SetTarget(check.Target) error { return nil }
func (*cmdConfig) Validate() error              { return nil }
func (*cmdConfig) Checker(check.Env) (check.Checker, error) {
	return checkerFunc(healthy), nil
}

func cmdKind() check.Kind {
	k := check.Define("cmd", "cmd:/bin/true", cmdConfig{})
	k.Opaque, k.Pool = true, "cmd"
	return k
}

func registry(tb testing.TB) *check.Registry {
	tb.Helper()
	r, err := check.NewRegistry(check.Env{}, dbKind(), webKind(), cmdKind())
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// build builds the check of a URL and options beside it.
func build(tb testing.TB, url string, options ...check.Option) (*check.Check, error) {
	tb.Helper()
	return registry(tb).Build(check.Spec{URL: url, Options: options, Policy: check.DefaultPolicy()})
}

func mustBuild(tb testing.TB, url string, options ...check.Option) *check.Check {
	tb.Helper()
	c, err := build(tb, url, options...)
	if err != nil {
		tb.Fatalf("%s: %v", url, err)
	}
	return c
}

// option is an option with one value.
func option(name, value string) check.Option {
	return check.Option{Name: name, Values: []string{value}}
}
