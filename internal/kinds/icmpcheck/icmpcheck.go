// Package icmpcheck checks that a host answers a ping: an ICMP echo request
// (RFC 792, RFC 4443).
//
// A run resolves the name, sends one request and waits for the reply that has
// its identifier, sequence number and random content; anything else that
// arrives is ignored. It uses the socket that Linux has for programs without
// privileges (icmp(7), net.ipv4.ping_group_range) and, when that is not
// permitted, a raw socket, which needs CAP_NET_RAW.
package icmpcheck

import (
	"net/netip"
	"strings"

	"hale/internal/check"
)

// The values of the option ip.
const (
	ipAny = "any"
	ip4   = "4"
	ip6   = "6"
)

// Config is the configuration of one check.
type Config struct {
	IP string `option:"ip" help:"version of IP to ping over: 4, 6 or any"`

	host string
}

// Kind is the kind icmp.
func Kind() check.Kind {
	return check.Define("icmp", "icmp://gateway.example.com", Config{IP: ipAny})
}

// SetTarget takes icmp://HOST.
func (c *Config) SetTarget(t check.Target) error {
	switch {
	case t.URL.User != nil:
		return check.OptionErrorf("url", "has a user name or password, and a ping needs none; leave it out")
	case strings.Trim(t.URL.Path, "/") != "":
		return check.OptionErrorf("url", "has the path %q, and a ping has none; leave it out", check.CleanText(t.URL.Path))
	case t.URL.Hostname() == "":
		return check.OptionErrorf("url", "%s has no host; write icmp://HOST", t.Masked())
	case t.URL.Port() != "":
		return check.OptionErrorf("url", "has a port, and ICMP has none; leave it out, or use tcp://")
	}
	c.host = t.URL.Hostname()
	return nil
}

// Validate reports every fault in the options.
func (c *Config) Validate() error {
	addr, err := netip.ParseAddr(c.host)
	switch isAddress := err == nil; {
	case c.IP != ipAny && c.IP != ip4 && c.IP != ip6:
		return check.OptionErrorf("ip", "%q is not a version of IP; give 4, 6 or any", check.CleanText(c.IP))
	case isAddress && (c.IP == ip4 && !addr.Unmap().Is4() || c.IP == ip6 && addr.Unmap().Is4()):
		return check.OptionErrorf("ip", "%s is not an address of version %s; leave ip out", addr, c.IP)
	}
	return nil
}

// Checker makes the checker.
func (c *Config) Checker(check.Env) (check.Checker, error) {
	k := &checker{target: "icmp://" + c.host, host: c.host, network: "ip"}
	if strings.Contains(c.host, ":") {
		k.target = "icmp://[" + c.host + "]"
	}
	if c.IP != ipAny {
		k.network += c.IP
	}
	return k, nil
}
