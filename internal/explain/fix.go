package explain

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"hale/internal/balancer"
)

// mend fills in what mends a finding: the cause's own words, configuration for
// the software that was recognised, and questions for what can't be seen.
func (t *trouble) mend(f *Finding) {
	f.Fix = []string{sentence(balancer.CauseOf(f.Cause).Fix)}
	switch f.Cause {
	case balancer.CauseHTTPSRedirect, balancer.CauseDjangoSSL, balancer.CauseRailsSSL, balancer.CauseExpressSSL:
		t.mendRedirect(f)
	case balancer.CauseDjangoHosts, balancer.CauseRailsHosts, balancer.CauseASPNetHosts, balancer.CauseHostGuard, balancer.CauseDefaultServer, balancer.CauseNoHost:
		t.mendHost(f)
	case balancer.CauseFirewall, balancer.CauseLoopbackOnly, balancer.CauseLocalhost, balancer.CauseStopped:
		t.mendConnect(f)
	case balancer.CauseTLSToPlain, balancer.CausePlainToTLS, balancer.CauseNoSNI, balancer.CauseClientCert,
		balancer.CauseExpired, balancer.CauseWrongName, balancer.CauseUntrusted, balancer.CauseHTTP2,
		balancer.CauseProxyExpected, balancer.CauseProxyUnexpected:
		t.mendWire(f)
	default:
		t.mendPage(f)
	}
	if t.b.Consequence != "" && strings.Contains(strings.Join(t.b.Notes, " "), "grace") {
		switch f.Cause {
		case balancer.CauseStopped, balancer.CauseSlow, balancer.CauseBusyWorkers, balancer.CauseBroken:
			f.Ask = append(f.Ask, "Was the instance just started? Is the health check grace period of the Auto Scaling group longer than the boot (300 s from the console, 0 from the command line)?")
		}
	}
}

// fixed is configuration with the health path, the Host and the port filled in.
// In it @PATH@ is the path without a query, @RE@ the same for a regular
// expression and without slashes at its ends, @HOST@ what the balancer sends,
// @PORT@ the port that was asked and @ADDR@ its address, @NAME@ the site's name
// and @NAMERE@ the same for a regular expression, @SCHEME@ http or https.
// None of the languages that are written here knows such marks.
func (t *trouble) fixed(text string) string {
	p, _, _ := strings.Cut(t.base.path(), "?")
	host := t.base.hostname()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if host == "" {
		host = t.base.target.Address.Addr().String()
	}
	name := t.siteName()
	return strings.NewReplacer(
		"@PATH@", clean(p), "@RE@", clean(regexp.QuoteMeta(strings.Trim(p, "/"))), "@HOST@", clean(host),
		"@PORT@", strconv.Itoa(int(t.base.target.Address.Port())), "@ADDR@", t.base.target.Address.Addr().String(), "@NAME@", name,
		"@NAMERE@", regexp.QuoteMeta(name), "@SCHEME@", strings.ToLower(t.scheme()),
	).Replace(strings.TrimSpace(text))
}

// siteName is the site's name, or a word that stands for it. It is not what was
// sent as Host, which would only make the fault again; where the site redirects
// to its own name, it is that.
func (t *trouble) siteName() string {
	names := t.sites()
	if to, ok := t.leads(); ok && t.elsewhere(to) {
		names = append([]string{to.name}, names...)
	}
	for _, name := range names {
		if !isAddress(name) && isHostname(name) && !strings.EqualFold(name, t.base.hostname()) {
			return name
		}
	}
	return placeholder
}

// placeholder stands for the site's name where nobody said it.
const placeholder = "SITE-NAME"

// hostName is the name that the balancer sends, where that is not at fault, or
// the site's.
func (t *trouble) hostName() string {
	if name := t.base.hostname(); t.p.Site == "" && name == t.p.Host && name != "" && !isAddress(name) && isHostname(name) {
		return name
	}
	return t.siteName()
}

// certificateName is a name that the certificate has, the site's if it is one of
// them; "" if it has only addresses.
func (t *trouble) certificateName() string {
	leaf := t.answer.state.PeerCertificates[0]
	if t.p.Site != "" && leaf.VerifyHostname(t.p.Site) == nil {
		return t.p.Site
	}
	for _, name := range leaf.DNSNames {
		if rest, ok := strings.CutPrefix(name, "*."); ok {
			name = "www." + rest
		}
		if isHostname(name) {
			return name
		}
	}
	return ""
}

// mendConnect is for what keeps the connection from being made.
func (t *trouble) mendConnect(f *Finding) {
	port := int(t.base.target.Address.Port())
	switch f.Cause {
	case balancer.CauseFirewall:
		f.Fix = []string{fmt.Sprintf("Allow TCP to port %d from %s.", port, t.b.From)}
		if len(t.b.Networks) > 0 {
			f.Config = "# nftables, on the machine; the cloud's own firewall needs the same\n" +
				fmt.Sprintf("nft add rule inet filter input ip saddr '{ %s }' tcp dport %d accept", strings.Join(t.b.Networks, ", "), port)
		}
		f.Ask = append(f.Ask,
			fmt.Sprintf("Does the instance's security group (or the cloud's firewall) allow port %d from %s?%s", port, t.b.From, t.assumed(balancer.FactFrom)),
			"Does a firewall on the machine drop it (nft list ruleset, iptables -L, ufw status)?",
			"Is the address right, and is the machine up? An address that nobody has is silent too.",
			"Was explain run from where the balancer is? From elsewhere other rules apply.")
	case balancer.CauseStopped:
		if t.base.target.Address.Addr() == netip.IPv6Loopback() {
			f.Fix = append(f.Fix, "If the server listens on IPv4 only: ask 127.0.0.1, or have it listen on [::1] too.")
		}
	case balancer.CauseLocalhost:
		f.Config = fmt.Sprintf("%s://%s%s", t.place.scheme, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), mask(t.base.path()))
	case balancer.CauseLoopbackOnly:
		f.Config = t.fixed("# nginx:    listen @PORT@;  instead of  listen 127.0.0.1:@PORT@;\n# gunicorn: --bind 0.0.0.0:@PORT@\n# Django:   manage.py runserver 0.0.0.0:@PORT@\n# Node:     server.listen(@PORT@, \"0.0.0.0\")")
	}
}
