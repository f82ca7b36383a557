// Package kafkacheck checks that a Kafka broker answers, and what it knows of
// its cluster: how many brokers there are and, if told to, whether a topic
// exists, every partition of it has a leader, and enough replicas are in sync.
//
// Each run makes one connection to the broker in the URL and to no other, asks
// which versions it speaks (ApiVersions), logs in if told to (SaslHandshake,
// SaslAuthenticate) and asks for its metadata (Metadata). It asks for one topic
// or none, and never makes one. An answer is at most [MaxAnswer] bytes long.
//
// Requests and answers are written and read by franz-go's kmsg. Its client is not
// used: it keeps connections and goroutines of its own, retries, and goes to
// brokers that were not asked for.
//
// The protocol is described in https://kafka.apache.org/protocol
package kafkacheck

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"hale/internal/check"
	"hale/internal/tlsconf"
)

const (
	// DefaultPort is the port of a URL that has none.
	DefaultPort = 9092
	// maxTopic is the length of the longest name of a topic, in bytes.
	maxTopic = 249
)

// The mechanisms that the option sasl knows.
const (
	SASLPlain       = "plain"
	SASLScramSHA256 = "scram-sha-256"
	SASLScramSHA512 = "scram-sha-512"
)

// Config is the configuration of one check.
type Config struct {
	MinBrokers int          `option:"min_brokers" help:"fail when the broker knows of fewer brokers, itself included"`
	Topic      string       `option:"topic" help:"topic that must exist and have a leader for every partition"`
	MinISR     int          `option:"min_isr" help:"fail when a partition of the topic has fewer replicas in sync; 0 is off"`
	Username   string       `option:"username" help:"user to log in as (SASL), instead of the one in the URL"`
	Password   check.Secret `option:"password" help:"password to log in with, instead of the one in the URL"`
	SASL       string       `option:"sasl" help:"how to log in: plain, scram-sha-256 or scram-sha-512"`
	tlsconf.Options

	scheme string
	tls    bool
	host   string
	port   int
}

// Kind is the kind for plain connections: kafka.
func Kind() check.Kind {
	return check.Define("kafka", "kafka://127.0.0.1:9092", Config{MinBrokers: 1, SASL: SASLPlain})
}

// KindTLS is the kind for connections through TLS: kafkas.
func KindTLS() check.Kind {
	return check.Define("kafkas", "kafkas://kafka.example.com:9093", Config{MinBrokers: 1, SASL: SASLPlain, tls: true})
}

// SetTarget takes kafka://USER:PASSWORD@HOST:PORT, of which every part may be
// missing. No host is this host.
func (c *Config) SetTarget(t check.Target) error {
	c.scheme, c.port = t.Scheme, DefaultPort
	if path := strings.Trim(t.URL.Path, "/"); path != "" {
		return check.OptionErrorf("url", "has the path %q; to ask about a topic, set the option topic=%s", check.CleanText(t.URL.Path), check.CleanText(path))
	}
	if strings.Contains(t.URL.Host, ",") {
		return check.OptionErrorf("url", "names several brokers; one tells about all of them, or make a check of each")
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
	if name := t.URL.User.Username(); name != "" {
		if c.Username != "" && c.Username != name {
			return check.OptionErrorf("username", "is %q, and the URL names another user; give it once", check.CleanText(c.Username))
		}
		c.Username = name
	}
	if password, ok := t.URL.User.Password(); ok {
		if !c.Password.IsZero() && c.Password.Reveal() != password {
			return check.OptionErrorf("password", "is not the one in the URL; give it once")
		}
		c.Password = check.NewSecret(password)
	}
	return nil
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	add := func(option, format string, args ...any) {
		errs = append(errs, check.OptionErrorf(option, format, args...))
	}
	if c.MinBrokers < 1 {
		add("min_brokers", "%d is out of range; give 1 or more", c.MinBrokers)
	}
	switch {
	case len(c.Topic) > maxTopic:
		add("topic", "is longer than %d characters", maxTopic)
	case c.Topic == "." || c.Topic == ".." || strings.ContainsFunc(c.Topic, notInTopic):
		add("topic", "%q is not a topic; use letters, digits, '.', '_' and '-'", check.CleanText(c.Topic))
	}
	switch {
	case c.MinISR < 0:
		add("min_isr", "%d is negative; give a number of replicas, 0 for any", c.MinISR)
	case c.MinISR > 0 && c.Topic == "":
		add("min_isr", "needs topic, the topic that it is about")
	}
	switch {
	case c.Username != "" && c.Password.IsZero():
		// The name is not shown: it is a password when the colon was forgotten.
		add("username", "needs a password; write %s://USER:PASSWORD@HOST", c.scheme)
	case c.Username == "" && !c.Password.IsZero():
		add("password", "needs username, the user it is the password of")
	}
	if known := []string{SASLPlain, SASLScramSHA256, SASLScramSHA512}; !slices.Contains(known, c.SASL) {
		add("sasl", "%q is not known%s (known: %s)", check.CleanText(c.SASL), check.DidYouMean(c.SASL, known), strings.Join(known, ", "))
	}
	errs = append(errs, c.Options.Validate())
	if !c.tls {
		errs = append(errs, c.Options.Unused("is for TLS, and this URL is without; write kafkas://"))
	}
	return errors.Join(errs...)
}

func notInTopic(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
}

// Checker makes the checker. It reads the files that the TLS options name.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	address := check.Address(c.host, c.port)
	k := &checker{
		dial: env.Dial, address: address, target: c.scheme + "://" + address, options: c.Options,
		minBrokers: c.MinBrokers, topic: c.Topic, minISR: c.MinISR, login: c.mechanism(),
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

// mechanism returns how to log in; nil is not to.
func (c *Config) mechanism() sasl.Mechanism {
	user, password := c.Username, c.Password.Reveal()
	if user == "" {
		return nil
	}
	asked := func(context.Context) (scram.Auth, error) { return scram.Auth{User: user, Pass: password}, nil }
	switch c.SASL {
	case SASLScramSHA256:
		return scram.Sha256(asked)
	case SASLScramSHA512:
		return scram.Sha512(asked)
	}
	return plain.Auth{User: user, Pass: password}.AsMechanism()
}
