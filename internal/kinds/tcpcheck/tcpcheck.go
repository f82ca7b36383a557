// Package tcpcheck is the kind tcp: a check that a TCP port takes connections
// and, if asked to, that it answers with an expected text.
//
// Without expect, a check sees the TCP handshake succeed and aborts it. On
// Linux the peer's program never sees the connection, so nothing is logged and
// no process is started for it; see [check.HandshakeOnly].
//
// With expect, a check connects, sends the text of send if there is one, and
// reads until the expected text has come, at most [MaxRead] bytes. It never
// waits for more once the text is there. Either way no socket of this host is
// left in TIME_WAIT.
package tcpcheck

import (
	"errors"
	"regexp"

	"hale/internal/check"
)

// MaxRead is how many bytes of an answer are read at most.
const MaxRead = 64 << 10

// Config is the configuration of a tcp check.
type Config struct {
	Send         string `option:"send" help:"text to send after connecting; \\r, \\n, \\t, \\\\ and \\xNN stand for themselves"`
	Expect       string `option:"expect" help:"text that the answer must contain, with the same escapes"`
	ExpectRegexp string `option:"expect_regexp" help:"regular expression (RE2) that the answer must match"`

	host string
	port int
	seen bool // the peer's program is to see the connection
}

// Kind returns the kind tcp.
func Kind() check.Kind { return check.Define("tcp", "tcp://127.0.0.1:5432", Config{}) }

// KindSeen returns the kind tcp with connections that the peer's program sees
// and may count, as those of the tools that hale replaces.
func KindSeen() check.Kind { return check.Define("tcp", "tcp://127.0.0.1:5432", Config{seen: true}) }

// SetTarget takes the host, which is empty for this host, and the port.
func (c *Config) SetTarget(t check.Target) error {
	var err error
	c.host, c.port, err = t.Host(0)
	if err != nil {
		return err
	}
	if t.URL.User != nil {
		return check.OptionErrorf("url", "a tcp check does not log in; leave out what stands before the @")
	}
	if t.URL.Path != "" && t.URL.Path != "/" {
		return check.OptionErrorf("url", "a tcp check has no path; write tcp://%s", check.Address(c.host, c.port))
	}
	return nil
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	for _, o := range []struct{ option, text string }{{"send", c.Send}, {"expect", c.Expect}} {
		if _, err := unescape(o.text); err != nil {
			errs = append(errs, check.OptionErrorf(o.option, "%v", err))
		}
	}
	if _, err := regexp.Compile(c.ExpectRegexp); err != nil {
		errs = append(errs, check.OptionErrorf("expect_regexp", "not a regular expression: %v", err))
	}
	if c.Expect != "" && c.ExpectRegexp != "" {
		errs = append(errs, check.OptionErrorf("expect_regexp", "is given beside expect; give one of them"))
	}
	if c.Send != "" && c.Expect == "" && c.ExpectRegexp == "" {
		errs = append(errs, check.OptionErrorf("send", "needs expect or expect_regexp, the answer to wait for"))
	}
	return errors.Join(errs...)
}

// Checker makes the checker.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	address, where := check.Address(c.host, c.port), check.Address(c.host, c.port)
	if c.host == "" {
		where = "this host's port " + address[1:]
	}
	d := connector{dial: env.Dial, address: address, where: where}
	if c.Expect == "" && c.ExpectRegexp == "" {
		return &connect{connector: d, seen: c.seen}, nil
	}
	send, err := unescape(c.Send)
	if err != nil {
		return nil, err
	}
	want, err := c.pattern()
	if err != nil {
		return nil, err
	}
	return &exchange{connector: d, send: []byte(send), want: want}, nil
}

// pattern makes what recognizes the expected answer.
func (c *Config) pattern() (pattern, error) {
	if c.ExpectRegexp != "" {
		re, err := regexp.Compile(c.ExpectRegexp)
		if err != nil {
			return nil, err
		}
		return expression{re}, nil
	}
	text, err := unescape(c.Expect)
	return literal(text), err
}
