package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// off is what a setting says that does nothing.
const off = "off"

// compareListeners refuses two listeners on one address.
func (l *loader) compareListeners() {
	listeners := []struct{ name, key, address string }{
		{"public listener", "listen", l.config.Listen},
		{"admin listener", "admin", l.config.Admin},
		{"agent-check's listener", "agent_check", l.config.AgentCheck},
	}
	for i, a := range listeners {
		for _, b := range listeners[i+1:] {
			if !shareAPort(a.address, b.address) {
				continue
			}
			key := b.key
			if _, ok := l.placed[key]; !ok {
				key = a.key
			}
			l.failKey(key, "the %s (%s) and the %s (%s) can't share a port; give one of them another", a.name, oneLine(a.address), b.name, oneLine(b.address))
		}
	}
}

// shareAPort reports whether two addresses exclude each other. Port 0 is any
// that is free.
func shareAPort(a, b string) bool {
	hostA, portA, errA := splitAddress(a, "")
	hostB, portB, errB := splitAddress(b, "")
	if errA != nil || errB != nil || portA != portB || portA == 0 {
		return false
	}
	everywhere := func(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }
	return hostA == hostB || everywhere(hostA) || everywhere(hostB)
}

// checkListener refuses settings of the listeners that make no sense together.
func (l *loader) checkListener() {
	c := l.config
	for _, f := range []struct{ key, file string }{{"tls_cert", c.TLSCert}, {"tls_key", c.TLSKey}, {"tls_client_ca", c.TLSClientCA}} {
		if f.file != "" && !c.TLS {
			l.failKey(f.key, "is given, but tls is off; leave one of them out")
		}
	}
	switch {
	case !c.TLS:
	case c.TLSCert != "" && c.TLSKey == "":
		l.failKey("tls_cert", "needs tls_key, the file with the key of the certificate; it may be the same file")
	case c.TLSKey != "" && c.TLSCert == "":
		l.failKey("tls_key", "needs tls_cert, the file with the certificate; it may be the same file")
	}
	if c.DegradedStatus == c.FailStatus {
		l.failKey("degraded_status", "%d is fail_status, so that nobody could tell a degraded instance from one that fails; give them different statuses", c.DegradedStatus)
	}
	if c.DegradedWeight > 0 && c.AgentCheck == off {
		l.failKey("degraded_weight", "is told to HAProxy's agent-check, which is off; give its address too, such as agent_check: :5002")
	}
}

// failKey reports a fault of the setting in force of a key that is a text.
func (l *loader) failKey(key, format string, args ...any) {
	at, path := l.placed[key], key
	if at.source.commandLine {
		path = ""
	}
	l.fail(at, path, format, args...)
}

func validAgentCheck(text string) error {
	if text == off {
		return nil
	}
	_, _, err := splitAddress(text, `:5002 for all addresses, 127.0.0.1:5002 for one, or "off"`)
	return err
}

// setFile takes the name of a file. Whether there is one is seen by who uses it.
func setFile(to *string, text string) error {
	*to = text
	if strings.ContainsAny(text, "\n\x00") {
		return fmt.Errorf("%q is not the name of a file; write /etc/hale/tls.pem, say", oneLine(text))
	}
	return nil
}

// setDegradedStatus refuses the statuses whose answers have no body (RFC 9110,
// sections 15.3.5, 15.3.6 and 15.4.5).
func setDegradedStatus(c *Config, text string) error {
	if err := setInt(&c.DegradedStatus, text, 200, 599); err != nil {
		return err
	}
	switch c.DegradedStatus {
	case 204, 205, 304:
		return fmt.Errorf("an answer with %d can't have a body, and hale's have one; give 200 or 429, say", c.DegradedStatus)
	}
	return nil
}

func shownTLS(c *Config) string {
	if c.TLS {
		return "auto"
	}
	return off
}

func setDegradedWeight(c *Config, text string) error {
	c.DegradedWeight = 0
	if text == off {
		return nil
	}
	n, err := strconv.Atoi(strings.TrimSuffix(text, "%"))
	if err != nil {
		return fmt.Errorf("%q is not a percentage; give one from 1%% to 100%%, or off", oneLine(text))
	}
	if n < 1 || n > 100 {
		return fmt.Errorf("%d%% is out of range; give a percentage from 1%% to 100%%, or off", n)
	}
	c.DegradedWeight = n
	return nil
}

func shownDegradedWeight(c *Config) string {
	if c.DegradedWeight == 0 {
		return off
	}
	return strconv.Itoa(c.DegradedWeight) + "%"
}

// maxNetworks is how many addresses and networks a list may have.
const maxNetworks = 1000

// readProxyProtocol reads a text with commas, or a list.
func (l *loader) readProxyProtocol(e entry) {
	l.placed[e.key] = e.value.at
	items := []*node{e.value}
	set := setProxyProtocol
	switch e.value.kind {
	case list:
		items, set = e.value.items, addNetworks
	case mapping:
		l.fail(e.value.at, e.key, "is %s; give a list such as [10.0.0.5, 10.1.0.0/16]", e.value.describe())
		return
	}
	for _, item := range items {
		text, secrets, ok := l.text(item, e.key)
		if !ok {
			continue
		}
		if err := set(l.config, text); err != nil {
			l.fail(item.at, e.key, "%s", hide(err.Error(), secrets))
		}
	}
}

// setProxyProtocol takes addresses and networks with commas, or off.
func setProxyProtocol(c *Config, text string) error {
	c.ProxyProtocol = nil
	if text == off {
		return nil
	}
	return addNetworks(c, text)
}

// addNetworks adds addresses and networks with commas.
func addNetworks(c *Config, text string) error {
	for item := range strings.SplitSeq(text, ",") {
		prefix, err := network(strings.TrimSpace(item))
		if err != nil {
			return err
		}
		c.ProxyProtocol = append(c.ProxyProtocol, prefix)
		if len(c.ProxyProtocol) > maxNetworks {
			return fmt.Errorf("has more than %d addresses; join them into networks", maxNetworks)
		}
	}
	return nil
}

// network reads an address, which is a network of one, or a network. Bits
// behind its mask don't matter.
func network(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is no address and no network; write 10.0.0.5, 10.1.0.0/16 or fd00::/8, or off", oneLine(text))
	}
	return prefix.Masked(), nil
}

func shownProxyProtocol(c *Config) string {
	if len(c.ProxyProtocol) == 0 {
		return off
	}
	var texts []string
	for _, p := range c.ProxyProtocol {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, ",")
}
