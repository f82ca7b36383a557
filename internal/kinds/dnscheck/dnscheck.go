// Package dnscheck checks that a name server answers a query, and with what.
//
// A run sends one query (RFC 1035) over UDP, with a random identifier and from
// a new port, and takes the first reply from that server that has the same
// identifier and question; anything else that arrives is ignored. A reply that
// did not fit into UDP is asked for again over TCP. At most 64 KiB of a reply
// are read, which is as long as one can be.
//
// The system's resolver is that of resolv.conf(5): its name servers are asked
// one after the other until one replies, and they share the run's time. Its
// search list is not used; every name is a full one.
package dnscheck

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"hale/internal/check"
)

// DefaultPort is the port of a resolver that has none in the URL.
const DefaultPort = 53

// maxName is how long a name may be as text, without its last dot (RFC 1035,
// section 2.3.4, less the length bytes), and maxLabel how long one part of it.
const (
	maxName  = 253
	maxLabel = 63
)

// Config is the configuration of one check.
type Config struct {
	Type   string   `option:"type" help:"type of record to ask for: A, AAAA, CNAME, MX, NS, SOA, SRV, TXT, PTR or CAA"`
	Expect []string `option:"expect" help:"answers that must be there; separated by commas but for TXT and CAA"`
	Exact  bool     `option:"exact" help:"no answers but those of expect may be there"`
	Rcode  string   `option:"rcode" help:"response code to expect, such as NXDOMAIN for a name that must not exist"`
	TCP    bool     `option:"tcp" help:"ask over TCP only"`

	target     string
	server     string // host:port; "" is the system's resolver
	name       string // without the last dot
	resolvConf string // where the system's resolver is configured
}

// Kind is the kind dns.
func Kind() check.Kind {
	return check.Define("dns", "dns://127.0.0.1:53/www.example.org", Config{Type: "A", Rcode: "NOERROR", resolvConf: "/etc/resolv.conf"})
}

// SetTarget takes dns://RESOLVER:PORT/NAME; no RESOLVER:PORT is the system's.
func (c *Config) SetTarget(t check.Target) error {
	if t.URL.User != nil {
		return check.OptionErrorf("url", "has a user name or password, and a query needs none; leave it out")
	}
	c.target = "dns://"
	if t.URL.Host != "" {
		host, port, err := t.Host(DefaultPort)
		if err != nil {
			return err
		}
		c.server = check.Address(host, port)
		c.target += c.server
	}
	c.name = strings.TrimPrefix(t.URL.Path, "/")
	if c.name == "" {
		return check.OptionErrorf("url", "has no name to ask for; write dns://RESOLVER/NAME, or dns:///NAME for the system's resolver")
	}
	c.target += "/" + c.name
	return nil
}

// Validate reports every fault in the URL's name and in the options.
func (c *Config) Validate() error {
	var errs []error
	kind, known := typeOf(c.Type)
	if !known {
		errs = append(errs, check.OptionErrorf("type", "%q is not known%s (known: %s)", check.CleanText(c.Type), check.DidYouMean(strings.ToUpper(c.Type), typeNames), strings.Join(typeNames, ", ")))
	} else if _, err := c.question(kind); err != nil {
		errs = append(errs, err)
	}
	rcode := strings.ToUpper(c.Rcode)
	if !slices.Contains(rcodes, rcode) {
		errs = append(errs, check.OptionErrorf("rcode", "%q is not known%s (known: %s)", check.CleanText(c.Rcode), check.DidYouMean(rcode, rcodes), strings.Join(rcodes, ", ")))
	} else if rcode != rcodes[0] && len(c.Expect) > 0 {
		errs = append(errs, check.OptionErrorf("expect", "there are no answers with %s; leave out expect or rcode", rcode))
	}
	if known {
		for _, want := range c.wanted(kind) {
			if err := checkWanted(kind, want); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if c.Exact && len(c.Expect) == 0 {
		errs = append(errs, check.OptionErrorf("exact", "needs expect, the answers that may be there"))
	}
	return errors.Join(errs...)
}

// wanted returns the answers that must be there, in the form of
// [record.text].
func (c *Config) wanted(kind dnsmessage.Type) []string {
	if kind == dnsmessage.TypeTXT || kind == typeCAA {
		return slices.Clone(c.Expect)
	}
	var list []string
	for _, value := range c.Expect {
		for want := range strings.SplitSeq(value, ",") {
			want = strings.TrimSpace(want)
			if addr, err := netip.ParseAddr(want); err == nil {
				want = addr.String()
			}
			list = append(list, strings.TrimSuffix(strings.ToLower(want), "."))
		}
	}
	return list
}

// checkWanted reports an answer that can't be one to a query of the type.
func checkWanted(kind dnsmessage.Type, want string) error {
	addr, err := netip.ParseAddr(want)
	switch {
	case want == "":
		return check.OptionErrorf("expect", "has an empty answer; leave it out")
	case kind == dnsmessage.TypeA && (err != nil || !addr.Is4()):
		return check.OptionErrorf("expect", "%q is not an IPv4 address, as type A has", check.CleanText(want))
	case kind == dnsmessage.TypeAAAA && (err != nil || !addr.Is6()):
		return check.OptionErrorf("expect", "%q is not an IPv6 address, as type AAAA has", check.CleanText(want))
	}
	return nil
}

// question makes the question to ask. A PTR record of an address is that of
// its name in in-addr.arpa or ip6.arpa.
func (c *Config) question(kind dnsmessage.Type) (dnsmessage.Question, error) {
	name := strings.TrimSuffix(c.name, ".")
	if addr, err := netip.ParseAddr(name); err == nil {
		if kind != dnsmessage.TypePTR {
			return dnsmessage.Question{}, check.OptionErrorf("url", "%s is an address, and only type PTR is asked for one", addr)
		}
		name = reverse(addr.Unmap())
	}
	if err := checkName(name); err != nil {
		return dnsmessage.Question{}, err
	}
	full, err := dnsmessage.NewName(name + ".")
	if err != nil {
		return dnsmessage.Question{}, check.OptionErrorf("url", "the name is not one: %v", err)
	}
	return dnsmessage.Question{Name: full, Type: kind, Class: dnsmessage.ClassINET}, nil
}

// checkName reports what keeps a name, without its last dot, from being asked
// for. The empty name is the root's.
func checkName(name string) error {
	if name == "" {
		return nil
	}
	if len(name) > maxName {
		return check.OptionErrorf("url", "the name has %d characters; one has at most %d", len(name), maxName)
	}
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return check.OptionErrorf("url", "the name %q has two dots together, or one in front", check.CleanText(name))
		case len(label) > maxLabel:
			return check.OptionErrorf("url", "a part of the name has %d characters; one has at most %d", len(label), maxLabel)
		case strings.ContainsFunc(label, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }):
			return check.OptionErrorf("url", "%q is not a name; use letters, digits, '.', '-' and '_' (a name in other letters in its xn-- form)", check.CleanText(name))
		}
	}
	return nil
}

// Checker makes the checker.
func (c *Config) Checker(env check.Env) (check.Checker, error) {
	kind, _ := typeOf(c.Type)
	question, err := c.question(kind)
	if err != nil {
		return nil, err
	}
	return &checker{
		dial: env.Dial, target: c.target, server: c.server, resolvConf: c.resolvConf,
		question: question, typeName: strings.ToUpper(c.Type), wanted: c.wanted(kind), exact: c.Exact,
		rcode: dnsmessage.RCode(slices.Index(rcodes, strings.ToUpper(c.Rcode))), tcp: c.TCP,
	}, nil
}
