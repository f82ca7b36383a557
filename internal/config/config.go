package config

import (
	"log/slog"
	"net/netip"
	"os"
	"time"

	"hale/internal/check"
)

// A Config is a whole and valid configuration, defaults filled in.
type Config struct {
	// OwnIP is what ${own_ip} stands for.
	OwnIP struct {
		// Source is who is asked for it; "" is the default one.
		Source string
		// Address is what was found, as URLs have it; "" when nothing in the
		// configuration stands for it.
		Address string
	}
	// Warnings are what to tell the operator, though it is no fault.
	Warnings []string
	// Listen is the public listener's address, HOST:PORT.
	Listen string
	// Admin is the admin listener's: HOST:PORT on loopback, unix:/PATH, or off.
	Admin string
	// FailStatus is the HTTP status of a failing verdict, from 400 to 599.
	FailStatus int
	// DegradedStatus is the HTTP status of a degraded verdict, from 200 to 599.
	DegradedStatus int
	// DrainDelay is how long a shutdown goes on answering before it begins.
	DrainDelay time.Duration
	// Grace is how long a shutdown may take after the drain delay.
	Grace time.Duration
	// MaxConnections is how many connections the public listener holds at once.
	MaxConnections int
	// ProxyProtocol are the addresses from which a PROXY protocol header is
	// taken.
	ProxyProtocol []netip.Prefix
	// TLS is true when the public listener speaks TLS besides plain HTTP.
	TLS bool
	// TLSCert and TLSKey are files; "" for both means a self-signed certificate.
	TLSCert, TLSKey string
	// TLSClientCA is the file with the authorities of clients' certificates; ""
	// when clients need none.
	TLSClientCA string
	// AgentCheck is where HAProxy's agent-check is answered: HOST:PORT, or off.
	AgentCheck string
	// DegradedWeight is the weight that the agent-check gives a degraded
	// instance, from 1 to 100 percent; 0 when it gives no weights.
	DegradedWeight int
	// OnDemand is true when checks run only when somebody asks.
	OnDemand bool
	// LogLevel is the least level that is logged.
	LogLevel slog.Level
	// LogFormat is text or json.
	LogFormat string
	// Pools is the size of each pool that a kind of check has, by name.
	Pools map[string]int
	// Discover are the ways to find checks that were asked for; nil when
	// nothing was said of it, and empty when none is wanted.
	Discover []Discovery
	// Policy and Defaults are those of checks that are found.
	Policy   check.Policy
	Defaults []check.Option
	// Checks are the checks: the file's in its order, then those of
	// HALE_CHECKS, then the arguments'. Their names are unique.
	Checks []*check.Check
	// Sources are what was read, for the log: the file's path, "HALE_CHECKS",
	// "arguments".
	Sources []string
}

// DefaultFile is the file that is read when none is named, if it exists.
const DefaultFile = "/etc/hale/hale.yaml"

// EnvChecks is the environment variable that holds URLs of checks.
const EnvChecks = "HALE_CHECKS"

// Sources are the places that configuration comes from.
type Sources struct {
	// File is the file to read; "" for DefaultFile if that exists.
	File string
	// DefaultFile is read when File is "", and may be missing; "" for none.
	DefaultFile string
	// Args are checks, one URL each.
	Args []string
	// Flags are settings given as flags, by the file's key ("fail_status").
	// They win over the file's.
	Flags map[string]string
	// Methods are the ways to find checks, by name, each with what tells the
	// faults of its options.
	Methods map[string]func(options []check.Option) error
	// Getenv looks up an environment variable; nil for [os.LookupEnv].
	Getenv func(string) (string, bool)
	// Hostname returns the host's name; nil for [os.Hostname].
	Hostname func() (string, error)
	// OwnIP finds what ${own_ip} stands for. Without it there is no ${own_ip}.
	OwnIP OwnIP

	ownIP func(arg string) (string, error) // of the loader
}

// Load reads everything that s names. Its error is an [Errors] of every fault
// there is; the config is nil then. A configuration without any check is not a
// fault. An environment variable or argument adds to the file's checks.
func Load(s Sources, r *check.Registry) (*Config, error) {
	if s.Getenv == nil {
		s.Getenv = os.LookupEnv
	}
	if s.Hostname == nil {
		s.Hostname = os.Hostname
	}
	l := newLoader(s, r)
	l.readFile()
	l.readEnvironment()
	l.readFlags()
	l.readArgs()
	l.compareListeners()
	l.checkListener()
	l.checkDiscover()
	l.build()
	if len(l.errs) > 0 {
		l.errs.sort()
		return nil, l.errs
	}
	l.config.Policy, l.config.Defaults = l.defaults.policy, l.defaults.options
	return l.config, nil
}
