// Package celerycheck checks that one Celery worker is alive, by pinging it
// through its broker: Redis or what speaks its protocol, or RabbitMQ or what
// speaks AMQP 0-9-1.
//
// A ping is a message of Celery's remote control, which is kombu's pidbox
// (https://docs.celeryq.dev/en/stable/userguide/workers.html#remote-control).
// It goes to the exchange that all workers listen on and names the one that is
// to answer; a worker answers also while all its processes are busy with tasks.
// Only the answer of the worker that was asked counts, and only to this ping.
//
// Nothing is left in the broker. What a run needs there, it takes away again
// within [cleaning] of the run's end, whatever became of the run; should hale
// be killed in between, it goes by itself. The files redis.go and amqp.go say
// how.
package celerycheck

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"hale/internal/check"
	"hale/internal/resp"
	"hale/internal/tlsconf"
)

// Config is the configuration of one check.
type Config struct {
	Worker          string       `option:"worker" help:"name of the worker that must answer, as celery status shows it"`
	Username        string       `option:"username" help:"user to log in to the broker as, instead of the one in the URL"`
	Password        check.Secret `option:"password" help:"password to log in to the broker with, instead of the one in the URL"`
	Exchange        string       `option:"exchange" help:"exchange that the workers listen on: their control_exchange and .pidbox"`
	GlobalKeyprefix string       `option:"global_keyprefix" help:"Redis: the workers' transport option global_keyprefix"`
	FanoutPrefix    string       `option:"fanout_prefix" help:"Redis: the workers' transport option fanout_prefix; empty for none"`
	PrioritySteps   []string     `option:"priority_steps,comma" help:"Redis: the workers' transport option priority_steps"`
	Sep             string       `option:"sep" help:"Redis: the workers' transport option sep"`
	tlsconf.Options

	scheme string
	amqp   bool
	tls    bool
	host   string
	port   int
	db     int    // of Redis
	vhost  string // of AMQP
}

// The defaults of Celery and kombu.
const (
	DefaultExchange     = "celery.pidbox"
	DefaultFanoutPrefix = "/{db}."

	pidbox     = ".pidbox"
	defaultSep = "\x06\x16"
	amqpPort   = 5672
	amqpsPort  = 5671
)

// The schemes of the kinds.
const (
	schemeRedis  = "celery+redis"
	schemeRediss = "celery+rediss"
	schemeAMQP   = "celery+amqp"
	schemeAMQPS  = "celery+amqps"
)

// KindRedis is the kind for workers whose broker is Redis: celery+redis.
func KindRedis() check.Kind { return define(schemeRedis, "celery+redis://127.0.0.1:6379/0") }

// KindRedisTLS is [KindRedis] through TLS: celery+rediss.
func KindRedisTLS() check.Kind {
	return define(schemeRediss, "celery+rediss://redis.example.com:6379/0")
}

// KindAMQP is the kind for workers whose broker is RabbitMQ: celery+amqp.
func KindAMQP() check.Kind { return define(schemeAMQP, "celery+amqp://127.0.0.1:5672/") }

// KindAMQPTLS is [KindAMQP] through TLS: celery+amqps.
func KindAMQPTLS() check.Kind {
	return define(schemeAMQPS, "celery+amqps://rabbitmq.example.com:5671/")
}

func define(scheme, example string) check.Kind {
	return check.Define(scheme, example, Config{
		Exchange: DefaultExchange, FanoutPrefix: DefaultFanoutPrefix, PrioritySteps: []string{"0", "3", "6", "9"},
		amqp: scheme == schemeAMQP || scheme == schemeAMQPS,
		tls:  scheme == schemeRediss || scheme == schemeAMQPS,
	})
}

// SetTarget takes the broker's URL as Celery's broker_url has it, after
// "celery+": USER:PASSWORD@HOST:PORT/ and the database or virtual host. All
// but the host may be missing; :PORT alone is this host.
func (c *Config) SetTarget(t check.Target) error {
	c.scheme = t.Scheme
	fallback := resp.DefaultPort
	switch c.scheme {
	case schemeAMQP:
		fallback = amqpPort
	case schemeAMQPS:
		fallback = amqpsPort
	}
	var err error
	if c.host, c.port, err = t.Host(fallback); err != nil {
		return err
	}
	return errors.Join(c.setLogin(t), c.setPath(t))
}

