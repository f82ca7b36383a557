package celerycheck

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"hale/internal/check"
)

// kindOf returns the kind for a scheme of Celery's broker_url.
func kindOf(scheme string) (kind check.Kind, ok bool) {
	switch scheme {
	case "redis":
		return KindRedis(), true
	case "rediss":
		return KindRedisTLS(), true
	case "amqp", "pyamqp":
		return KindAMQP(), true
	case "amqps", "pyamqps":
		return KindAMQPTLS(), true
	}
	return check.Kind{}, false
}

// Ping pings a worker once through a broker, given as Celery's broker_url, with
// Celery's defaults for all else. It returns nil when the worker answers within
// the timeout, an error that is [ErrNoReply] (see [errors.Is]) when the broker
// works and the worker does not answer, and any other error when the URL is
// wrong or the broker can't be used. Without a worker's name it is this host's,
// celery@HOSTNAME. No error holds the broker's password.
func Ping(ctx context.Context, broker, worker string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// Several brokers, of which Celery uses the first that it can connect to.
	var err error
	for one := range strings.SplitSeq(broker, ";") {
		err = pingThrough(ctx, one, worker)
		if reason := check.ReasonOf(err); reason != check.ReasonRefused && reason != check.ReasonDNS && reason != check.ReasonUnreachable {
			return err
		}
	}
	return err
}

// pingThrough pings through one broker.
func pingThrough(ctx context.Context, broker, worker string) error {
	scheme, rest, _ := check.SplitScheme(broker)
	kind, ok := kindOf(scheme)
	if !ok {
		return check.OptionErrorf("broker", "can't ping through a broker of the scheme %q; give a URL such as redis://localhost:6379/0 or amqp://localhost:5672/ (known: redis, rediss, amqp, amqps)", check.CleanText(scheme))
	}
	rest, query, _ := strings.Cut(rest, "?")
	if rest == "//" || strings.HasPrefix(rest, "///") {
		rest = "//localhost" + rest[len("//"):] // as Celery takes it
	}
	options, err := tlsOptions(query)
	if err != nil {
		return err
	}
	registry, err := check.NewRegistry(check.Env{}, kind)
	if err != nil {
		return err
	}
	built, err := registry.Build(check.Spec{URL: kind.Scheme + ":" + rest, Options: options, Policy: check.DefaultPolicy()})
	if err != nil {
		return err
	}
	start := time.Now()
	c := *built.Checker.(*checker)
	// Whatever the name, it is that of a worker which answers or does not.
	c.worker = cmp.Or(worker, c.worker)
	note, err := c.Check(ctx)
	if err == nil || errors.Is(err, ErrNoReply) {
		return err
	}
	return check.NewResult(start, time.Since(start), note, err, built.Secrets).Err
}

// tlsOptions makes options of the parameters of a broker_url. Those that are not
// about TLS are for Celery.
func tlsOptions(query string) ([]check.Option, error) {
	parameters, err := check.ParseOptions(query)
	if err != nil {
		return nil, err
	}
	var options []check.Option
	for _, o := range parameters {
		switch o.Name {
		case "ssl_ca_certs":
			options = append(options, check.Option{Name: "ca", Values: o.Values})
		case "ssl_certfile":
			options = append(options, check.Option{Name: "cert", Values: o.Values})
		case "ssl_keyfile":
			options = append(options, check.Option{Name: "key", Values: o.Values})
		case "ssl_cert_reqs":
			if strings.HasSuffix(strings.ToLower(strings.Join(o.Values, "")), "none") {
				options = append(options, check.Option{Name: "insecure", Values: []string{"true"}})
			}
		}
	}
	return options, nil
}
