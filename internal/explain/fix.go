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
// @PORT@ the port that was asked and @ADDR@ its address, @NAME@ the site's name.
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
	return strings.NewReplacer(
		"@PATH@", clean(p), "@RE@", clean(regexp.QuoteMeta(strings.Trim(p, "/"))), "@HOST@", clean(host),
		"@PORT@", strconv.Itoa(int(t.base.target.Address.Port())), "@ADDR@", t.base.target.Address.Addr().String(), "@NAME@", t.siteName(),
	).Replace(strings.TrimSpace(text))
}

// siteName is the site's name, or a word that stands for it.
func (t *trouble) siteName() string {
	if all := t.sites(); len(all) > 0 {
		return all[0]
	}
	return "SITE-NAME"
}

// scheme is what the balancer speaks, as commands and manifests call it.
func (t *trouble) scheme() string {
	if t.base.secure {
		return "HTTPS"
	}
	return "HTTP"
}

// setPath is how the balancer is told another path or other codes.
func (t *trouble) setPath(path string) string {
	path = quotedPath(path)
	switch t.b.Name {
	case "alb", "nlb":
		return fmt.Sprintf("aws elbv2 modify-target-group --target-group-arn ARN --health-check-path %s", path)
	case "elb":
		return fmt.Sprintf("aws elb configure-health-check --load-balancer-name NAME --health-check Target=%s:%d%s,Interval=30,Timeout=5,UnhealthyThreshold=2,HealthyThreshold=10", t.scheme(), t.base.target.Address.Port(), path)
	case "haproxy":
		return "option httpchk GET " + path
	case "kubelet":
		return fmt.Sprintf("httpGet: {scheme: %s, path: %s, port: %d}", t.scheme(), path, t.base.target.Address.Port())
	case "gcp":
		return fmt.Sprintf("gcloud compute health-checks update %s NAME --request-path=%s", strings.ToLower(t.scheme()), path)
	case "traefik", "consul", "caddy", "envoy", "nginx-plus":
		return fmt.Sprintf("set the health check's path of %s to %s", t.b.Title, path)
	default:
		return fmt.Sprintf("set the probe's path of %s to %s", t.b.Title, path)
	}
}

// quotedPath is a path fit for a command, as it may come from the other side.
func quotedPath(path string) string {
	if strings.ContainsRune(path, '\'') {
		return "/PATH"
	}
	if strings.ContainsAny(path, "$&;()*!?|<>#~`\\\" ") {
		return "'" + path + "'"
	}
	return path
}

// hostSetting is how the balancer is told another Host; "" if it can't be told.
func (t *trouble) hostSetting() string {
	name := t.siteName()
	switch t.b.Name {
	case "haproxy":
		return "http-check send meth GET uri " + t.base.path() + " ver HTTP/1.1 hdr Host " + name
	case "kubelet":
		return fmt.Sprintf("httpGet: {scheme: %s, path: %s, port: %d, httpHeaders: [{name: Host, value: %s}]}", t.scheme(), t.base.path(), t.base.target.Address.Port(), name)
	case "envoy":
		return "http_health_check: {path: " + t.base.path() + ", host: " + name + "}"
	case "gcp":
		return fmt.Sprintf("gcloud compute health-checks update %s NAME --host=%s", strings.ToLower(t.scheme()), name)
	case "app-gateway":
		return "set the probe's host name to " + name + ", or have it taken from the backend settings"
	case "traefik":
		return "healthCheck: {path: " + t.base.path() + ", hostname: " + name + "}"
	case "caddy":
		return "health_headers { Host " + name + " }"
	case "consul":
		return `"header": {"Host": ["` + name + `"]}`
	case "nginx-plus":
		return "proxy_set_header Host " + name + ";"
	case "hetzner", "cloudflare", "route53", "front-door":
		return "set the health check's host name or domain to " + name
	case "f5":
		return `send "GET ` + t.base.path() + ` HTTP/1.1\r\nHost: ` + name + `\r\nConnection: close\r\n\r\n"`
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
