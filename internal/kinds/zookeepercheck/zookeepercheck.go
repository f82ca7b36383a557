// Package zookeepercheck checks that a ZooKeeper server serves, and in which
// mode, by asking it with a four-letter word.
//
// The word is srvr, the one that servers answer to unless told otherwise. A
// server that is not part of a quorum runs and answers, but says that it does
// not serve; that is a failure. The word ruok only asks whether the process
// runs.
//
// Each run makes one connection, sends the word, and reads until the server
// closes, at most [MaxAnswer] bytes.
//
// The words are described in
// https://zookeeper.apache.org/doc/current/zookeeperAdmin.html#sc_4lw
package zookeepercheck

import (
	"errors"
	"slices"
	"strings"

	"hale/internal/check"
)

const (
	// DefaultPort is the port of a URL that has none.
	DefaultPort = 2181
	// MaxAnswer is how many bytes of an answer are read. An answer to srvr is
	// about 300 bytes long.
	MaxAnswer = 8 << 10
)

// The words that the option word knows.
const (
	WordSrvr = "srvr"
	WordRuok = "ruok"
)

var modes = []string{"standalone", "leader", "follower", "observer", "read-only"}

// Config is the configuration of one check.
type Config struct {
	Mode []string `option:"mode,comma" help:"modes of which the server must have one: standalone, leader, follower, observer, read-only"`
	Word string   `option:"word" help:"four-letter word to ask with: srvr (does it serve) or ruok (does it run)"`

	host string
	port int
}

// Kind is the kind zookeeper.
func Kind() check.Kind {
	return check.Define("zookeeper", "zookeeper://127.0.0.1:2181", Config{Word: WordSrvr})
}

// SetTarget takes zookeeper://HOST:PORT, of which both may be missing. No host
// is this host.
func (c *Config) SetTarget(t check.Target) error {
	c.port = DefaultPort
	if t.URL.User != nil {
		return check.OptionErrorf("url", "has a user name or password, and a four-letter word needs none; leave it out")
	}
	if path := strings.TrimPrefix(t.URL.Path, "/"); path != "" {
		return check.OptionErrorf("url", "has the path %q, and a server is checked as a whole; leave it out", check.CleanText(t.URL.Path))
	}
	if strings.Contains(t.URL.Host, ",") {
		return check.OptionErrorf("url", "names several servers; make a check of each")
	}
	var err error
	c.host, c.port, err = t.Host(DefaultPort)
	return err
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	var errs []error
	for _, mode := range c.Mode {
		if !slices.Contains(modes, mode) {
			errs = append(errs, check.OptionErrorf("mode", "%q is not known%s (known: %s)", check.CleanText(mode), check.DidYouMean(mode, modes), strings.Join(modes, ", ")))
		}
	}
	switch {
	case c.Word != WordSrvr && c.Word != WordRuok:
		errs = append(errs, check.OptionErrorf("word", "%q is not known; give %s or %s", check.CleanText(c.Word), WordSrvr, WordRuok))
	case c.Word == WordRuok && len(c.Mode) > 0:
		errs = append(errs, check.OptionErrorf("mode", "is known from the answer to %s only; leave word=%s out", WordSrvr, WordRuok))
	}
	return errors.Join(errs...)
}

// Checker makes the checker.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	address := check.Address(c.host, c.port)
	return &checker{
		dial: env.Dial, address: address, target: "zookeeper://" + address,
		word: c.Word, modes: slices.Clone(c.Mode),
	}, nil
}