// defaultPassword is what a user of RabbitMQ without a password logs in with, as
// Celery does.
const defaultPassword = "guest"

func (c *Config) setLogin(t check.Target) error {
	if err := t.Login(&c.Username, &c.Password); err != nil {
		return err
	}
	if c.amqp && t.URL.User != nil && c.Username != "" && c.Password.IsZero() {
		c.Password = check.NewSecret(defaultPassword)
	}
	return nil
}

func (c *Config) setPath(t check.Target) error {
	path := strings.TrimPrefix(t.URL.Path, "/")
	if !c.amqp {
		path = strings.TrimLeft(path, "/") // redis://HOST//0 is database 0, for Celery
	}
	if c.amqp {
		c.vhost = cmp.Or(path, "/")
		return nil
	}
	if path == "" {
		return nil
	}
	db, err := strconv.Atoi(path)
	if err != nil || db < 0 {
		return check.OptionErrorf("url", "the path %q is not the number of a database; write %s://HOST:PORT/3 for database 3", check.CleanText(t.URL.Path), t.Scheme)
	}
	c.db = db
	return nil
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	if c.Worker != "" && !validName(c.Worker) {
		errs = append(errs, check.OptionErrorf("worker", "%q is not the name of a worker; write NAME@HOST as celery status shows it, such as celery@web-1", check.CleanText(c.Worker)))
	}
	if c.Username != "" && c.Password.IsZero() {
		// The name is not shown: it is a password when the colon was forgotten.
		errs = append(errs, check.OptionErrorf("username", "needs a password; write %s://USER:PASSWORD@HOST", c.scheme))
	}
	if name, ok := strings.CutSuffix(c.Exchange, pidbox); !ok || name == "" {
		errs = append(errs, check.OptionErrorf("exchange", "%q is not the name of a pidbox; write the workers' control_exchange and %s, such as %s", check.CleanText(c.Exchange), pidbox, DefaultExchange))
	}
	if c.amqp {
		errs = append(errs, c.redisOptionsWithoutRedis())
	} else if err := c.validateSteps(); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, c.Options.Validate())
	if !c.tls {
		errs = append(errs, c.Options.Unused("is for TLS, and this URL is without; write %ss://", c.scheme))
	}
	return errors.Join(errs...)
}

func validName(worker string) bool {
	name, host, ok := strings.Cut(worker, "@")
	return ok && name != "" && host != ""
}

func (c *Config) validateSteps() error {
	last := -1
	for _, step := range c.PrioritySteps {
		n, err := strconv.Atoi(step)
		if err != nil || n <= last {
			return check.OptionErrorf("priority_steps", "%q is not right there; give rising whole numbers such as 0,3,6,9", check.CleanText(step))
		}
		last = n
	}
	if last < 0 {
		return check.OptionErrorf("priority_steps", "is empty; give rising whole numbers such as 0,3,6,9")
	}
	return nil
}

func (c *Config) redisOptionsWithoutRedis() error {
	var errs []error
	for _, o := range []struct {
		name string
		set  bool
	}{
		{"global_keyprefix", c.GlobalKeyprefix != ""}, {"fanout_prefix", c.FanoutPrefix != DefaultFanoutPrefix},
		{"priority_steps", !slices.Equal(c.PrioritySteps, []string{"0", "3", "6", "9"})}, {"sep", c.Sep != ""},
	} {
		if o.set {
			errs = append(errs, check.OptionErrorf(o.name, "is for Redis, and this broker speaks AMQP; leave it out"))
		}
	}
	return errors.Join(errs...)
}

// Checker makes the checker. It reads the files that the TLS options name.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	worker := c.Worker
	if worker == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, check.OptionErrorf("worker", "is not given, and this host's name is not known: %v", err)
		}
		worker = "celery@" + host
	}
	if c.amqp {
		b, err := c.amqpBroker(env)
		return &checker{broker: b, worker: worker}, err
	}
	b, err := c.redisBroker(env)
	return &checker{broker: b, worker: worker}, err
}

// tlsHost is the name that the broker's certificate must have.
func (c *Config) tlsHost() string { return cmp.Or(c.host, "localhost") }

// shown names the broker in messages.
func (c *Config) shown() string {
	return fmt.Sprintf("%s://%s", c.scheme, check.Address(c.host, c.port))
}
